//! Where we and `openidconnect` differ, and why it stays so.

/// Who refuses what the other takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stricter {
    /// The proxy refuses.
    Ours,
    /// `openidconnect` refuses.
    Theirs,
    /// Both accept, and find somebody else in it.
    Neither,
}

/// A named difference.
pub(crate) struct Difference {
    /// The cases: their names, `*` for anything.
    pub(crate) cases: &'static str,
    /// Who refuses.
    pub(crate) stricter: Stricter,
    /// Why it stays.
    pub(crate) reason: &'static str,
}

impl Difference {
    /// Whether it is about this case.
    pub(crate) fn is(&self, name: &str, stricter: Stricter) -> bool {
        assert!(!self.reason.is_empty(), "{} has no reason", self.cases);
        self.stricter == stricter && fits(self.cases, name)
    }
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices()
                .map(|(at, _)| at)
                .chain([rest.len()])
                .any(|at| rest.get(at..).is_some_and(|rest| fits(after, rest)))
        }),
    }
}

const fn ours(cases: &'static str, reason: &'static str) -> Difference {
    Difference { cases, stricter: Stricter::Ours, reason }
}

const fn theirs(cases: &'static str, reason: &'static str) -> Difference {
    Difference { cases, stricter: Stricter::Theirs, reason }
}

const NEEDLESS: &str = "a login does not need it, so its form is nobody's reason to be locked out";
const DROPPED: &str =
    "what is odd and not needed is dropped with a warning, and the usual takes its place";

pub(crate) const DIFFERENCES: &[Difference] = &[
    theirs("discovery: acr_values_supported is *", NEEDLESS),
    theirs("discovery: claims_parameter_supported is *", NEEDLESS),
    theirs("discovery: claims_supported is *", NEEDLESS),
    theirs("discovery: grant_types_supported is *", NEEDLESS),
    theirs("discovery: op_policy_uri is *", NEEDLESS),
    theirs("discovery: registration_endpoint is *", NEEDLESS),
    theirs("discovery: response_modes_supported is *", NEEDLESS),
    theirs("discovery: response_types_supported is *", NEEDLESS),
    theirs("discovery: scopes_supported is *", NEEDLESS),
    theirs("discovery: service_documentation is *", NEEDLESS),
    theirs("discovery: subject_types_supported is *", NEEDLESS),
    theirs("discovery: ui_locales_supported is *", NEEDLESS),
    ours(
        "discovery: *_endpoint: \"*#top\"",
        "RFC 6749 sections 3.1 and 3.2: no endpoint has a fragment",
    ),
    ours(
        "discovery: authorization_endpoint: \"javascript:*",
        "a browser is sent there; the library leaves that to its user",
    ),
    ours("discovery: token_endpoint: \"ftp:*", "nothing but http and https is ever asked"),
    ours(
        "discovery: something behind it",
        "the library stops reading at the end of the first value",
    ),
    ours("discovery: two documents", "the same"),
    ours(
        "keys: *, key_ops is *",
        "the library does not look at key_ops; RFC 7517 section 4.3 says what a key is for",
    ),
    theirs(
        "keys: *, it comes twice",
        "providers publish keys twice while they turn them; both are tried",
    ),
    theirs(
        "keys: *, another key has its id *",
        "all keys with the id are tried, and one of them has signed",
    ),
    theirs(
        "keys: *, a broken RSA key with its id before it",
        "a key that can not be used is left out, and does not make the good one ambiguous",
    ),
    theirs("keys: kid twice in a key", "the last one counts, as RFC 7517 section 4 allows"),
    ours(
        "keys: a list in place of the object around it",
        "RFC 7517 section 5: a key set is an object",
    ),
    ours("keys: something behind it", "the library stops reading at the end of the first value"),
    theirs(
        "token: header typ is *",
        "the type is a hint for applications (RFC 7519 section 5.1); what the token must hold is checked",
    ),
    theirs("token: header cty is *", "the same (RFC 7519 section 5.2)"),
    ours(
        "token: header b64 is *",
        "RFC 7797: it changes what is signed, and must be refused where it is not understood",
    ),
    ours("token: claim sub is an empty text", "nobody is signed in under no name"),
    ours("token: claim nbf is *", "the library does not look at it; RFC 7519 section 4.1.5"),
    ours("token: claim nbf: *", "the same"),
    ours("token: claim iat: *", "a token of the future; the library leaves that to its user"),
    theirs(
        "token: claim auth_time is *",
        "it is checked where max_age was asked for, and not used otherwise",
    ),
    theirs("token: claim acr is *", "a login does not use it"),
    theirs("token: claim amr is *", "a login does not use it"),
    theirs(
        "token: claim email is *",
        "it is read after the token is found good: an address of a wrong type is none",
    ),
    theirs("token: claim name is *", "a login does not use it"),
    theirs(
        "token: claim aud: *",
        "other audiences are the provider's to choose, as long as we are among them",
    ),
    theirs("token: claim exp: now-50", "the clocks of two machines may be 60 s apart at a login"),
    theirs(
        "token: sub twice, the good one last",
        "the last one counts, as RFC 7519 section 4 allows",
    ),
    theirs("discovery: id_token_signing_alg_values_supported is *", DROPPED),
    theirs("discovery: token_endpoint_auth_methods_supported is *", DROPPED),
    theirs("discovery: token_endpoint_auth_methods_supported: *", DROPPED),
    theirs("discovery: userinfo_endpoint is *", DROPPED),
    ours(
        "discovery: token_endpoint: \"http:*",
        "an https issuer must not have secrets sent in the clear",
    ),
    theirs(
        "token: claim azp is *",
        "OpenID Connect Core does not ask for it any more, and it is not read",
    ),
    theirs(
        "token: claim at_hash is an empty text",
        "some providers write it for none; a wrong one is refused",
    ),
    ours(
        "token: claim events: *",
        "a logout token is no ID token (Back-Channel Logout 1.0 section 2.4)",
    ),
];
