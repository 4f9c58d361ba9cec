//! Whether the session may pass, for a proxy in front, and who it is.

use crate::body::Body;
use crate::gate::asked;
use crate::gate::refusal::Refusal;
use crate::gate::visit::{Manner, Visit};
use crate::identity::Identity;
use crate::policy::{self, Restrictions};
use crate::reply;
use crate::routing::NormalPath;
use http::{Response, StatusCode};
use serde::Serialize;

/// 202 if the request may pass, else 401 or 403.
///
/// # Errors
/// It may not, or nobody knows.
pub(super) async fn auth(
    visit: &mut Visit<'_>,
    path: &NormalPath,
) -> Result<Response<Body>, Refusal> {
    let asks = visit.from.site.policy.find(&asked::told(visit)).asks;
    visit.manner = Manner::Plain;
    let pass = visit.decide(asks, &Restrictions::of(path.query())).await?;
    let mut response = reply::empty(StatusCode::ACCEPTED);
    if let Some(person) = pass.person {
        policy::add_to(response.headers_mut(), &person.response_headers);
    }
    Ok(response)
}

/// The identity as JSON.
///
/// # Errors
/// Nobody who may pass has a session here, or nobody knows.
pub(super) async fn userinfo(
    visit: &mut Visit<'_>,
    path: &NormalPath,
) -> Result<Response<Body>, Refusal> {
    let asks = visit.from.site.policy.find(&asked::here(visit, path)).asks;
    visit.manner = Manner::Plain;
    let pass = visit.decide(asks, &Restrictions::of(None)).await?;
    Ok(reply::json(
        StatusCode::OK,
        pass.person.map_or_else(|| "{}".to_owned(), |person| shown(&person.identity)),
    ))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Userinfo<'a> {
    user: &'a str,
    email: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    groups: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_username: Option<&'a str>,
}

/// One line of JSON; what HTML could take for markup, or a script for the end of a line, is escaped.
fn shown(identity: &Identity) -> String {
    let Identity { user, email, groups, preferred_username } = identity;
    let info = Userinfo {
        user,
        email: email.as_deref().unwrap_or_default(),
        groups,
        preferred_username: preferred_username.as_deref().filter(|name| !name.is_empty()),
    };
    // Strings and lists of strings always have a JSON form.
    let text = serde_json::to_string(&info).unwrap_or_else(|_| "{}".to_owned());
    let escapes = [
        ('<', "\\u003c"),
        ('>', "\\u003e"),
        ('&', "\\u0026"),
        ('\u{2028}', "\\u2028"),
        ('\u{2029}', "\\u2029"),
    ];
    escapes.into_iter().fold(text, |text, (raw, escaped)| text.replace(raw, escaped)) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn userinfo_has_the_peers_form() {
        let full = Identity {
            user: "u<1>".to_owned(),
            email: Some("a&b@x".to_owned()),
            groups: vec!["g".to_owned()],
            preferred_username: Some("p".to_owned()),
        };
        let text = r#"{"user":"u\u003c1\u003e","email":"a\u0026b@x","groups":["g"],"preferredUsername":"p"}"#;
        assert_eq!(shown(&full), format!("{text}\n"));
        assert_eq!(shown(&Identity::default()), "{\"user\":\"\",\"email\":\"\"}\n");
        let lines = Identity { user: "a\u{2028}b\u{2029}".to_owned(), ..Identity::default() };
        assert_eq!(shown(&lines), "{\"user\":\"a\\u2028b\\u2029\",\"email\":\"\"}\n");
    }
}
