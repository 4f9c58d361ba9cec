//! Cookies: reading those of a request, writing and clearing our own, splitting long ones, taking ours out of what goes
//! upstream (RFC 6265). Knows nothing of what a cookie carries.

mod attributes;
mod chunk;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod jar;
mod own;

pub(crate) use attributes::{Attributes, SetCookie};
pub(crate) use chunk::{MAX_CLEARED, MAX_VALUE, SessionCookie, TooLong};
pub(crate) use jar::RequestCookies;
pub(crate) use own::{OwnCookies, sign_out_name};
