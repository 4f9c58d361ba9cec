//! Configured parameters of the authorization request, and which of them whoever begins a login may choose
//! (oauth2-proxy's `loginURLParameters`: defaults, and values or patterns that replace them). What no rule allows never gets
//! into the request.

use proxy_config::{AllowedValue, LoginParameter};
use regex::Regex;

/// The configured parameters, compiled.
#[derive(Debug)]
pub(super) struct LoginParameters(Vec<Parameter>);

#[derive(Debug)]
struct Parameter {
    name: String,
    values: Vec<String>,
    allow: Vec<Rule>,
}

#[derive(Debug)]
enum Rule {
    Is(String),
    Matches(Regex),
}

impl LoginParameters {
    /// From the configuration. An expression that does not compile was refused with it, and allows nothing here.
    pub(super) fn compile(parameters: &[LoginParameter]) -> Self {
        let compiled = parameters.iter().map(|LoginParameter { name, values, allow }| Parameter {
            name: name.clone(),
            values: values.clone(),
            allow: allow.iter().filter_map(Rule::compile).collect(),
        });
        Self(compiled.collect())
    }

    /// What is sent: of each parameter the values in `asked` that its rules allow, or if there is none its own.
    pub(super) fn chosen<'a>(
        &'a self,
        asked: &'a [(String, String)],
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().flat_map(move |parameter| {
            let mut values: Vec<&str> =
                asked.iter().filter_map(|(name, value)| parameter.allows(name, value)).collect();
            if values.is_empty() {
                values.extend(parameter.values.iter().map(String::as_str));
            }
            values.into_iter().map(|value| (parameter.name.as_str(), value))
        })
    }
}

impl Parameter {
    fn allows<'a>(&self, name: &str, value: &'a str) -> Option<&'a str> {
        let allowed = name == self.name && self.allow.iter().any(|rule| rule.allows(value));
        allowed.then_some(value)
    }
}

impl Rule {
    fn compile(allowed: &AllowedValue) -> Option<Self> {
        match allowed {
            AllowedValue::Value(value) => Some(Self::Is(value.clone())),
            AllowedValue::Pattern(pattern) => proxy_config::regex(pattern).ok().map(Self::Matches),
        }
    }

    fn allows(&self, value: &str) -> bool {
        match self {
            Self::Is(allowed) => allowed == value,
            Self::Matches(pattern) => pattern.is_match(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_rule_allows_is_not_chosen() {
        let parameter = |name: &str, values: &[&str], allow: &[AllowedValue]| LoginParameter {
            name: name.to_owned(),
            values: values.iter().map(|&value| value.to_owned()).collect(),
            allow: allow.to_vec(),
        };
        let value = |text: &str| AllowedValue::Value(text.to_owned());
        let pattern = |text: &str| AllowedValue::Pattern(text.to_owned());
        let parameters = LoginParameters::compile(&[
            parameter("acr_values", &["gold"], &[]),
            parameter("kc_idp_hint", &["staff"], &[value("guests"), value("partners")]),
            parameter("login_hint", &[], &[pattern("@corp\\.example$")]),
            parameter("broken", &["own"], &[pattern("(")]),
        ]);
        let own = "acr_values=gold kc_idp_hint=staff broken=own";
        for (asked, sent) in [
            (&[][..], own),
            (&[("acr_values", "bronze"), ("prompt", "none"), ("broken", "x")], own),
            (&[("kc_idp_hint", "GUESTS"), ("login_hint", "ann@corp.example.evil.test")], own),
            (
                &[("kc_idp_hint", "evil"), ("kc_idp_hint", "guests"), ("kc_idp_hint", "partners")],
                "acr_values=gold kc_idp_hint=guests kc_idp_hint=partners broken=own",
            ),
            (
                &[("login_hint", "ann@corp.example")],
                "acr_values=gold kc_idp_hint=staff login_hint=ann@corp.example broken=own",
            ),
        ] {
            let asked: Vec<(String, String)> =
                asked.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
            let chosen: Vec<String> =
                parameters.chosen(&asked).map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!(chosen.join(" "), sent, "{asked:?}");
        }
    }
}
