//! What the own endpoints answer: those of oauth2-proxy v7.15.3, but for what `docs/differences.md` tells.

mod auth;
mod callback;
mod health;
mod sign_in;
mod sign_out;

use super::refusal::Refusal;
use super::visit::Visit;
use crate::body::Body;
use crate::reply;
use crate::routing::{Endpoint, NormalPath};
use http::{Response, StatusCode};

/// Answers a request for an own endpoint.
///
/// # Errors
/// See [`Refusal`].
pub(super) async fn serve(
    visit: &mut Visit<'_>,
    endpoint: Endpoint,
    path: &NormalPath,
) -> Result<Response<Body>, Refusal> {
    visit.no_cache = matches!(
        endpoint,
        Endpoint::SignIn
            | Endpoint::SignOut
            | Endpoint::SignedOut
            | Endpoint::Start
            | Endpoint::Callback
            | Endpoint::Userinfo
    );
    match endpoint {
        Endpoint::Ping | Endpoint::Ready => {
            visit.entry.uncounted();
            Ok(Box::pin(health::answer(visit, endpoint)).await)
        }
        Endpoint::Robots => Ok(reply::text(StatusCode::OK, "User-agent: *\nDisallow: /\n")),
        Endpoint::Static => Ok(reply::not_found()),
        Endpoint::Auth => auth::auth(visit, path).await,
        Endpoint::Userinfo => auth::userinfo(visit, path).await,
        // Boxed, because they are rare and large, and every request's future would have room for them.
        Endpoint::SignIn => Box::pin(sign_in::page(visit, path)).await,
        Endpoint::Start => Box::pin(sign_in::start(visit, path)).await,
        Endpoint::Callback => Box::pin(callback::finish(visit, path)).await,
        Endpoint::SignOut => Box::pin(sign_out::leave(visit, path)).await,
        Endpoint::SignedOut => Ok(sign_out::land(visit)),
    }
}
