//! The members of a discovery document that are used: strict in what safety needs, patient with the rest. Other people's
//! documents have texts for lists, nulls and empty addresses in places that no login needs.

use super::{endpoint, jws};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;
use url::Url;

/// What a document says. Nothing in it was compared with the configuration.
pub(super) struct Document {
    pub(super) issuer: String,
    pub(super) authorization: Option<String>,
    pub(super) token: Option<String>,
    pub(super) jwks: Option<String>,
    pub(super) optional: Optional,
}

/// What a login can do without.
#[derive(Default)]
pub(super) struct Optional {
    pub(super) userinfo: Option<Url>,
    pub(super) end_session: Option<Url>,
    pub(super) authentication_methods: Option<Vec<String>>,
    pub(super) pkce_methods: Option<Vec<String>>,
    pub(super) algorithms: Option<Vec<String>>,
    pub(super) scopes: Option<Vec<String>>,
    pub(super) prompts: Option<Vec<String>>,
    pub(super) iss_in_response: bool,
    /// The members that were left out, in whole or in part, each with the reason.
    pub(super) odd: Vec<String>,
}

impl Document {
    /// Reads a document. `plain_http` says whether an address that begins with `http:` may be used.
    ///
    /// # Errors
    /// No JSON object, or a member that a login needs can not be read: then it is named.
    pub(super) fn parse(text: &[u8], plain_http: bool) -> Result<Self, String> {
        let mut members: Members =
            jws::object(text).map_err(|error| jws::cut(&error.to_string()))?;
        Ok(Self {
            issuer: members.needed("issuer")?.ok_or("there is no issuer")?,
            authorization: members.needed("authorization_endpoint")?,
            token: members.needed("token_endpoint")?,
            jwks: members.needed("jwks_uri")?,
            optional: Optional::read(members, plain_http),
        })
    }
}

impl Optional {
    fn read(mut members: Members, plain_http: bool) -> Self {
        let userinfo = members.address("userinfo_endpoint", plain_http);
        let end_session = members.address("end_session_endpoint", plain_http);
        Self {
            userinfo,
            end_session,
            authentication_methods: members.list("token_endpoint_auth_methods_supported"),
            pkce_methods: members.list("code_challenge_methods_supported"),
            algorithms: members.list("id_token_signing_alg_values_supported"),
            scopes: members.list("scopes_supported"),
            prompts: members.list("prompt_values_supported"),
            iss_in_response: members.switch("authorization_response_iss_parameter_supported"),
            odd: members.odd,
        }
    }
}

/// The members of an object in order, with those that are there twice.
struct Members {
    all: Vec<(String, Value)>,
    odd: Vec<String>,
}

impl Members {
    /// The value of a member, unless it is null. The error is that it is there twice.
    fn take(&mut self, name: &str) -> Result<Option<Value>, &'static str> {
        let mut found = self.all.extract_if(.., |(own, _)| own == name).map(|(_, value)| value);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err("is there twice"),
            (value, None) => Ok(value.filter(|value| !value.is_null())),
        }
    }

    fn needed(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.take(name).map_err(|what| format!("{name} {what}"))? {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("{name} is no text")),
        }
    }

    /// The member as `read` understands it; what it does not understand is left out and noted.
    fn wanted<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Value) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.take(name).map_err(str::to_owned).transpose()?;
        value.and_then(read).map_err(|what| self.odd.push(format!("{name} {what}"))).ok()
    }

    fn address(&mut self, name: &str, plain_http: bool) -> Option<Url> {
        self.wanted(name, |value| {
            let text = value.as_str().ok_or("is no text")?;
            let url = endpoint("it", text).map_err(|error| error.to_string())?;
            if url.scheme() == "http" && !plain_http {
                return Err("is not https, as the issuer is".to_owned());
            }
            Ok(url)
        })
    }

    fn list(&mut self, name: &str) -> Option<Vec<String>> {
        let values = self.wanted(name, |value| match value {
            Value::Array(values) => Ok(values),
            _ => Err("is no list".to_owned()),
        })?;
        let whole = values.len();
        let texts: Vec<String> =
            values.into_iter().filter_map(|value| Some(value.as_str()?.to_owned())).collect();
        if texts.len() < whole {
            self.odd.push(format!("{name} has entries that are no text"));
        }
        Some(texts)
    }

    fn switch(&mut self, name: &str) -> bool {
        self.wanted(name, |value| value.as_bool().ok_or_else(|| "is neither true nor false".into()))
            .unwrap_or(false)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut all = Vec::new();
                while let Some(member) = map.next_entry()? {
                    all.push(member);
                }
                Ok(Members { all, odd: Vec::new() })
            }
        }

        deserializer.deserialize_map(Collect)
    }
}
