//! The end of a login (`reference/endpoints.md` section 9). The state is checked, and used up, before the provider is asked
//! anything.

use crate::body::Body;
use crate::gate::form::Form;
use crate::gate::login;
use crate::gate::refusal::Refusal;
use crate::gate::target;
use crate::gate::told;
use crate::gate::visit::Visit;
use crate::metrics::Event;
use crate::oidc::{CallbackError, CallbackParams, LoginState, Network, shown};
use crate::pending::NoLogin;
use crate::policy::{Verdict, location, single};
use crate::reply;
use crate::routing::NormalPath;
use crate::session::Session;
use crate::store::StoreError;
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
            visit.log_failure(user, &message);
        } else {
            visit.claimant().note(user, &message);
        }
        visit.worker.shard.count(Event::LoginFailed);
    }
    let session = outcome?;
    let shown = session.identity.shown();
    visit.entry.set_user(single(shown));
    visit.log_success(shown, "signed in");
    visit.worker.shard.count(Event::LoginSucceeded);
    Ok(reply::redirect(&visit.head.method, StatusCode::FOUND, &location(&visit.target)))
}

async fn session(visit: &mut Visit<'_>, form: &Form) -> Result<Session, Refusal> {
    let params = CallbackParams::parse(&form.response())?;
    let state = login_of(visit, &params)?;
    let provider = visit.site.providers.of_login(&state).ok_or(CallbackError::OtherProvider)?;
    let session =
        provider.callback(&params, state, &login::redirect_uri(visit), network(visit)).await?;
    let verdict = visit.site.policy.verdict(&session.identity);
    // Without an address nobody signs in, not even where all addresses may: it is what the application knows them by.
    let nameless = session.identity.email.as_deref().is_none_or(str::is_empty);
    let verdict =
        if nameless && verdict == Verdict::Allowed { Verdict::EmailNotAllowed } else { verdict };
    if verdict != Verdict::Allowed {
        return Err(Refusal::NotAllowed { shown: session.identity.shown().to_owned(), verdict });
    }
    let saved = visit.site.store.save(&session, &visit.cookies(), visit.host()).await;
    visit.set_cookies.extend(saved.map_err(|error| match error {
        StoreError::TooLong(_) | StoreError::TooLarge(_) => Refusal::Unsaved(error.to_string()),
        StoreError::Unavailable(reason) => Refusal::NoStore(reason),
    })?);
    Ok(session)
}

/// Where the request comes from: as a named proxy tells it, else the peer's own.
fn network(visit: &Visit<'_>) -> Network {
    let (http, headers) = (&visit.site.config.http, &visit.head.headers);
    let told = told::client_ip(http, visit.peer, headers, visit.trust);
    told.or_else(|| visit.peer.canonical()).into()
}

/// The login that the answer belongs to. From here on its cookie is gone and its state used, whatever follows.
fn login_of(visit: &mut Visit<'_>, params: &CallbackParams) -> Result<LoginState, Refusal> {
    // A refusal of the provider is shown as one even if it belongs to no login here: nothing comes of it.
    let declined = |otherwise: Refusal| {
        params.error().map_or(otherwise, |code| Refusal::Declined(shown(code)))
    };
    let encoded = visit.site.config.http.encode_state;
    let state = params.state().and_then(|parameter| login::split_state(parameter, encoded));
    let (hash, target) = state.ok_or_else(|| declined(Refusal::NoState))?;
    visit.target = if visit.site.policy.whitelist.allows(&target) {
        target
    } else {
        target::tell(&target);
        "/".to_owned()
    };
    let prepared = &visit.site.prepared;
    let found = prepared
        .login_cookies
        .find(&visit.site.ring, &hash, &visit.cookies(), visit.now)
        .map_err(|why| declined(why.into()))?;
    let line = prepared.login_cookies.forget(&found.name, visit.host());
    let fresh = prepared.used.take(&hash, visit.now);
    visit.set_cookies.push(line);
    if !fresh {
        return Err(NoLogin::Used.into());
    }
    if !params.state().is_some_and(|parameter| found.state.is_bound_to(parameter)) {
        "/".clone_into(&mut visit.target);
        return Err(NoLogin::OtherTarget.into());
    }
    Ok(found.state)
}
