//! Which path a request is for, whether it is one of our own, and which upstream answers it.
//!
//! Pure and synchronous. A path is normalised once, in [`path`]; rules and the route table never see another form.

mod endpoints;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
pub(crate) mod path;
pub(crate) mod pattern;
pub(crate) mod rewrite;
pub(crate) mod table;

pub(crate) use endpoints::{Endpoint, Endpoints};
pub(crate) use path::{Malformed, NormalPath, Normalised};
pub(crate) use table::{Route, RouteTable};
