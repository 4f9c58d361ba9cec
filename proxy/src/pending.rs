//! Logins in progress, between the redirect to the provider and its answer: the cookies that remember them, and the states
//! that were used. It asks nobody anything.

mod cookies;
mod used;

pub(crate) use cookies::{LoginCookies, NoLogin};
pub(crate) use used::UsedStates;
