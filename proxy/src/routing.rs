//! Which path a request is for, whether a rule covers it, and which upstream answers it.
//!
//! Pure and synchronous. A path is normalised once, in [`path`]; rules and the route table never see another form.

pub(crate) mod path;
pub(crate) mod pattern;
pub(crate) mod rewrite;
pub(crate) mod rules;
pub(crate) mod table;

pub(crate) use path::{Malformed, NormalPath, Normalised};
pub(crate) use rules::{ApiRoutes, PathRules};
pub(crate) use table::{Route, RouteTable};
