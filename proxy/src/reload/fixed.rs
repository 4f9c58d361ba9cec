//! What a running process can not change: its sockets, and the threads and bounds that were made with them.

use proxy_config::{Address, Config, Limits, Listeners, PlainListener, Problems, TlsListener};

/// That `next` needs nothing that only a restart can give.
///
/// # Errors
/// The fields that differ, with both values.
pub(super) fn unchanged(present: &Config, next: &Config) -> Result<(), Problems> {
    let mut problems = Problems::default();
    let shown =
        |address: Option<&Address>| address.map_or_else(|| "none".to_owned(), ToString::to_string);
    let addresses = present.listeners.each().into_iter().zip(next.listeners.each());
    let mut all: Vec<_> = addresses
        .map(|((name, old), (_, new))| {
            (format!("listeners.{name}.address"), shown(old), shown(new))
        })
        .collect();
    let (old, new) = (&present.listeners, &next.listeners);
    all.push(("listeners.http.h2c".to_owned(), h2c(old), h2c(new)));
    all.push(("listeners.https.minVersion".to_owned(), oldest(old), oldest(new)));
    for (field, old, new) in all {
        if old != new {
            problems.add(field, format!("changing it from {old} to {new} needs a restart"));
        }
    }
    limits(&present.limits, &next.limits, &mut problems);
    problems.into_result()
}

fn h2c(listeners: &Listeners) -> String {
    let http = listeners.http.as_ref();
    http.is_some_and(|PlainListener { address: _, h2c }| *h2c).to_string()
}

fn oldest(listeners: &Listeners) -> String {
    let https = listeners.https.as_ref();
    let oldest = https
        .map(|TlsListener { address: _, certificate_file: _, key: _, min_version }| min_version);
    oldest.map_or_else(|| "none".to_owned(), |version| format!("{version:?}"))
}

fn limits(present: &Limits, next: &Limits, problems: &mut Problems) {
    let Limits {
        header_timeout,
        idle_timeout,
        stream_idle_timeout,
        stall_timeout,
        drain_timeout: _,
        max_header_bytes,
        max_connections,
        workers,
    } = present;
    for (field, same) in [
        ("limits.headerTimeout", *header_timeout == next.header_timeout),
        ("limits.idleTimeout", *idle_timeout == next.idle_timeout),
        ("limits.streamIdleTimeout", *stream_idle_timeout == next.stream_idle_timeout),
        ("limits.stallTimeout", *stall_timeout == next.stall_timeout),
        ("limits.maxHeaderBytes", *max_header_bytes == next.max_header_bytes),
        ("limits.maxConnections", *max_connections == next.max_connections),
        ("limits.workers", *workers == next.workers),
    ] {
        if !same {
            problems.add(field, "changing it needs a restart");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(listeners: &str) -> Config {
        let text = format!(
            r#"{{"version": "v1", "listeners": {listeners}, "providers": [], "session": {{"keys": []}}}}"#
        );
        Config::parse(text.as_bytes()).expect("a configuration")
    }

    #[test]
    fn what_only_a_restart_can_change_is_named_with_both_values() {
        let present = config(
            r#"{"http": {"address": ":1"}, "metrics": {"address": ":2"},
                "https": {"address": ":3", "certificateFile": "c", "key": {"file": "k"}}}"#,
        );
        assert_eq!(unchanged(&present, &present), Ok(()));
        let next = config(
            r#"{"http": {"address": ":1", "h2c": true}, "admin": {"address": ":4"},
                "https": {"address": ":5", "certificateFile": "d", "key": {"file": "l"}, "minVersion": "TLS1.3"}}"#,
        );
        let found = unchanged(&present, &next).expect_err("a restart").to_string();
        let lines: Vec<_> = found.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "  listeners.https.address: changing it from :3 to :5 needs a restart",
                "  listeners.admin.address: changing it from none to :4 needs a restart",
                "  listeners.metrics.address: changing it from :2 to none needs a restart",
                "  listeners.http.h2c: changing it from false to true needs a restart",
                "  listeners.https.minVersion: changing it from Tls12 to Tls13 needs a restart",
            ]
        );
    }
}
