//! The gate: THE path of a request, from its first byte understood to its answer. Normalise, own endpoint or route,
//! authenticate, authorise, forward; each step is a file below.
//!
//! Only here sessions, cookies, the provider and upstreams meet. A step that fails gives a [`Refusal`], and `respond` alone
//! makes that a response.

mod asked;
mod authenticate;
mod bearer;
mod cache;
mod claimant;
mod endpoint;
mod form;
mod forward;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod login;
mod refusal;
mod respond;
mod target;
mod told;
mod visit;

pub(crate) use refusal::Refusal;

use crate::body::Body;
use crate::entry::Answered;
use crate::oidc::Preferences;
use crate::peer::Peer;
use crate::policy::Restrictions;
use crate::reply;
use crate::routing::{NormalPath, Normalised};
use crate::site::SiteRef;
use crate::worker::Worker;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use std::sync::Arc;
use visit::{Manner, Visit};

/// Answers a request under the configuration that was in force when it came.
pub(crate) async fn handle(
    worker: Arc<Worker>,
    site: SiteRef,
    peer: Arc<Peer>,
    request: Request<Incoming>,
) -> Answered {
    let now = site.context.clock.now();
    let mut visit = Visit::of(&site, &worker, &peer, request, now);
    let answer = serve(&mut visit).await;
    let response = answer.unwrap_or_else(|refusal| respond::refuse(&visit, &refusal));
    respond::finish(visit, response)
}

/// The request path.
async fn serve(visit: &mut Visit<'_>) -> Result<Response<Body>, Refusal> {
    let path = match normalise(visit)? {
        Normalised::Path(path) => path,
        Normalised::Moved(to) => {
            visit.entry.unlogged();
            visit.entry.uncounted();
            return Ok(reply::moved(StatusCode::MOVED_PERMANENTLY, &to));
        }
    };
    if let Some(location) = visit.https_location() {
        visit.entry.unlogged();
        visit.entry.uncounted();
        return Ok(reply::redirect(
            &visit.from.head.method,
            StatusCode::PERMANENT_REDIRECT,
            &location,
        ));
    }
    if let Some(endpoint) = visit.from.site.prepared.endpoints.find(path.received()) {
        return endpoint::serve(visit, endpoint, &path).await;
    }
    let place = visit.from.site.policy.find(&asked::here(visit, &path));
    match visit.decide(place.asks, &Restrictions::of(path.query())).await {
        Ok(pass) => Ok(forward::forward(visit, &path, place.route, pass).await),
        Err(refusal) => turn_away(visit, &path, refusal).await,
    }
}

fn normalise(visit: &Visit<'_>) -> Result<Normalised, Refusal> {
    let target = visit.from.head.uri.path_and_query();
    Ok(target.map_or(Err(NormalPath::NONE), NormalPath::of)?)
}

/// What becomes of whoever may not pass: for want of a session that is a page or a redirect for people, 401 for programs.
async fn turn_away(
    visit: &mut Visit<'_>,
    path: &NormalPath,
    refusal: Refusal,
) -> Result<Response<Body>, Refusal> {
    visit.settle_manner(path);
    match refusal {
        Refusal::SignIn if visit.manner != Manner::Json => {
            aim(visit, path);
            if visit.from.site.config.access.skip_provider_button {
                let provider = visit.from.site.providers.standard();
                return Box::pin(login::begin(visit, provider, &Preferences::default())).await;
            }
        }
        Refusal::Denied(_) => aim(visit, path),
        _ => {}
    }
    Err(refusal)
}

/// Works out where the pages of a proxied request lead back to. Its query is the application's: one that is malformed by our
/// rules asks for nothing, and is kept as it is.
fn aim(visit: &mut Visit<'_>, path: &NormalPath) {
    let rd = form::Form::of_query(&visit.from.head).get("rd").ok().flatten();
    visit.aim(path, &[rd.as_deref()]);
}

#[cfg(test)]
mod tests;
