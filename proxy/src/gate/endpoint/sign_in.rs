//! The sign-in page and the beginning of a login (`reference/endpoints.md` sections 7 and 8).

use crate::body::Body;
use crate::gate::form::Form;
use crate::gate::login::{self, Account};
use crate::gate::refusal::Refusal;
use crate::gate::respond;
use crate::gate::visit::Visit;
use crate::routing::NormalPath;
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
    if visit.site.config.access.skip_provider_button {
        return start(visit, path).await;
    }
    if visit.is_embedded_elsewhere() {
        return Err(Refusal::Embedded);
    }
    aim(visit, path).await?;
    visit.clear_session().await?;
    Ok(respond::sign_in(visit, StatusCode::OK))
}

/// Sends the person to the provider.
///
/// # Errors
/// The parameters, or the provider.
pub(super) async fn start(
    visit: &mut Visit<'_>,
    path: &NormalPath,
) -> Result<Response<Body>, Refusal> {
    let form = aim(visit, path).await?;
    let another = form.get("prompt")?.is_some_and(|prompt| prompt == ANOTHER);
    login::begin(visit, if another { Account::Another } else { Account::Any }).await
}

async fn aim(visit: &mut Visit<'_>, path: &NormalPath) -> Result<Form, Refusal> {
    let form = Form::read(visit).await?;
    let rd = form.get("rd")?;
    visit.aim(path, rd.as_deref());
    Ok(form)
}
