//! The access log: one line per request, formatted by hand into the worker's buffer and written by the thread of `output`.
//!
//! Text lines have the form of oauth2-proxy's default `request_logging_format`; JSON lines have the fields listed at
//! [`AccessLine`]. No field can carry a line break, an escape code or a secret of the login protocol into the log.

mod escape;
mod line;
mod redact;

pub(crate) use line::AccessLine;

use percent_encoding::percent_decode_str;
use proxy_config::{Http, LogFormat, Logging};
use std::collections::HashSet;

/// Which requests get a line, and in which form.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    requests: bool,
    format: LogFormat,
    excluded: HashSet<Box<str>>,
}

impl Rules {
    /// From the settings; with `silencePing` the health paths of `http` are left out too.
    pub(crate) fn compile(logging: &Logging, http: &Http) -> Self {
        let mut excluded: HashSet<Box<str>> =
            logging.exclude_paths.iter().map(|path| path.as_str().into()).collect();
        if logging.silence_ping {
            let paths = [&http.ping_path, &http.ready_path];
            excluded.extend(
                paths.into_iter().filter(|path| !path.is_empty()).map(|path| path.as_str().into()),
            );
        }
        Self { requests: logging.requests, format: logging.format, excluded }
    }

    /// Whether a request for `path` gets a line. The decoded path is what counts.
    pub(crate) fn wants(&self, path: &str) -> bool {
        if !self.requests || self.excluded.is_empty() {
            return self.requests;
        }
        !if path.contains('%') {
            self.excluded.contains(&*percent_decode_str(path).decode_utf8_lossy())
        } else {
            self.excluded.contains(path)
        }
    }
}

#[cfg(test)]
mod tests;
