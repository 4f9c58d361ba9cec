//! The end of a session (`reference/endpoints.md` section 13), here and, if configured, at the provider.

use crate::body::Body;
use crate::gate::form::Form;
use crate::gate::login;
use crate::gate::refusal::Refusal;
use crate::gate::visit::Visit;
use crate::metrics::Event;
use crate::policy::{location, single};
use crate::reply;
use crate::routing::NormalPath;
use crate::session::{Session, Token};
use http::{Response, StatusCode};

/// Stands for the ID token in a redirect to the provider.
const PLACEHOLDER: &str = "{id_token}";

/// Clears the session and leads on.
///
/// # Errors
/// The parameters, or the store: then the cookies are cleared and the record is not.
pub(super) async fn leave(
    visit: &mut Visit<'_>,
    path: &NormalPath,
) -> Result<Response<Body>, Refusal> {
    if visit.is_embedded_elsewhere() {
        return Err(Refusal::Embedded);
    }
    let form = Form::read(visit).await?;
    let rd = form.get("rd")?;
    visit.aim(path, rd.as_deref());
    let session = visit
        .site
        .store
        .load(&visit.cookies(), visit.now)
        .await
        .ok()
        .flatten()
        .map(|found| found.session);
    if let Some(session) = &session {
        visit.entry.set_user(single(session.identity.shown()));
    }
    visit.clear_session().await?;
    if let Some(session) = &session {
        visit.caller().note(session.identity.shown(), "signed out");
    }
    visit.worker.shard.count(Event::SignedOut);
    let next = next(visit, session.as_deref());
    Ok(reply::redirect(&visit.head.method, StatusCode::FOUND, &next))
}

/// Where to: the target, with the ID token in it only if it is the provider's end-session endpoint; or to that endpoint
/// by way of RP-initiated logout, which then leads to a target that was asked for.
fn next(visit: &Visit<'_>, session: Option<&Session>) -> String {
    let provider = &visit.site.provider;
    let id_token = session.and_then(|session| session.id_token.as_ref()).map(Token::as_str);
    if provider.is_end_session(&visit.target) {
        let filled = id_token
            .map(|token| visit.target.replace(PLACEHOLDER, token).replace("%7Bid_token%7D", token));
        return location(filled.as_deref().unwrap_or(&visit.target));
    }
    let absolute = match visit.target.as_str() {
        "/" => None,
        path if path.starts_with('/') => Some(format!("{}{path}", login::origin(visit))),
        url => Some(url.to_owned()),
    };
    let end = provider.end_session_url(id_token, absolute.as_deref()).filter(|_| session.is_some());
    end.unwrap_or_else(|| location(&visit.target))
}
