//! An authenticating reverse proxy, a drop-in for oauth2-proxy.
//!
//! `main` and the tests start it through the composition root; nothing else is public but what benches measure.

mod args;
pub mod clock;
mod cookie;
mod identity;
mod oidc;
mod options;
mod random;
mod refresh;
mod routing;
mod secrets;
mod session;
mod site;
mod store;

pub use options::document::page as options_page;
