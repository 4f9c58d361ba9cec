//! The OpenID Connect client: one provider, from discovery to sign-out.
//!
//! It knows no cookies, no requests of clients and no pages: it makes URLs, takes the parameters of a callback and gives
//! sessions. Nothing that a provider or a client sends is believed before it is checked, and every check is in `verify`,
//! `jws`, `userinfo` or `callback`.

mod bearer;
mod callback;
mod callback_params;
mod claims;
mod client;
mod discovery;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod http;
mod issuer;
mod jws;
mod keys;
mod login;
mod login_parameters;
mod login_state;
mod logout;
mod outcome;
pub mod probe;
mod provider;
mod refresh;
mod renewal;
mod token;
mod userinfo;
mod uses;
mod validate;
mod verify;

pub(crate) use bearer::{BearerError, ClaimedIssuer};
pub(crate) use callback::{CallbackError, Failure};
pub(crate) use callback_params::{CallbackParams, ParamsError};
pub(crate) use client::ClientSettings;
pub(crate) use issuer::Unavailable;
pub(crate) use jws::shown;
pub(crate) use login::Preferences;
pub(crate) use login_state::LoginState;
pub(crate) use provider::{Provider, Status as ProviderStatus};
pub(crate) use refresh::Slow;
pub(crate) use renewal::{Ending, NotNow, Renewal};
#[cfg(test)]
pub(crate) use token::TokenError;
pub(crate) use uses::uses;

#[cfg(test)]
pub(crate) mod tests;
