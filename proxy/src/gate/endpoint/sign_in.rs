//! The sign-in page and the beginning of a login.

use crate::body::Body;
use crate::gate::form::Form;
use crate::gate::login;
use crate::gate::refusal::Refusal;
use crate::gate::respond;
use crate::gate::target;
use crate::gate::visit::Visit;
use crate::oidc::Preferences;
use crate::routing::NormalPath;
use crate::telemetry::Sparing;
use http::{Response, StatusCode};

/// What our error page asks for where signing in helps only as somebody else.
const ANOTHER: &str = "select_account";

/// The sign-in page, or the login itself if nothing is to be clicked. It ends the session that the browser has.
///
/// # Errors
/// The parameters, or the provider.
pub(super) async fn page(
    visit: &mut Visit<'_>,
    path: &NormalPath,
) -> Result<Response<Body>, Refusal> {
    if visit.from.site.config.access.skip_provider_button {
        return start(visit, path).await;
    }
    if visit.from.is_embedded_elsewhere() {
        return Err(Refusal::Embedded);
    }
    aim(visit, path).await?;
    visit.from.clear_session().await?;
    Ok(respond::sign_in(visit, StatusCode::OK))
}

/// Sends the person to the provider. Another site may ask for it, which says by `iss` to which one, by `login_hint` whom it
/// means and by `target_link_uri` what for (OpenID Connect Core 1.0 section 4); `rd` goes before that.
///
/// # Errors
/// The parameters, or the provider.
pub(super) async fn start(
    visit: &mut Visit<'_>,
    path: &NormalPath,
) -> Result<Response<Body>, Refusal> {
    let parameters = aim(visit, path).await?;
    let issuers = parameters.iter().filter(|(name, _)| name == "iss");
    let issuers: Vec<&str> = issuers.map(|(_, issuer)| issuer.as_str()).collect();
    let Some(provider) = visit.from.site.providers.of_issuers(&issuers) else {
        let issuer = issuers.first().copied().unwrap_or_default();
        thread_local!(static FOREIGN: Sparing = const { Sparing::new() });
        let refusal = Refusal::foreign_issuer(issuer);
        FOREIGN.with(|place| visit.from.note_sparingly(place, &refusal.to_string()));
        return Err(refusal);
    };
    let another_account = first(&parameters, "prompt") == Some(ANOTHER);
    login::begin(visit, provider, &Preferences { another_account, parameters }).await
}

/// Works out where the login leads back to.
async fn aim(visit: &mut Visit<'_>, path: &NormalPath) -> Result<Vec<(String, String)>, Refusal> {
    let parameters = Form::read(visit).await?.pairs()?;
    let link =
        first(&parameters, "target_link_uri").and_then(|link| target::linked(&visit.from, link));
    visit.aim(path, &[first(&parameters, "rd"), link.as_deref()]);
    Ok(parameters)
}

fn first<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}
