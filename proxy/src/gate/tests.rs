//! The request path through the real composition root, over real sockets. The provider is one whose endpoints are fixed
//! and never asked; what needs a provider that answers is tested in the `tests` crate.

mod access;
mod golden_headers;
mod golden_redirects;
mod login;
mod proxy;

use proxy::{Proxy, session, upstream};
