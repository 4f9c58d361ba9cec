use super::{BOUND, Writer};
use crate::metrics::Registry;
use crate::server::tests::support::Lines;
use std::time::Duration;

/// An output that takes nothing until the other end is dropped.
struct Stuck(std::sync::mpsc::Receiver<()>);

impl std::io::Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn everything_is_written_before_the_writer_is_gone() {
    let (lines, registry) = (Lines::default(), Registry::new());
    let writer = Writer::new(lines.clone(), &registry);
    let logs: Vec<_> = (0..4).map(|_| writer.log()).collect();
    std::thread::scope(|scope| {
        for log in &logs {
            scope.spawn(|| {
                for n in 0..5000 {
                    log.append(|out, _, _| out.extend_from_slice(format!("line {n}\n").as_bytes()));
                }
            });
        }
    });
    drop(writer);
    let text = lines.text();
    assert_eq!(text.lines().count(), 20_000);
    assert!(text.lines().all(|line| line.starts_with("line ")));
}

#[test]
fn a_reader_that_stands_still_costs_lines_and_no_time() {
    let registry = Registry::new();
    let (release, stuck) = std::sync::mpsc::channel();
    let writer = Writer::new(Stuck(stuck), &registry);
    let log = writer.log();
    for _ in 0..20 * 1024 {
        log.append(|out, _, _| out.extend_from_slice(&[b'x'; 1024]));
    }
    assert!(!registry.text().contains("oauth2_proxy_log_lines_dropped_total 0\n"));
    drop(release);
}

#[test]
fn events_that_nobody_reads_are_bounded_and_counted_and_the_end_does_not_wait_for_a_reader() {
    let registry = Registry::new();
    let (release, stuck) = std::sync::mpsc::channel::<()>();
    let writer = Writer::new(Stuck(stuck), &registry);
    let log = writer.log();
    let line = format!("{}\n", "x".repeat(1023));
    for _ in 0..3 * BOUND / line.len() {
        log.event(&line);
    }
    assert!(!registry.text().contains("oauth2_proxy_log_lines_dropped_total 0\n"));
    let start = tokio::time::Instant::now();
    drop(writer);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    drop(release);
}

#[test]
fn an_event_does_not_wait_for_others() {
    let (lines, registry) = (Lines::default(), Registry::new());
    let writer = Writer::new(lines.clone(), &registry);
    let log = writer.log();
    let start = tokio::time::Instant::now();
    log.event("first\n");
    while lines.text().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(5));
        std::thread::yield_now();
    }
    log.event("last\n");
    drop(writer);
    assert_eq!(lines.text(), "first\nlast\n");
}
