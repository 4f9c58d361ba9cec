//! Restrictions that the query of a request asks for: `allowed_groups`, `allowed_emails`, `allowed_email_domains`.
//! They only ever take away.

use super::email::domain_of;
use super::redirect::Whitelist;
use crate::identity::Identity;
use crate::percent;
use memchr::memmem;

/// The restrictions of one request.
pub(crate) struct Restrictions<'a>(Option<&'a str>);

impl<'a> Restrictions<'a> {
    /// Those in `query`. Most queries have none, and this is all that they cost.
    pub(crate) fn of(query: Option<&'a str>) -> Self {
        let possible = |query: &&str| {
            query.contains('%') || memmem::find(query.as_bytes(), b"allowed_").is_some()
        };
        Self(query.filter(possible))
    }

    /// Whether somebody meets all of them.
    pub(crate) fn allow(&self, identity: &Identity) -> bool {
        let Some(query) = self.0 else { return true };
        let email = identity.email.as_deref().unwrap_or_default();
        let groups = values(query, "allowed_groups");
        let emails = values(query, "allowed_emails");
        let domains = values(query, "allowed_email_domains");
        (groups.is_empty() || identity.groups.iter().any(|group| groups.contains(group)))
            && (emails.is_empty() || emails.iter().any(|allowed| allowed == email))
            && (domains.is_empty()
                || domain_of(email).is_some_and(|host| Whitelist::new(&domains).allows_host(host)))
    }
}

/// All values of a parameter, split at commas. One that is not well-formed is kept as it stands, so that it restricts.
fn values(query: &str, name: &str) -> Vec<String> {
    let lenient = |text: &str| percent::decoded(text).unwrap_or_else(|| text.to_owned());
    let is_name = |key: &str| key == name || key.contains(['%', '+']) && lenient(key) == name;
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let texts = pairs.filter(|(key, _)| is_name(key)).map(|(_, value)| lenient(value));
    texts
        .flat_map(|text| text.split(',').map(str::to_owned).collect::<Vec<_>>())
        .filter(|item| !item.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(query: &str) -> bool {
        let identity = Identity {
            user: "u".to_owned(),
            email: Some("mara@sub.good.example".to_owned()),
            groups: vec!["staff".to_owned(), "ops/oncall".to_owned()],
            preferred_username: None,
        };
        Restrictions::of(Some(query)).allow(&identity)
    }

    #[test]
    fn each_restriction_must_be_met() {
        for query in [
            "",
            "x=1",
            "allowed_groups=staff",
            "allowed_groups=x,staff",
            "allowed_groups=x&allowed_groups=ops%2Foncall",
            "allowed_groups=",
            "allowed_groups=,",
            "allowed_emails=mara@sub.good.example",
            "allowed_email_domains=sub.good.example",
            "allowed_email_domains=.good.example",
            "allowed_email_domains=*.good.example",
            "allowed%5fgroups=staff",
            "allowed_groups=staff&allowed_emails=mara%40sub.good.example&allowed_email_domains=sub.good.example:*",
        ] {
            assert!(allowed(query), "{query}");
        }
        for query in [
            "allowed_groups=admins",
            "allowed_groups=Staff",
            "allowed_emails=MARA@sub.good.example",
            "allowed%5fgroups=x",
            "allowed_email_domains=good.example",
            "allowed_groups=staff&allowed_emails=x@y",
            "allowed_groups=x;y",
            "allowed_groups=%zz",
            "allowed_groups=admins;x=staff",
        ] {
            assert!(!allowed(query), "{query}");
        }
    }

    #[test]
    fn an_address_with_two_at_signs_has_no_domain() {
        let identity = Identity {
            email: Some("a@good.example@evil.example".to_owned()),
            ..Identity::default()
        };
        assert!(!Restrictions::of(Some("allowed_email_domains=evil.example")).allow(&identity));
        for email in ["@evil.example", "a b@evil.example", "a\r\n@evil.example", "a@"] {
            let identity = Identity { email: Some(email.to_owned()), ..Identity::default() };
            let asked = Restrictions::of(Some("allowed_email_domains=evil.example,.example"));
            assert!(!asked.allow(&identity), "{email:?}");
        }
    }
}
