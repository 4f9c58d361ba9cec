//! Things that workers count by themselves. To add one: a variant, and its row in [`Event::describe`].

/// Declares the events and lists them, so that none is declared and never counted.
macro_rules! events {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// One kind of happening on the request path.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub(crate) enum Event {
            $($(#[$doc])* $name,)+
        }

        /// All events, in the order of their numbers.
        pub(crate) const ALL: [Event; [$(stringify!($name)),+].len()] = [$(Event::$name),+];
    };
}

events! {
    /// A client connection was accepted.
    ConnectionOpened,
    /// A client connection ended.
    ConnectionClosed,
    /// A client connection was accepted and had to wait, because there were too many.
    ConnectionDelayed,
    /// An accepted connection was handed to a less loaded worker.
    ConnectionHandedOver,
    /// A TLS handshake failed.
    TlsHandshakeFailed,
    /// A request was refused for its framing.
    FramingRefused,
    /// A connection to an upstream was opened.
    UpstreamConnected,
    /// A request went out on a pooled connection.
    UpstreamReused,
    /// A request was sent again, because the pooled connection turned out to be closed.
    UpstreamRetried,
    /// An upstream sent something on an idle connection, where nobody had asked.
    UpstreamUnasked,
    /// A client left before an upstream's answer had ended.
    UpstreamAbandoned,
    /// An upstream gave no answer.
    UpstreamFailed,
    /// A handler panicked; its request got a 500.
    Panicked,
    /// A session was found in the worker's cache.
    SessionCached,
    /// A session was opened from its cookie or loaded from its store.
    SessionOpened,
    /// A session cookie is past its end.
    SessionExpired,
    /// The record of a session cookie is gone.
    SessionGone,
    /// A session cookie is sealed with a key that is not in the ring.
    SessionOfOtherKey,
    /// A session cookie was changed since it was sealed, or sealed for something else.
    SessionForged,
    /// A session cookie is none that this program writes.
    SessionMalformed,
    /// A session cookie is of a provider or an issuer that is not configured.
    SessionOfOtherProvider,
    /// A session cookie lacks what the configuration shows to applications.
    SessionLacking,
    /// Somebody was sent to the provider.
    LoginStarted,
    /// Somebody came back and has a session.
    LoginSucceeded,
    /// Somebody came back, or claimed to, and has none.
    LoginFailed,
    /// Somebody signed out.
    SignedOut,
    /// Somebody with a session may not pass.
    AccessDenied,
}

const UPSTREAM_REQUESTS: (&str, &str) =
    ("oauth2_proxy_upstream_requests_total", "Requests by the connection they went out on.");
const SESSIONS: (&str, &str) =
    ("oauth2_proxy_sessions_loaded_total", "Sessions by where they were taken from.");

const REFUSED: (&str, &str) = (
    "oauth2_proxy_sessions_refused_total",
    "Session cookies that were refused and cleared, by why.",
);

const LOGINS: (&str, &str) = ("oauth2_proxy_logins_total", "Logins by how far they came.");

impl Event {
    /// Name of the family, labels in Prometheus' form, and help.
    pub(crate) fn describe(self) -> (&'static str, &'static str, &'static str) {
        let ((name, help), labels) = match self {
            Self::UpstreamConnected => (UPSTREAM_REQUESTS, "connection=\"new\""),
            Self::UpstreamReused => (UPSTREAM_REQUESTS, "connection=\"reused\""),
            Self::SessionCached => (SESSIONS, "from=\"cache\""),
            Self::SessionOpened => (SESSIONS, "from=\"store\""),
            Self::SessionExpired => (REFUSED, "reason=\"expired\""),
            Self::SessionGone => (REFUSED, "reason=\"ended\""),
            Self::SessionOfOtherKey => (REFUSED, "reason=\"unknown_key\""),
            Self::SessionForged => (REFUSED, "reason=\"forged\""),
            Self::SessionMalformed => (REFUSED, "reason=\"malformed\""),
            Self::SessionOfOtherProvider => (REFUSED, "reason=\"other_provider\""),
            Self::SessionLacking => (REFUSED, "reason=\"incomplete\""),
            Self::LoginStarted => (LOGINS, "outcome=\"started\""),
            Self::LoginSucceeded => (LOGINS, "outcome=\"succeeded\""),
            Self::LoginFailed => (LOGINS, "outcome=\"failed\""),
            _ => (self.alone(), ""),
        };
        (name, labels, help)
    }

    /// Name and help of a family with one member.
    fn alone(self) -> (&'static str, &'static str) {
        match self {
            Self::ConnectionOpened => {
                ("oauth2_proxy_connections_opened_total", "Client connections that were accepted.")
            }
            Self::ConnectionClosed => {
                ("oauth2_proxy_connections_closed_total", "Client connections that ended.")
            }
            Self::ConnectionDelayed => (
                "oauth2_proxy_connections_delayed_total",
                "Client connections that were accepted and had to wait because there were too many.",
            ),
            Self::ConnectionHandedOver => (
                "oauth2_proxy_connections_handed_over_total",
                "Client connections that moved to a less loaded worker.",
            ),
            Self::TlsHandshakeFailed => (
                "oauth2_proxy_tls_handshakes_failed_total",
                "TLS handshakes of clients that failed.",
            ),
            Self::FramingRefused => (
                "oauth2_proxy_malformed_requests_total",
                "Requests refused because where they end could be read in two ways.",
            ),
            Self::UpstreamRetried => (
                "oauth2_proxy_upstream_retries_total",
                "Requests sent again because the pooled connection turned out to be closed.",
            ),
            Self::UpstreamUnasked => (
                "oauth2_proxy_upstream_unasked_answers_total",
                "Idle connections closed because the upstream sent what nobody had asked for.",
            ),
            Self::UpstreamAbandoned => (
                "oauth2_proxy_upstream_abandoned_total",
                "Requests whose client left before the upstream's answer had ended; each closes its connection to the upstream.",
            ),
            Self::UpstreamFailed => (
                "oauth2_proxy_upstream_failures_total",
                "Requests that an upstream gave no answer to.",
            ),
            Self::Panicked => (
                "oauth2_proxy_panics_total",
                "Requests answered with 500 because of a defect in the proxy.",
            ),
            Self::SignedOut => ("oauth2_proxy_sign_outs_total", "Sign-outs."),
            Self::AccessDenied => (
                "oauth2_proxy_access_denied_total",
                "Requests of somebody with a session who may not pass.",
            ),
            Self::UpstreamConnected | Self::UpstreamReused => UPSTREAM_REQUESTS,
            Self::SessionCached | Self::SessionOpened => SESSIONS,
            Self::SessionExpired
            | Self::SessionGone
            | Self::SessionOfOtherKey
            | Self::SessionForged
            | Self::SessionMalformed
            | Self::SessionOfOtherProvider
            | Self::SessionLacking => REFUSED,
            Self::LoginStarted | Self::LoginSucceeded | Self::LoginFailed => LOGINS,
        }
    }
}
