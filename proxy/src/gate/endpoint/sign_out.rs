//! The end of a session, here and, if configured, at the provider, and the way back
//! from there (OpenID Connect RP-Initiated Logout 1.0).

use crate::body::Body;
use crate::gate::form::Form;
use crate::gate::login;
use crate::gate::refusal::Refusal;
use crate::gate::respond;
use crate::gate::visit::Visit;
use crate::metrics::Event;
use crate::policy::{location, single};
use crate::reply;
use crate::routing::NormalPath;
use crate::session::Token;
use crate::store::Found;
use crate::telemetry::Sparing;
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
    if visit.from.is_embedded_elsewhere() {
        return Err(Refusal::Embedded);
    }
    let form = Form::read(visit).await?;
    let rd = form.get("rd")?;
    visit.aim(path, &[rd.as_deref()]);
    let found =
        visit.from.site.store.load(&visit.from.cookies(), visit.from.now).await.ok().flatten();
    if let Some(Found { session, .. }) = &found {
        visit.entry.set_user(single(session.identity.shown()));
    }
    visit.from.clear_session().await?;
    if let Some(Found { session, .. }) = &found {
        visit.from.note(session.identity.shown(), "signed out");
    }
    visit.from.worker.shard.count(Event::SignedOut);
    let next = match &found {
        Some(found) => next(visit, found).await,
        None => None,
    };
    let next = next.unwrap_or_else(|| location(&visit.target));
    Ok(reply::redirect(&visit.from.head.method, StatusCode::FOUND, &next))
}

/// Takes in somebody whom the provider has signed out. Whatever they bring, they get a page or get on: a `state` that is not
/// this browser's only means that nobody can say what has ended, and then nothing is ended here either, or any link could.
pub(super) fn land(visit: &mut Visit<'_>) -> Response<Body> {
    thread_local!(static UNMATCHED: Sparing = const { Sparing::new() });
    let prepared = &visit.from.site.prepared;
    let state = Form::of_query(&visit.from.head).get("state").ok().flatten().unwrap_or_default();
    let found = prepared.sign_out_cookie.find(
        &visit.from.site.ring,
        &state,
        &visit.from.cookies(),
        visit.from.now,
    );
    let Some(target) = found else {
        let message = "a sign-out came back that is not under way in this browser";
        UNMATCHED.with(|place| visit.from.note_sparingly(place, message));
        return respond::signed_out(visit, false);
    };
    visit.from.set_cookies.push(prepared.sign_out_cookie.forget(visit.from.host()));
    visit.from.note("-", "signed out at the provider too");
    // What may be led to can have changed meanwhile.
    if target == "/" || !visit.from.site.policy.whitelist.allows(&target) {
        return respond::signed_out(visit, true);
    }
    reply::redirect(&visit.from.head.method, StatusCode::FOUND, &location(&target))
}

/// Where somebody goes who had a session, if not simply to the target: there with the ID token in it, only if it is the
/// end-session endpoint of the session's provider; or to that endpoint by way of RP-initiated logout, which comes back to
/// [`land`] and from there leads to the target.
async fn next(visit: &mut Visit<'_>, Found { session, provider, .. }: &Found) -> Option<String> {
    let provider = visit.from.site.providers.at(*provider)?;
    provider.before_leaving(&visit.target).await;
    let id_token = session.id_token.as_ref().map(Token::as_str);
    if provider.is_end_session(&visit.target) {
        let token = id_token?;
        let filled = visit.target.replace(PLACEHOLDER, token).replace("%7Bid_token%7D", token);
        return Some(location(&filled));
    }
    let (cookie, generation) =
        (&visit.from.site.prepared.sign_out_cookie, session.login.credentials);
    let (state, line) =
        cookie.remember(&visit.from.site.ring, &visit.target, visit.from.now, visit.from.host());
    let landing = format!(
        "{}{}/signed_out",
        login::origin(&visit.from),
        visit.from.site.config.http.proxy_prefix
    );
    let end = provider.end_session_url(generation, id_token, Some((&landing, &state)))?;
    visit.from.set_cookies.push(line);
    Some(end)
}
