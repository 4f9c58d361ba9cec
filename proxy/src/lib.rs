//! An authenticating reverse proxy, a drop-in for oauth2-proxy.
//!
//! `main` and the tests start it through the composition root; nothing else is public but what is measured and judged from
//! outside ([`probe`], the clock, what is fuzzed, the list of options).

mod access_log;
mod admin;
mod app;
mod args;
mod backend;
mod body;
pub mod clock;
mod command;
mod cookie;
mod dial;
mod entry;
mod fields;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod identity;
mod ip;
mod metrics;
mod names;
mod oidc;
mod options;
mod output;
mod pace;
mod page;
mod peer;
mod pending;
mod percent;
mod policy;
#[doc(hidden)]
pub mod probe;
mod random;
mod refresh;
mod reload;
mod reply;
mod request_id;
mod routing;
mod secrets;
mod server;
mod session;
mod site;
mod store;
mod stream;
mod telemetry;
mod thread;
mod trust;
mod upstream;
mod wire;
mod worker;

pub use command::main;
pub use options::document::page as options_page;
