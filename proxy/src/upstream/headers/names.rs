//! The names that a request may not carry to an upstream, found in one pass.
//!
//! Servers differ in what they take for the same name: many turn `-`, `_` and `.` into one character. So a name counts as
//! equal when it is equal after folding case and these three.

use http::HeaderName;

/// Headers that concern one connection only.
pub(super) const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
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

/// Headers by which proxies tell of the client's side.
const FORWARDED: &[&str] = &[
    "cf-connecting-ip",
    "fastly-client-ip",
    "forwarded",
    "true-client-ip",
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
    "x-original-host",
    "x-original-uri",
    "x-original-url",
    "x-proxyuser-ip",
    "x-real-ip",
    "x-rewrite-url",
];

/// Longest name that is looked at byte by byte; no entry is longer.
const LONGEST: usize = 63;

/// Why a name is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    HopByHop,
    Identity,
    Forwarded,
    Cookie,
    Length,
}

/// The compiled names of one configuration.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// For each first byte, a bit for each length that occurs; almost every header of a request ends here.
    mask: Box<[u64; 256]>,
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
        for name in configured.into_iter().chain(IDENTITY.iter().copied()) {
            names.add(name, Kind::Identity);
        }
        for name in HOP_BY_HOP {
            names.add(name, Kind::HopByHop);
        }
        for name in FORWARDED.iter().copied().chain(real_ip) {
            names.add(name, Kind::Forwarded);
        }
        names.add("cookie", Kind::Cookie);
        names.add("content-length", Kind::Length);
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
        let (known, kind) = self.entries.iter().find(|(known, _)| same(known, bytes))?;
        match kind {
            Kind::Identity => Some(Kind::Identity),
            // Other spellings are nobody's standard: only a forger sends them, of an address or of another end of the body.
            _ if **known != *bytes => Some(Kind::Identity),
            Kind::Length => None,
            Kind::HopByHop | Kind::Forwarded | Kind::Cookie => Some(*kind),
        }
    }
}

fn same(folded: &[u8], name: &[u8]) -> bool {
    folded.len() == name.len() && folded.iter().zip(name).all(|(known, byte)| *known == fold(*byte))
}

/// Case, and the three characters that servers confuse.
const fn fold(byte: u8) -> u8 {
    match byte {
        b'_' | b'.' => b'-',
        _ => byte.to_ascii_lowercase(),
    }
}
