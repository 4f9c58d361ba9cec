//! What a running process can not change: its sockets, and the threads and bounds that were made with them.

use proxy_config::{Config, Limits, Listeners, Problems};

/// That `next` needs nothing that only a restart can give.
///
/// # Errors
/// The fields that differ, with both values.
pub(super) fn unchanged(present: &Config, next: &Config) -> Result<(), Problems> {
    let mut problems = Problems::default();
    let Listeners { http, https, admin, metrics } = &present.listeners;
    let new = &next.listeners;
    let plain = |listener: &Option<proxy_config::PlainListener>| {
        listener.as_ref().map(|l| l.address.to_string())
    };
    let h2c = |listener: &Option<proxy_config::PlainListener>| {
        Some(listener.as_ref().is_some_and(|l| l.h2c).to_string())
    };
    let internal = |listener: &Option<proxy_config::Listener>| {
        listener.as_ref().map(|l| l.address.to_string())
    };
    let tls = |listener: &Option<proxy_config::TlsListener>| {
        listener.as_ref().map(|l| l.address.to_string())
    };
    let oldest = |listener: &Option<proxy_config::TlsListener>| {
        listener.as_ref().map(|l| format!("{:?}", l.min_version))
    };
    for (field, old, new) in [
        ("listeners.http.address", plain(http), plain(&new.http)),
        ("listeners.http.h2c", h2c(http), h2c(&new.http)),
        ("listeners.https.address", tls(https), tls(&new.https)),
        ("listeners.https.minVersion", oldest(https), oldest(&new.https)),
        ("listeners.admin.address", internal(admin), internal(&new.admin)),
        ("listeners.metrics.address", internal(metrics), internal(&new.metrics)),
    ] {
        if old != new {
            let shown = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
            problems.add(
                field,
                format!("changing it from {} to {} needs a restart", shown(old), shown(new)),
            );
        }
    }
    limits(&present.limits, &next.limits, &mut problems);
    problems.into_result()
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
