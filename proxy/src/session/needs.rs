//! What is used of a session, by the configuration and by the provider that made it: nothing else is stored. A token that
//! nobody reads costs bytes in every request and is lost when the browser is.
//!
//! A session remembers what it was written without. If the configuration comes to need that, the session is refreshed, or
//! its owner signs in again: it is never taken for one whose provider gave nothing.

use super::{Captured, Session, Token};
use proxy_config::{Claim, Config, SessionFormat};
use std::borrow::Cow;

/// Some of the tokens of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TokenKinds {
    pub(crate) access_token: bool,
    pub(crate) id_token: bool,
    pub(crate) refresh_token: bool,
}

/// What a provider itself reads of the sessions that it made: to refresh them, to see whether they still stand, to sign their
/// owners out. Each type of provider says it for its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Uses {
    /// In any case. The refresh token is among them if sessions are refreshed.
    pub(crate) always: TokenKinds,
    /// Of a session that has no refresh token: what says in its place whether it still stands.
    pub(crate) unrefreshed: TokenKinds,
    /// The nonce of the login, to compare with a later ID token's.
    pub(crate) nonce: bool,
}

impl Uses {
    /// Whether `session` can be had again with everything that its provider gives.
    pub(crate) fn can_refresh(self, session: &Session) -> bool {
        self.always.refresh_token && session.refresh_token.is_some()
    }
}

/// What the configuration uses, of whichever session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    format: SessionFormat,
    /// What headers carry.
    shown: TokenKinds,
    /// Names of claims, beside those of the identity, which is always whole: the userinfo endpoint shows it.
    claims: Vec<String>,
}

impl Needs {
    /// What `config` needs.
    pub(crate) fn of(config: &Config) -> Self {
        let rules = || config.request_headers.iter().chain(&config.response_headers);
        let shown =
            |claim: Claim| rules().any(|rule| rule.values.iter().any(|value| value.claim == claim));
        Self {
            format: config.session.format,
            shown: TokenKinds {
                access_token: shown(Claim::AccessToken),
                id_token: shown(Claim::IdToken),
                refresh_token: false,
            },
            claims: claims_named(config),
        }
    }

    /// What a session is written in.
    pub(crate) fn format(&self) -> SessionFormat {
        self.format
    }

    /// Whether the configuration shows something to applications that `session` was written without.
    pub(crate) fn lacks(&self, session: &Session) -> bool {
        self.shown.access_token && session.left_out.access_token
            || self.shown.id_token && session.left_out.id_token
            || self.claims.iter().any(|name| !session.claims.asked.contains(name))
    }

    /// The session as it is to be written, for a provider that makes such use of it. The first format has no room for what was
    /// left out, so there nothing is.
    pub(crate) fn pick<'a>(&self, session: &'a Session, uses: Uses) -> Cow<'a, Session> {
        if self.format == SessionFormat::V1 {
            return Cow::Borrowed(session);
        }
        let Uses { always, unrefreshed, nonce } = uses;
        let bare = session.refresh_token.is_none();
        let leaves = |kind: fn(TokenKinds) -> bool, token: &Option<Token>| {
            let kept = kind(self.shown) || kind(always) || bare && kind(unrefreshed);
            token.is_some() && !kept
        };
        let mut picked = Cow::Borrowed(session);
        if leaves(|kinds| kinds.access_token, &session.access_token) {
            let picked = picked.to_mut();
            (picked.access_token, picked.left_out.access_token) = (None, true);
        }
        if leaves(|kinds| kinds.id_token, &session.id_token) {
            let picked = picked.to_mut();
            (picked.id_token, picked.left_out.id_token) = (None, true);
        }
        if leaves(|kinds| kinds.refresh_token, &session.refresh_token) {
            let picked = picked.to_mut();
            (picked.refresh_token, picked.left_out.refresh_token) = (None, true);
        }
        if !nonce && session.nonce.is_some() {
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
    use proxy_config::{HeaderRule, HeaderValue};

    const NOTHING: Uses = Uses { always: kinds(""), unrefreshed: kinds(""), nonce: false };
    /// As OpenID Connect.
    const REFRESHING: Uses = Uses { always: kinds("r"), unrefreshed: kinds("i"), nonce: true };

    const fn kinds(text: &str) -> TokenKinds {
        let letter = match text.as_bytes() {
            [letter] => *letter,
            _ => b' ',
        };
        TokenKinds {
            access_token: letter == b'a',
            id_token: letter == b'i',
            refresh_token: letter == b'r',
        }
    }

    fn config(claims: &[Claim]) -> Config {
        let mut config: Config =
            serde_json::from_str(include_str!("../../config/golden/smallest.json")).unwrap();
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

    fn kept_of(session: &Session, config: &Config, uses: Uses) -> String {
        let picked = Needs::of(config).pick(session, uses);
        let text = |token: &Option<Token>| token.as_ref().map_or("-", Token::as_str).to_owned();
        [&picked.access_token, &picked.id_token, &picked.refresh_token].map(text).concat()
            + if picked.nonce.is_some() { "n" } else { "-" }
    }

    fn kept(config: &Config, uses: Uses) -> String {
        kept_of(&session(), config, uses)
    }

    #[test]
    fn sessions_are_written_in_the_configured_format() {
        for format in [SessionFormat::V1, SessionFormat::V2] {
            let mut config = config(&[]);
            config.session.format = format;
            assert_eq!(Needs::of(&config).format(), format);
        }
    }

    #[test]
    fn only_what_the_configuration_or_the_provider_uses_is_kept() {
        assert_eq!(kept(&config(&[]), NOTHING), "----");
        assert_eq!(kept(&config(&[Claim::User, Claim::Groups]), NOTHING), "----");
        assert_eq!(kept(&config(&[Claim::AccessToken]), NOTHING), "a---");
        assert_eq!(kept(&config(&[Claim::IdToken]), NOTHING), "-i--");
        assert_eq!(kept(&config(&[]), REFRESHING), "--rn");
        for letter in ["a", "i", "r"] {
            let always = Uses { always: kinds(letter), ..NOTHING };
            assert_eq!(kept(&config(&[]), always).replace('-', ""), letter);
            let unrefreshed = Uses { unrefreshed: kinds(letter), ..NOTHING };
            assert_eq!(kept(&config(&[]), unrefreshed), "----", "it has a refresh token");
        }
        let mut old = config(&[]);
        old.session.format = SessionFormat::V1;
        assert_eq!(kept(&old, NOTHING), "airn");
    }

    #[test]
    fn without_a_refresh_token_what_the_provider_asks_for_stands_for_the_session() {
        let session = Session { refresh_token: None, ..session() };
        let by_access_token = Uses { unrefreshed: kinds("a"), ..NOTHING };
        for (uses, kept) in [(NOTHING, "----"), (REFRESHING, "-i-n"), (by_access_token, "a---")] {
            assert_eq!(kept_of(&session, &config(&[]), uses), kept);
        }
    }

    #[test]
    fn what_was_left_out_is_lacking_and_what_the_provider_never_gave_is_not() {
        let (shows, shows_nothing) =
            (Needs::of(&config(&[Claim::AccessToken])), Needs::of(&config(&[])));
        let without = shows_nothing.pick(&session(), NOTHING).into_owned();
        assert!(shows.lacks(&without) && !REFRESHING.can_refresh(&without));
        assert!(!shows_nothing.lacks(&without));
        let never = Session { access_token: None, ..session() };
        assert!(!shows.lacks(&never) && !shows.lacks(&shows.pick(&never, NOTHING)));
        let refreshable = shows_nothing.pick(&session(), REFRESHING).into_owned();
        assert!(shows.lacks(&refreshable) && REFRESHING.can_refresh(&refreshable));
        assert!(!NOTHING.can_refresh(&refreshable), "its provider refreshes none");
    }

    #[test]
    fn a_claim_that_nobody_looked_for_is_lacking() {
        let department = Claim::Other("department".to_owned());
        let needs = Needs::of(&config(&[department.clone(), Claim::User, department]));
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
            let picked = Needs::of(&config(claims)).pick(&session, NOTHING).into_owned().claims;
            (picked.asked.len(), picked.values.len())
        };
        assert_eq!(kept(&[]), (0, 0));
        assert_eq!(kept(&[Claim::Other("locale".to_owned())]), (1, 1));
    }
}
