//! Which proxies in front leave out the method when they ask whether a request may pass. One that sets `X-Forwarded-Method`
//! has it in each question; where it comes only sometimes, the proxy passes on what its client wrote, and that opens nothing.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{PoisonError, RwLock};

/// Most addresses that are remembered. With more, no method counts of anybody.
const MAX: usize = 1024;

/// The addresses that asked without a method since the process started; `None`: by a unix socket.
#[derive(Debug, Default)]
pub(crate) struct Askers(RwLock<HashSet<Option<IpAddr>>>);

impl Askers {
    /// Notes that this one asked without a method; whether that is news.
    pub(crate) fn asked_without_method(&self, asker: Option<IpAddr>) -> bool {
        if !self.set_method(asker) {
            return false;
        }
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(asker)
    }

    /// Whether this one was never seen to ask without a method.
    pub(crate) fn set_method(&self, asker: Option<IpAddr>) -> bool {
        let without = self.0.read().unwrap_or_else(PoisonError::into_inner);
        without.len() < MAX && !without.contains(&asker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn asker(number: u32) -> Option<IpAddr> {
        Some(Ipv4Addr::from(number).into())
    }

    #[test]
    fn who_once_asked_without_a_method_never_sets_it() {
        let askers = Askers::default();
        assert!(askers.set_method(asker(1)) && askers.set_method(None));
        assert!(askers.asked_without_method(asker(1)));
        assert!(!askers.asked_without_method(asker(1)), "told once");
        assert!(!askers.set_method(asker(1)));
        assert!(askers.set_method(asker(2)) && askers.set_method(None));
    }

    #[test]
    fn where_too_many_ask_without_a_method_nobody_sets_it() {
        let askers = Askers::default();
        for number in 1..=u32::try_from(MAX).unwrap() {
            assert!(askers.asked_without_method(asker(number)));
        }
        assert!(!askers.set_method(asker(9999)) && !askers.asked_without_method(asker(9999)));
    }
}
