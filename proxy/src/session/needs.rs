//! What the configuration uses of a session: nothing else is stored. A token that nobody reads costs bytes in every request
//! and is lost when the browser is.
//!
//! A session remembers what it was written without. If the configuration comes to need that, the session is refreshed, or
//! its owner signs in again: it is never taken for one whose provider gave nothing.

use super::{Captured, Session, Token};
use proxy_config::{Claim, Config, SessionFormat};
use std::borrow::Cow;

/// Tokens that a session was written without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    pub(crate) access_token: bool,
    pub(crate) id_token: bool,
    pub(crate) refresh_token: bool,
}

/// What is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    format: SessionFormat,
    /// Headers carry the access token.
    access_token_shown: bool,
    /// Headers carry the ID token.
    id_token_shown: bool,
    /// A sign-out at the provider may send it along.
    id_token_sent: bool,
    refresh: bool,
    /// Names of claims, beside those of the identity, which is always whole: the userinfo endpoint shows it.
    claims: Vec<String>,
}

impl Needs {
    /// What `config` needs.
    pub(crate) fn of(config: &Config) -> Self {
        let rules = || config.request_headers.iter().chain(&config.response_headers);
        let shown =
            |claim: Claim| rules().any(|rule| rule.values.iter().any(|value| value.claim == claim));
        let refresh = !config.session.refresh.is_zero();
        Self {
            format: config.session.format,
            access_token_shown: shown(Claim::AccessToken),
            id_token_shown: shown(Claim::IdToken),
            // `{id_token}` in a target is filled in only where the target may lead to another host at all.
            id_token_sent: config.providers.iter().any(|provider| provider.rp_initiated_logout)
                || !config.http.whitelist_domains.is_empty(),
            refresh,
            claims: claims_named(config),
        }
    }

    /// What a session is written in.
    pub(crate) fn format(&self) -> SessionFormat {
        self.format
    }

    /// Whether the configuration shows something to applications that `session` was written without.
    pub(crate) fn lacks(&self, session: &Session) -> bool {
        self.access_token_shown && session.left_out.access_token
            || self.id_token_shown && session.left_out.id_token
            || self.claims.iter().any(|name| !session.claims.asked.contains(name))
    }

    /// Whether such a session can get it by a refresh.
    pub(crate) fn can_refresh(&self, session: &Session) -> bool {
        self.refresh && session.refresh_token.is_some()
    }

    /// The session as it is to be written. The first format has no room for what was left out, so there nothing is.
    pub(crate) fn pick<'a>(&self, session: &'a Session) -> Cow<'a, Session> {
        if self.format == SessionFormat::V1 {
            return Cow::Borrowed(session);
        }
        // Without a refresh token the ID token says whether a session still stands.
        let id = self.id_token_shown
            || self.id_token_sent
            || self.refresh && session.refresh_token.is_none();
        let mut picked = Cow::Borrowed(session);
        let leaves = |needed: bool, token: &Option<Token>| !needed && token.is_some();
        if leaves(self.access_token_shown, &session.access_token) {
            let picked = picked.to_mut();
            (picked.access_token, picked.left_out.access_token) = (None, true);
        }
        if leaves(id, &session.id_token) {
            let picked = picked.to_mut();
            (picked.id_token, picked.left_out.id_token) = (None, true);
        }
        if leaves(self.refresh, &session.refresh_token) {
            let picked = picked.to_mut();
            (picked.refresh_token, picked.left_out.refresh_token) = (None, true);
        }
        if !self.refresh && session.nonce.is_some() {
            picked.to_mut().nonce = None;
        }
        let Captured { asked, values } = &session.claims;
        if asked.iter().chain(values.keys()).any(|name| !self.claims.contains(name)) {
            let Captured { asked, values } = &mut picked.to_mut().claims;
            asked.retain(|name| self.claims.contains(name));
            values.retain(|name, _| self.claims.contains(name));
        }
        picked
    }
}

/// The claims that `config` names, beside those of the identity: what a login and a refresh look for.
pub(crate) fn claims_named(config: &Config) -> Vec<String> {
    let rules = config.request_headers.iter().chain(&config.response_headers);
    let mut names: Vec<String> = Vec::new();
    for value in rules.flat_map(|rule| &rule.values) {
        if let Claim::Other(name) = &value.claim
            && !names.contains(name)
        {
            names.push(name.clone());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use proxy_config::{Duration, HeaderRule, HeaderValue};

    fn config(claims: &[Claim], refresh: u64) -> Config {
        let mut config: Config =
            serde_json::from_str(include_str!("../../config/golden/smallest.json")).unwrap();
        config.session.refresh = Duration::from_secs(refresh);
        config.request_headers = vec![HeaderRule {
            name: "X-Some".to_owned(),
            values: claims
                .iter()
                .map(|claim| HeaderValue { claim: claim.clone(), prefix: String::new() })
                .collect(),
        }];
        config
    }

    fn session() -> Session {
        let token = |text: &str| Some(Token::new(text));
        Session {
            access_token: token("a"),
            id_token: token("i"),
            refresh_token: token("r"),
            nonce: Some([1; 32]),
            ..Session::new("main", Timestamp::UNIX_EPOCH)
        }
    }

    fn kept(config: &Config) -> String {
        let session = session();
        let picked = Needs::of(config).pick(&session);
        let text = |token: &Option<Token>| token.as_ref().map_or("-", Token::as_str).to_owned();
        [&picked.access_token, &picked.id_token, &picked.refresh_token].map(text).concat()
            + if picked.nonce.is_some() { "n" } else { "-" }
    }

    #[test]
    fn sessions_are_written_in_the_configured_format() {
        for format in [SessionFormat::V1, SessionFormat::V2] {
            let mut config = config(&[], 0);
            config.session.format = format;
            assert_eq!(Needs::of(&config).format(), format);
        }
    }

    #[test]
    fn only_what_the_configuration_uses_is_kept() {
        assert_eq!(kept(&config(&[], 0)), "----");
        assert_eq!(kept(&config(&[Claim::User, Claim::Groups], 0)), "----");
        assert_eq!(kept(&config(&[Claim::AccessToken], 0)), "a---");
        assert_eq!(kept(&config(&[Claim::IdToken], 0)), "-i--");
        assert_eq!(kept(&config(&[], 60)), "--rn");
        let mut validating = config(&[], 60);
        validating.providers[0].endpoints.validate = Some("https://id.example/v".to_owned());
        assert_eq!(kept(&validating), "--rn");
        let mut leaving = config(&[], 0);
        leaving.providers[0].rp_initiated_logout = true;
        assert_eq!(kept(&leaving), "-i--");
        let mut far = config(&[], 0);
        far.http.whitelist_domains = vec!["id.example".to_owned()];
        assert_eq!(kept(&far), "-i--", "{{id_token}} may be asked for");
        let mut old = config(&[], 0);
        old.session.format = SessionFormat::V1;
        assert_eq!(kept(&old), "airn");
    }

    #[test]
    fn without_a_refresh_token_the_id_token_stands_for_the_session() {
        let needs = Needs::of(&config(&[], 60));
        let session = Session { refresh_token: None, ..session() };
        assert!(needs.pick(&session).id_token.is_some());
    }

    #[test]
    fn what_was_left_out_is_lacking_and_what_the_provider_never_gave_is_not() {
        let needs = Needs::of(&config(&[Claim::AccessToken], 0));
        let without = Needs::of(&config(&[], 0)).pick(&session()).into_owned();
        assert!(needs.lacks(&without) && !needs.can_refresh(&without));
        assert!(!Needs::of(&config(&[], 0)).lacks(&without));
        let never = Session { access_token: None, ..session() };
        assert!(!needs.lacks(&never) && !needs.lacks(&needs.pick(&never)));
        let refreshable = Needs::of(&config(&[], 60)).pick(&session()).into_owned();
        let needs = Needs::of(&config(&[Claim::AccessToken], 60));
        assert!(needs.lacks(&refreshable) && needs.can_refresh(&refreshable));
    }

    #[test]
    fn a_claim_that_nobody_looked_for_is_lacking() {
        let department = Claim::Other("department".to_owned());
        let needs = Needs::of(&config(&[department.clone(), Claim::User, department], 0));
        let mut session = session();
        assert!(needs.lacks(&session));
        session.claims.asked = vec!["department".to_owned()];
        assert!(!needs.lacks(&session), "it was looked for and is not there");
    }

    #[test]
    fn only_claims_that_the_configuration_names_are_kept() {
        let names = ["department", "locale"].map(str::to_owned);
        let mut session = session();
        session.claims.asked = names.to_vec();
        session.claims.values = names.map(|name| (name.clone(), vec![name])).into();
        let kept = |claims: &[Claim]| {
            let picked = Needs::of(&config(claims, 0)).pick(&session).into_owned().claims;
            (picked.asked.len(), picked.values.len())
        };
        assert_eq!(kept(&[]), (0, 0));
        assert_eq!(kept(&[Claim::Other("locale".to_owned())]), (1, 1));
    }
}
