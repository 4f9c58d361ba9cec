//! Handing a request that may pass to what answers its path.

use super::refusal::Refusal;
use super::respond;
use super::told::{self, Trust};
use super::visit::Visit;
use crate::body::Body;
use crate::policy::{self, Pass};
use crate::reply;
use crate::routing::path::with_query;
use crate::routing::{NormalPath, Route};
use crate::upstream::{Forwarded, Injection, Question};
use http::{Response, StatusCode, Uri};

/// The answer of the upstream, or ours in its place; in any case it says who was there.
pub(super) async fn forward(
    visit: &mut Visit<'_>,
    path: &NormalPath,
    route: Route<'_>,
    pass: Pass,
) -> Response<Body> {
    let answered = answer(visit, path, route, &pass).await;
    let mut response = answered.unwrap_or_else(|refusal| respond::refuse(visit, &refusal));
    if let Some(person) = pass.person {
        policy::add_to(response.headers_mut(), &person.response_headers);
    }
    response
}

async fn answer(
    visit: &mut Visit<'_>,
    path: &NormalPath,
    route: Route<'_>,
    pass: &Pass,
) -> Result<Response<Body>, Refusal> {
    let (index, target) = match route {
        Route::Upstream { index, rewrite: None } => (index, path.rewritten()),
        Route::Upstream { index, rewrite: Some(rewrite) } => (index, Some(rewrite.apply(path)?)),
        Route::AddSlash => {
            let location = with_query(&format!("{}/", path.text()), path.query());
            return Ok(reply::redirect(
                &visit.from.head.method,
                StatusCode::MOVED_PERMANENTLY,
                &location,
            ));
        }
        Route::Nothing => return Ok(reply::not_found()),
    };
    let Some(backend) = visit.from.site.backends.get(index) else { return Ok(reply::not_found()) };
    visit.entry.set_upstream(backend.id());
    let injection = Injection {
        names: &visit.from.site.prepared.names,
        headers: pass.person.as_deref().map(|person| &person.request_headers),
        cookies: &visit.from.site.prepared.own_cookies,
        forwarded: forwarded(visit),
        other_method: pass.other_method,
        stranger: pass.person.is_none(),
    };
    // What is left of the visit is enough for a refusal.
    if let Some(target) = target {
        visit.from.head.uri = Uri::from(target);
    }
    let question = Question { head: &mut visit.from.head, body: visit.body.take() };
    Ok(backend.answer(visit.from.worker, visit.from.peer, question, &injection).await?)
}

/// Only a named proxy speaks for the client. What redirects may believe is told on, so that the application makes the same URLs.
fn forwarded(visit: &Visit<'_>) -> Forwarded {
    if visit.from.trust == Trust::Everything {
        return Forwarded::Keep;
    }
    Forwarded::Replace {
        https: visit.from.is_https(),
        host: told::told_host(&visit.from.head.headers, visit.from.trust).cloned(),
    }
}
