//! Logins and sign-outs in progress, between the redirect to the provider and the way back: the cookies that remember them,
//! and the states that were used. It asks nobody anything.

mod cookies;
mod sign_out;
mod used;

pub(crate) use cookies::{LoginCookies, NoLogin};
pub(crate) use sign_out::SignOutCookie;
pub(crate) use used::UsedStates;
