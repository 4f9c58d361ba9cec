//! Options into a [`Config`]: the only place where an option's meaning is known.
//!
//! Every mistake is noted under the option's flag and replaced by something harmless, so that all of them are found in
//! one run. The rules are those by which oauth2-proxy v7.15.3 makes its structured
//! configuration of its flags.

mod access;
mod headers;
mod http;
mod listeners;
mod provider;
mod session;
mod upstreams;

use super::supported::Options;
use proxy_config::{Application, Config, Duration, Limits, Problems, Version};
use std::fmt::Display;
use std::str::FromStr;

/// Makes the configuration that `options` ask for. It is in force only if no problem was noted.
pub(crate) fn convert(options: &Options, problems: &mut Problems) -> Config {
    Config {
        version: Version::V1,
        listeners: listeners::convert(options, problems),
        providers: vec![provider::convert(options, problems)],
        session: session::convert(options, problems),
        access: access::convert(options, problems),
        upstreams: upstreams::convert(options, problems),
        request_headers: headers::request(options),
        response_headers: headers::response(options),
        http: http::convert(options, problems),
        logging: http::logging(options, problems),
        application: Application::default(),
        limits: limits(options, problems),
    }
}

fn limits(options: &Options, problems: &mut Problems) -> Limits {
    let defaults = Limits::default();
    Limits {
        drain_timeout: span(options.drain_timeout, "drain-timeout", problems),
        max_connections: number(options.max_connections, "max-connections", problems),
        workers: number(options.workers, "workers", problems),
        header_timeout: defaults.header_timeout,
        idle_timeout: defaults.idle_timeout,
        stream_idle_timeout: span(options.stream_idle_timeout, "stream-idle-timeout", problems),
        stall_timeout: defaults.stall_timeout,
        max_header_bytes: defaults.max_header_bytes,
    }
}

/// None for an empty text.
fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// None for an empty text, and for one that does not parse, which is noted.
fn parsed<T: FromStr<Err: Display>>(text: &str, flag: &str, problems: &mut Problems) -> Option<T> {
    if text.is_empty() {
        return None;
    }
    text.parse().map_err(|error| problems.add(flag, format!("{error}"))).ok()
}

/// One of the named choices; the empty text is the first of `choices` if that is named by it.
fn choice<T: Copy>(
    text: &str,
    choices: &[(&str, T)],
    flag: &str,
    problems: &mut Problems,
) -> Option<T> {
    let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    if found.is_none() {
        let names: Vec<_> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
        problems.add(flag, format!("{text:?} is not one of {}", names.join(", ")));
    }
    found
}

fn span(value: super::value::GoDuration, flag: &str, problems: &mut Problems) -> Duration {
    value.positive().unwrap_or_else(|| {
        problems.add(flag, format!("{value} is negative: write a duration such as 30s"));
        Duration::ZERO
    })
}

fn number<T: TryFrom<i64> + Default>(value: i64, flag: &str, problems: &mut Problems) -> T {
    T::try_from(value).unwrap_or_else(|_| {
        problems.add(flag, format!("{value} is out of range"));
        T::default()
    })
}
