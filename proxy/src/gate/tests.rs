//! The request path through the real composition root, over real sockets. The provider is one whose endpoints are fixed
//! and never asked; what needs a provider that answers is tested in the `tests` crate.

mod access;
mod bearer;
mod claims;
mod denied;
mod earlier;
mod golden_headers;
mod golden_redirects;
mod login;
mod proxy;
mod several;

use proxy::{Proxy, session, upstream};

/// The future of a request is moved as a whole, and every busy connection has room for one.
#[test]
fn what_a_request_waits_in_is_small() {
    fn size<A, B, C, D, F>(_: impl FnOnce(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }
    let size = size(super::handle);
    assert!(size <= 4096, "{size} bytes: box what is rare and large");
}
