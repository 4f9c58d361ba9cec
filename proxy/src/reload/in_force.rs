//! What configuration is in force and how the last reload went, for whoever asks.

use crate::metrics::{Counter, Gauge, Registry};
use std::sync::{Mutex, PoisonError};

/// The state of the configuration.
pub(crate) struct InForce {
    state: Mutex<State>,
    good: Counter,
    bad: Counter,
    last: Gauge,
}

/// See [`InForce`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Hash of the generated file in force; none for the other front end.
    pub(crate) hash: Option<String>,
    /// Why the newest form of the configuration is not in force.
    pub(crate) last_error: Option<String>,
}

impl InForce {
    /// The state right after the start.
    pub(crate) fn new(hash: Option<String>, registry: &Registry) -> Self {
        let counter = |result| {
            registry.counter(
                "oauth2_proxy_config_reloads_total",
                "Attempts to take a changed configuration into force.",
                &[("result", result)],
            )
        };
        let status = Self {
            state: Mutex::new(State { hash, last_error: None }),
            good: counter("success"),
            bad: counter("failure"),
            last: registry.gauge(
                "oauth2_proxy_config_last_reload_successful",
                "Whether the newest form of the configuration is in force.",
                &[],
            ),
        };
        status.last.set(1.0);
        status
    }

    /// The present state.
    pub(crate) fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A reload worked.
    pub(super) fn succeeded(&self, hash: Option<String>) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) =
            State { hash, last_error: None };
        self.good.increment();
        self.last.set(1.0);
    }

    /// A reload was refused; the hash stays that of what is in force. Gives whether this is news: not where one is only tried
    /// `again` and fails for the same reason.
    pub(super) fn failed(&self, reason: &str, again: bool) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if again && state.last_error.as_deref() == Some(reason) {
            return false;
        }
        state.last_error = Some(reason.to_owned());
        self.bad.increment();
        self.last.set(0.0);
        true
    }
}
