use super::{Event, Registry};
use http::Method;
use std::time::Duration;

#[test]
fn shards_of_all_workers_are_summed_under_the_names_of_the_peer() {
    let registry = Registry::new();
    let (one, two) = (registry.shard(), registry.shard());
    one.begin();
    one.begin();
    one.end();
    one.record(200, &Method::GET, Duration::from_millis(7));
    two.record(200, &Method::GET, Duration::from_mins(1));
    two.record(403, &Method::from_bytes(b"PURGE").unwrap(), Duration::from_millis(1));
    let text = registry.text();
    for line in [
        "oauth2_proxy_requests_in_flight 1",
        "oauth2_proxy_requests_total{code=\"200\"} 2",
        "oauth2_proxy_requests_total{code=\"403\"} 1",
        "oauth2_proxy_response_duration_seconds_bucket{method=\"get\",le=\"0.005\"} 0",
        "oauth2_proxy_response_duration_seconds_bucket{method=\"get\",le=\"0.01\"} 1",
        "oauth2_proxy_response_duration_seconds_bucket{method=\"get\",le=\"+Inf\"} 2",
        "oauth2_proxy_response_duration_seconds_sum{method=\"get\"} 60.007",
        "oauth2_proxy_response_duration_seconds_count{method=\"unknown\"} 1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
    }
}

#[test]
fn events_are_numbered_as_they_are_listed() {
    let registry = Registry::new();
    let shard = registry.shard();
    for (number, event) in super::event::ALL.into_iter().enumerate() {
        assert_eq!(event as usize, number);
        shard.count(event);
        assert_eq!(shard.counted(event), 1);
    }
    assert!(registry.text().contains("oauth2_proxy_sessions_loaded_total{from=\"cache\"} 1\n"));
    assert_eq!(shard.counted(Event::Panicked), 1);
}

#[test]
fn a_family_is_described_once_and_its_members_are_shared() {
    let registry = Registry::new();
    registry.counter("logins_total", "Logins.", &[("result", "success")]).increment();
    registry.counter("logins_total", "Logins.", &[("result", "success")]).increment();
    registry.counter("logins_total", "Logins.", &[("result", "a \"b\"\n\\")]).increment();
    registry.gauge("share", "A share.", &[]).set(0.5);
    let text = registry.text();
    assert_eq!(text.matches("# TYPE logins_total counter\n").count(), 1);
    assert!(text.contains("logins_total{result=\"success\"} 2\n"));
    assert!(text.contains("logins_total{result=\"a \\\"b\\\"\\n\\\\\"} 1\n"));
    assert!(text.contains("share 0.5\n"));
}

#[test]
fn the_process_tells_of_itself() {
    let text = Registry::new().text();
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_max_fds",
    ] {
        assert!(
            text.lines().any(|line| line.starts_with(&format!("{name} "))),
            "{name} is missing in\n{text}"
        );
    }
}

#[test]
fn every_family_is_described_in_the_metrics_page() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let page = std::fs::read_to_string(path).unwrap();
    let text = Registry::new().text();
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let missing: Vec<_> =
        families.filter(|name| !page.contains(name.trim_end_matches("_total"))).collect();
    assert!(missing.is_empty(), "docs/metrics.md does not describe {missing:?}");
}
