//! The headers that tell the upstream, or whoever asked the auth endpoint, who is there. Made once per session and kept ready.
//!
//! A value is a claim, which its owner may have chosen, so it is made unable to pass for more than one value: control
//! characters and blanks at either end are percent-encoded, and in a list so are commas and percent signs.

use crate::session::{Session, Token};
use crate::upstream::Names;
use http::header::Entry;
use http::{HeaderMap, HeaderName, HeaderValue};
use proxy_config::{Claim, HeaderRule, HeaderValue as ValueRule};
use std::fmt::Write as _;

/// Ready headers.
pub(crate) type Headers = Vec<(HeaderName, HeaderValue)>;

/// The rules of one direction.
#[derive(Debug, Default)]
pub(crate) struct HeaderRules(Vec<(HeaderName, Vec<ValueRule>)>);

impl HeaderRules {
    /// From the configuration, whose names were checked before.
    pub(crate) fn new(rules: &[HeaderRule]) -> Self {
        let compile = |rule: &HeaderRule| {
            let HeaderRule { name, values } = rule;
            Some((Names::identity(name).or_else(|| name.parse().ok())?, values.clone()))
        };
        Self(rules.iter().filter_map(compile).collect())
    }

    /// Whether one of them carries a token.
    pub(super) fn give_tokens(&self) -> bool {
        let is_token = |rule: &ValueRule| matches!(rule.claim, Claim::AccessToken | Claim::IdToken);
        self.0.iter().any(|(_, values)| values.iter().any(is_token))
    }

    /// The headers for a session. A header without any value is left out.
    pub(crate) fn of(&self, session: &Session) -> Headers {
        self.0
            .iter()
            .filter_map(|(name, values)| Some((name.clone(), joined(values, session)?)))
            .collect()
    }
}

/// Puts `headers` on a response: ours first, then what the upstream sent under the same name.
pub(crate) fn add_to(response: &mut HeaderMap, headers: &Headers) {
    response.reserve(headers.len());
    for (name, value) in headers {
        match response.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(value.clone());
            }
            Entry::Occupied(mut entry) => {
                let theirs: Vec<HeaderValue> = entry.iter().cloned().collect();
                entry.insert(value.clone());
                for value in theirs {
                    entry.append(value);
                }
            }
        }
    }
}

/// One value that can not be taken for several, as the `GAP-Auth` header carries it.
pub(crate) fn single(text: &str) -> HeaderValue {
    let mut encoded = String::with_capacity(text.len());
    encode(&mut encoded, text, false);
    HeaderValue::try_from(encoded).unwrap_or(HeaderValue::from_static(""))
}

fn joined(rules: &[ValueRule], session: &Session) -> Option<HeaderValue> {
    let may_be_list = |claim: &Claim| matches!(claim, Claim::Groups | Claim::Other(_));
    let list = rules.len() > 1 || rules.iter().any(|rule| may_be_list(&rule.claim));
    let mut text = String::new();
    for rule in rules {
        let ValueRule { claim, prefix } = rule;
        for value in values(claim, session) {
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(prefix);
            encode(&mut text, value, list);
        }
    }
    if text.is_empty() {
        return None;
    }
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn values<'a>(claim: &Claim, session: &'a Session) -> impl Iterator<Item = &'a str> {
    let identity = &session.identity;
    let (one, list): (Option<&str>, &[String]) = match claim {
        Claim::User => (Some(&identity.user), &[]),
        Claim::Email => (identity.email.as_deref(), &[]),
        Claim::Groups => (None, &identity.groups),
        Claim::PreferredUsername => (identity.preferred_username.as_deref(), &[]),
        Claim::AccessToken => (session.access_token.as_ref().map(Token::as_str), &[]),
        Claim::IdToken => (session.id_token.as_ref().map(Token::as_str), &[]),
        Claim::Other(name) => {
            (None, session.claims.values.get(name).map(Vec::as_slice).unwrap_or_default())
        }
    };
    let all = one.into_iter().chain(list.iter().map(String::as_str));
    all.filter(|value| !value.is_empty())
}

/// Appends `value`.
fn encode(text: &mut String, value: &str, list: bool) {
    let inner = value.trim_matches(' ');
    let is_odd = |byte: u8| byte.is_ascii_control() || (list && matches!(byte, b',' | b'%'));
    if inner.len() == value.len() && !inner.bytes().any(is_odd) {
        return text.push_str(value);
    }
    let (start, end) = (
        value.len() - value.trim_start_matches(' ').len(),
        value.len() - value.trim_end_matches(' ').len(),
    );
    // A value of blanks alone would be counted from both ends.
    text.push_str(&"%20".repeat(if inner.is_empty() { value.len() } else { start }));
    for character in inner.chars() {
        if u8::try_from(character).is_ok_and(is_odd) {
            // Writing to a String can not fail.
            let _ = write!(text, "%{:02X}", u32::from(character));
        } else {
            text.push(character);
        }
    }
    if !inner.is_empty() {
        text.push_str(&"%20".repeat(end));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use jiff::Timestamp;

    fn session(user: &str, groups: &[&str]) -> Session {
        Session {
            access_token: Token::optional("at-1"),
            identity: Identity {
                user: user.to_owned(),
                email: Some("mara@vectors.example".to_owned()),
                groups: groups.iter().map(|group| (*group).to_owned()).collect(),
                preferred_username: None,
            },
            ..Session::new("main", Timestamp::UNIX_EPOCH)
        }
    }

    fn headers(rules: &[(&str, &[(Claim, &str)])], session: &Session) -> Vec<(String, String)> {
        let rules: Vec<HeaderRule> = rules
            .iter()
            .map(|(name, values)| HeaderRule {
                name: (*name).to_owned(),
                values: values
                    .iter()
                    .map(|(claim, p)| ValueRule { claim: claim.clone(), prefix: (*p).to_owned() })
                    .collect(),
            })
            .collect();
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        HeaderRules::new(&rules)
            .of(session)
            .iter()
            .map(|(n, v)| (n.as_str().to_owned(), text(v)))
            .collect()
    }

    #[test]
    fn groups_are_joined_and_no_group_passes_for_two() {
        let found = headers(
            &[("X-Groups", &[(Claim::Groups, "")])],
            &session("u", &["staff", "a,b", "50%", "c\r\nX: y"]),
        );
        assert_eq!(found, [("x-groups".to_owned(), "staff,a%2Cb,50%25,c%0D%0AX: y".to_owned())]);
    }

    #[test]
    fn a_name_with_blanks_around_it_is_not_the_name_without() {
        let user =
            |name| headers(&[("X-User", &[(Claim::User, "")])], &session(name, &[]))[0].1.clone();
        assert_eq!(user(" admin "), "%20admin%20");
        assert_eq!(user("  "), "%20%20");
        assert_eq!(user("cn=a b,ou=c"), "cn=a b,ou=c");
        assert_eq!(user("mära\n"), "mära%0A");
    }

    #[test]
    fn missing_claims_are_left_out_and_prefixes_are_put_in() {
        let rules: [(&str, &[(Claim, &str)]); 3] = [
            ("Authorization", &[(Claim::IdToken, "Bearer ")]),
            ("X-Token", &[(Claim::AccessToken, "Bearer ")]),
            (
                "X-All",
                &[(Claim::PreferredUsername, ""), (Claim::User, ""), (Claim::Email, "mailto:")],
            ),
        ];
        let expected = [("x-token", "Bearer at-1"), ("x-all", "u%2C1,mailto:mara@vectors.example")];
        let found = headers(&rules, &session("u,1", &[]));
        assert_eq!(found, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn another_claim_is_a_list_that_nobody_can_make_longer() {
        let mut session = session("u", &[]);
        let values = ["a", "b,c", "", "50%"].map(str::to_owned).to_vec();
        session.claims.values = [("role".to_owned(), values)].into();
        let rules: [(&str, &[(Claim, &str)]); 2] = [
            ("X-Roles", &[(Claim::Other("role".to_owned()), "r:")]),
            ("X-Department", &[(Claim::Other("department".to_owned()), "")]),
        ];
        let found = headers(&rules, &session);
        assert_eq!(found, [("x-roles".to_owned(), "r:a,r:b%2Cc,r:50%25".to_owned())]);
    }

    #[test]
    fn ours_come_before_the_upstreams() {
        let mut response = HeaderMap::new();
        response.append("x-user", HeaderValue::from_static("theirs"));
        add_to(
            &mut response,
            &vec![(HeaderName::from_static("x-user"), HeaderValue::from_static("ours"))],
        );
        assert_eq!(response.get_all("x-user").iter().collect::<Vec<_>>(), ["ours", "theirs"]);
    }
}
