//! The end of a login (RFC 6749 section 4.1.2). The state is checked, and used up, before the provider is asked
//! anything.

use crate::body::Body;
use crate::gate::form::Form;
use crate::gate::login;
use crate::gate::refusal::Refusal;
use crate::gate::target;
use crate::gate::visit::Visit;
use crate::metrics::Event;
use crate::oidc::{CallbackError, CallbackParams, LoginState, shown};
use crate::pending::NoLogin;
use crate::policy::{Verdict, location, single};
use crate::reply;
use crate::routing::NormalPath;
use crate::session::Session;
use http::{Response, StatusCode};

/// Takes the provider's answer, keeps the session, and leads back to where the login began.
///
/// # Errors
/// Everything that can go wrong with a login; see [`Refusal`].
pub(super) async fn finish(
    visit: &mut Visit<'_>,
    path: &NormalPath,
) -> Result<Response<Body>, Refusal> {
    let form = Form::read(visit).await?;
    visit.aim(path, &[]);
    let outcome = session(visit, &form).await;
    if let Err(refusal) = &outcome {
        let user =
            if let Refusal::NotAllowed { shown, .. } = refusal { shown.as_str() } else { "-" };
        let message = format!("login failed: {refusal}");
        if refusal.is_failed_attempt() {
            visit.from.log_failure(user, &message);
        } else {
            visit.from.note(user, &message);
        }
        visit.from.worker.shard.count(Event::LoginFailed);
    }
    let session = outcome?;
    let shown = session.identity.shown();
    visit.entry.set_user(single(shown));
    visit.from.log_success(shown, "signed in");
    visit.from.worker.shard.count(Event::LoginSucceeded);
    Ok(reply::redirect(&visit.from.head.method, StatusCode::FOUND, &location(&visit.target)))
}

async fn session(visit: &mut Visit<'_>, form: &Form) -> Result<Session, Refusal> {
    let params = CallbackParams::parse(&form.response())?;
    let state = login_of(visit, &params)?;
    let provider =
        visit.from.site.providers.of_login(&state).ok_or(CallbackError::OtherProvider)?;
    // Where the request comes from: as a named proxy tells it, else the peer's own.
    let network = visit.from.ip().or_else(|| visit.from.peer.canonical()).into();
    let redirect_uri = login::redirect_uri(&visit.from);
    let session = provider.callback(&params, state, &redirect_uri, network).await?;
    let verdict = visit.from.site.policy.verdict(&session.identity);
    // Without an address nobody signs in, not even where all addresses may: it is what the application knows them by.
    let nameless = session.identity.email.as_deref().is_none_or(str::is_empty);
    let verdict =
        if nameless && verdict == Verdict::Allowed { Verdict::EmailNotAllowed } else { verdict };
    if verdict != Verdict::Allowed {
        return Err(Refusal::NotAllowed { shown: session.identity.shown().to_owned(), verdict });
    }
    let saved =
        visit.from.site.store.save(&session, &visit.from.cookies(), visit.from.host()).await;
    visit.from.set_cookies.extend(saved?);
    Ok(session)
}

/// The login that the answer belongs to. From here on its cookie is gone and its state used, whatever follows.
fn login_of(visit: &mut Visit<'_>, params: &CallbackParams) -> Result<LoginState, Refusal> {
    // A refusal of the provider is shown as one even if it belongs to no login here: nothing comes of it.
    let declined = |otherwise: Refusal| {
        params.error().map_or(otherwise, |code| Refusal::Declined(shown(code)))
    };
    let encoded = visit.from.site.config.http.encode_state;
    let state = params.state().and_then(|parameter| login::split_state(parameter, encoded));
    let (hash, target) = state.ok_or_else(|| declined(Refusal::NoState))?;
    visit.target = if visit.from.site.policy.whitelist.allows(&target) {
        target
    } else {
        target::tell(&target);
        "/".to_owned()
    };
    let prepared = &visit.from.site.prepared;
    let found = prepared
        .login_cookies
        .find(&visit.from.site.ring, &hash, &visit.from.cookies(), visit.from.now)
        .map_err(|why| declined(why.into()))?;
    let line = prepared.login_cookies.forget(&found.name, visit.from.host());
    let fresh = prepared.used.take(&hash, visit.from.now);
    visit.from.set_cookies.push(line);
    if !fresh {
        return Err(NoLogin::Used.into());
    }
    if !params.state().is_some_and(|parameter| found.state.is_bound_to(parameter)) {
        "/".clone_into(&mut visit.target);
        return Err(NoLogin::OtherTarget.into());
    }
    Ok(found.state)
}
