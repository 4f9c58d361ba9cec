//! The names that a request may not carry to an upstream, found in one pass.
//!
//! Servers differ in what they take for the same name: many turn `-`, `_`, `.` or every character that is no letter or digit
//! into one. So a name counts as equal when it is equal after folding case and all of these.

use http::HeaderName;
use http::header::{
    CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

/// Headers that concern one connection only.
pub(super) static HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Headers by which this proxy and its peer tell upstreams who is there.
const IDENTITY: &[&str] = &[
    "gap-auth",
    "gap-signature",
    "x-auth-request-access-token",
    "x-auth-request-email",
    "x-auth-request-groups",
    "x-auth-request-id-token",
    "x-auth-request-preferred-username",
    "x-auth-request-redirect",
    "x-auth-request-user",
    "x-forwarded-access-token",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-id-token",
    "x-forwarded-preferred-user",
    "x-forwarded-preferred-username",
    "x-forwarded-user",
];

/// Headers by which proxies tell of the client's side, its certificate among them.
const FORWARDED: &[&str] = &[
    "cf-connecting-ip",
    "client-cert",
    "client-cert-chain",
    "fastly-client-ip",
    "forwarded",
    "ssl-client-cert",
    "ssl-client-issuer-dn",
    "ssl-client-subject-dn",
    "ssl-client-verify",
    "true-client-ip",
    "x-amzn-mtls-clientcert",
    "x-amzn-mtls-clientcert-leaf",
    "x-amzn-mtls-clientcert-subject",
    "x-arr-clientcert",
    "x-client-cert",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-method",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-protocol",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-forwarded-uri",
    "x-original-forwarded-for",
    "x-envoy-original-path",
    "x-original-host",
    "x-original-method",
    "x-original-uri",
    "x-proxyuser-ip",
    "x-real-ip",
    "x-ssl-client-cert",
    "x-ssl-client-s-dn",
    "x-ssl-client-verify",
];

/// Headers of which several lines mean a list; of the other forwarded ones one line may be the client's own.
const LISTS: &[&str] =
    &["forwarded", "x-forwarded-client-cert", "x-forwarded-for", "x-original-forwarded-for"];

/// Headers by which some frameworks take another target than that of the request line. No proxy in front takes them out, so
/// they pass from nobody: the path that a rule saw must be the one that is served.
const TARGET: &[&str] =
    &["x-http-destinationurl", "x-original-url", "x-override-url", "x-rewrite-url"];

/// Headers by which some frameworks take another method.
const METHOD: &[&str] = &["x-http-method", "x-http-method-override", "x-method-override"];

/// Longest name that is looked at byte by byte; no entry is longer.
const LONGEST: usize = 63;

/// Why a name is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    HopByHop,
    Identity,
    Forwarded,
    Method,
    Cookie,
    Length,
}

/// The compiled names of one configuration.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// For each first byte, a bit for each length that occurs; almost every header of a request ends here.
    mask: Box<[u64; 256]>,
    /// By their first bytes.
    entries: Vec<(Box<[u8]>, Kind)>,
    /// Configured names that are longer than [`LONGEST`].
    long: Vec<Box<[u8]>>,
}

impl Names {
    /// The known names, those of `configured` headers, and `real_ip`, the header with the client's address, if any.
    pub(crate) fn compile<'a>(
        configured: impl IntoIterator<Item = &'a str>,
        real_ip: Option<&str>,
    ) -> Self {
        let mut names = Self { mask: Box::new([0; 256]), entries: Vec::new(), long: Vec::new() };
        for name in configured.into_iter().chain(IDENTITY.iter().chain(TARGET).copied()) {
            names.add(name, Kind::Identity);
        }
        for name in &HOP_BY_HOP {
            names.add(name.as_str(), Kind::HopByHop);
        }
        for name in FORWARDED.iter().copied().chain(real_ip) {
            names.add(name, Kind::Forwarded);
        }
        for name in METHOD {
            names.add(name, Kind::Method);
        }
        names.add("cookie", Kind::Cookie);
        names.add("content-length", Kind::Length);
        names.entries.sort_by_key(|(name, _)| name.first().copied());
        names
    }

    /// A name by which proxies usually tell who is there: unlike one that is made from a text, it costs nothing to clone.
    pub(crate) fn identity(name: &str) -> Option<HeaderName> {
        let known = IDENTITY.iter().find(|known| known.eq_ignore_ascii_case(name))?;
        Some(HeaderName::from_static(known))
    }

    /// The first entry of a name wins, so a configured name is an identity even if it is known as something else.
    fn add(&mut self, name: &str, kind: Kind) {
        let folded: Box<[u8]> = name.bytes().map(fold).collect();
        let Some(first) = folded.first().copied() else { return };
        if folded.len() > LONGEST {
            self.long.push(folded);
            return;
        }
        if let Some(mask) = self.mask.get_mut(usize::from(first)) {
            *mask |= 1 << folded.len();
        }
        if self.entries.iter().all(|(known, _)| *known != folded) {
            self.entries.push((folded, kind));
        }
    }

    /// What `name` is, if it is one of ours to look at.
    pub(super) fn kind(&self, name: &HeaderName) -> Option<Kind> {
        let bytes = name.as_str().as_bytes();
        let first = fold(bytes.first().copied()?);
        if bytes.len() > LONGEST {
            return self.long.iter().any(|known| same(known, bytes)).then_some(Kind::Identity);
        }
        let mask = self.mask.get(usize::from(first)).copied().unwrap_or(0);
        if mask & (1 << bytes.len()) == 0 {
            return None;
        }
        let begins = |known: &[u8]| known.first().copied().unwrap_or_default();
        let from = self.entries.partition_point(|(known, _)| begins(known) < first);
        let mut alike =
            self.entries.iter().skip(from).take_while(|(known, _)| begins(known) == first);
        let (known, kind) = alike.find(|(known, _)| same(known, bytes))?;
        match kind {
            Kind::Identity => Some(Kind::Identity),
            // Other spellings are nobody's standard: only a forger sends them, of an address or of another end of the body.
            _ if **known != *bytes => Some(Kind::Identity),
            Kind::Length => None,
            Kind::HopByHop | Kind::Forwarded | Kind::Method | Kind::Cookie => Some(*kind),
        }
    }
}

/// Whether several lines of a forwarded header mean a list.
pub(super) fn is_list(name: &HeaderName) -> bool {
    LISTS.contains(&name.as_str())
}

fn same(folded: &[u8], name: &[u8]) -> bool {
    folded.len() == name.len() && folded.iter().zip(name).all(|(known, byte)| *known == fold(*byte))
}

/// Case, and whatever is no letter or digit.
const fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}
