//! Whom a token is for, and to whom it was issued.

use super::TokenRefused;
use crate::oidc::jws::shown;
use proxy_config::Claims;
use serde_json::{Map, Value};

/// For whom a token must be.
pub(in crate::oidc) struct Audience<'a> {
    /// The ids of the client.
    pub(in crate::oidc) clients: Vec<&'a str>,
    /// Which claims say it, and who counts beside the client.
    pub(in crate::oidc) claims: &'a Claims,
}

impl Audience<'_> {
    /// The first of the configured claims that exists decides, and must hold the client id or an extra audience. `aud`
    /// itself must have a right type whichever claim decides.
    pub(in crate::oidc) fn check(&self, claims: &Map<String, Value>) -> Result<(), TokenRefused> {
        list(claims, "aud")?;
        for name in &self.claims.audience {
            let Some(got) = list(claims, name)? else { continue };
            if got.iter().any(|audience| self.accepted().any(|ours| ours == *audience)) {
                return Ok(());
            }
            let got = got.into_iter().map(shown).collect::<Vec<_>>().join(", ");
            let wanted = self.wanted();
            return Err(TokenRefused::Audience { claim: name.clone(), got, wanted });
        }
        Err(TokenRefused::NoAudience(self.claims.audience.join(", ")))
    }

    /// A token with our client id in `aud` is ours, whoever had it issued: errata set 2 of Core 1.0 asks for nothing else
    /// (section 3.1.3.7). One that is for an extra audience only must not have been issued to a stranger. Not for bearer
    /// tokens, which a client rightly obtains for another one.
    pub(super) fn check_authorized_party(
        &self,
        claims: &Map<String, Value>,
    ) -> Result<(), TokenRefused> {
        if list(claims, "aud")?.is_some_and(|all| self.clients.iter().any(|id| all.contains(id))) {
            return Ok(());
        }
        match super::text(claims, "azp")?.filter(|party| !party.is_empty()) {
            Some(party) if !self.accepted().any(|ours| ours == party) => {
                Err(TokenRefused::AuthorizedParty { got: shown(party), wanted: self.wanted() })
            }
            _ => Ok(()),
        }
    }

    fn accepted(&self) -> impl Iterator<Item = &str> {
        let extra = self.claims.extra_audiences.iter().map(String::as_str);
        self.clients.iter().copied().chain(extra)
    }

    fn wanted(&self) -> String {
        self.accepted().map(shown).collect::<Vec<_>>().join(" or ")
    }
}

/// A claim that is a text or a list of texts.
fn list<'a>(
    claims: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<Vec<&'a str>>, TokenRefused> {
    let wrong = || TokenRefused::WrongType("audience");
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(one)) => Ok(Some(vec![one])),
        Some(Value::Array(many)) => many
            .iter()
            .map(|value| value.as_str().ok_or_else(wrong))
            .collect::<Result<_, _>>()
            .map(Some),
        Some(_) => Err(wrong()),
    }
}
