//! The options that are supported, one entry each: type, default, flag, and the field of the configuration that it sets.
//!
//! To support another option: move its row here from `unsupported.rs`, and use its field in `convert.rs`; the compiler
//! asks for the second as soon as the first is done. `docs/options.md` is generated from these entries.

use super::row::options;

options! {
    Provider {
        /// Provider type. So far `oidc` is the only one.
        provider: Text = "google", "provider" => "providers";
        /// Name on the sign-in button.
        provider_display_name: Text = "", "provider-display-name" => "providers[0].name";
        /// OAuth client id. Required.
        client_id: Text = "", "client-id" => "providers[0].clientId";
        /// OAuth client secret; wins over the file. One of the two is required.
        client_secret: Secret = "", "client-secret" => "providers[0].clientSecret";
        /// File with the client secret. One line break at its end is not part of it.
        client_secret_file: Text = "", "client-secret-file" => "providers[0].clientSecret";
        /// Issuer URL, equal byte for byte to what discovery and tokens say. Required.
        oidc_issuer_url: Text = "", "oidc-issuer-url" => "providers[0].issuerUrl";
        /// Use the endpoints given by the options below and ask for no discovery document.
        skip_oidc_discovery: Switch = "false", "skip-oidc-discovery" => "providers[0].skipDiscovery";
        /// Authorization endpoint, or a path on the host that the browser is at; discovery replaces it.
        login_url: Text = "", "login-url" => "providers[0].endpoints.authorization";
        /// Token endpoint; discovery replaces it.
        redeem_url: Text = "", "redeem-url" => "providers[0].endpoints.token";
        /// Userinfo endpoint; discovery replaces it.
        profile_url: Text = "", "profile-url" => "providers[0].endpoints.userinfo";
        /// Key set; used only with --skip-oidc-discovery.
        oidc_jwks_url: Text = "", "oidc-jwks-url" => "providers[0].endpoints.jwks";
        /// Endpoint that is asked after a refresh whether the new access token is valid; never discovered.
        validate_url: Text = "", "validate-url" => "providers[0].endpoints.validate";
        /// Requested scope; default `openid email profile`, and ` groups` when groups are required and discovery names that scope.
        scope: Text = "", "scope" => "providers[0].scope";
        /// PKCE method: S256 or plain. Default: S256 wherever the provider can.
        code_challenge_method: Text = "", "code-challenge-method" => "providers[0].codeChallengeMethod";
        /// Deprecated name of --code-challenge-method.
        force_code_challenge_method: Text = "", "force-code-challenge-method" => "providers[0].codeChallengeMethod";
        /// acr_values parameter of the login.
        acr_values: Text = "", "acr-values" => "providers[0].loginParameters";
        /// prompt parameter of the login; replaces approval_prompt.
        prompt: Text = "", "prompt" => "providers[0].loginParameters";
        /// approval_prompt parameter of the login, sent when there is no prompt.
        approval_prompt: Text = "force", "approval-prompt" => "providers[0].loginParameters";
        /// response_mode parameter of the login, such as form_post.
        auth_request_response_mode: Text = "", "auth-request-response-mode" => "providers[0].responseMode";
        /// Claim with the e-mail address: a name or a dotted path.
        oidc_email_claim: Text = "email", "oidc-email-claim" => "providers[0].claims.email";
        /// Deprecated way to choose the e-mail claim; counts only while --oidc-email-claim is `email`.
        user_id_claim: Text = "email", "user-id-claim" => "providers[0].claims.email";
        /// Claim with the groups: a name or a dotted path.
        oidc_groups_claim: Text = "groups", "oidc-groups-claim" => "providers[0].claims.groups";
        /// Claims tried in order as the audience.
        oidc_audience_claims: List = "aud", "oidc-audience-claim" => "providers[0].claims.audience";
        /// Audiences accepted beside the client id.
        oidc_extra_audiences: List = "", "oidc-extra-audience" => "providers[0].claims.extraAudiences";
        /// Accepted signature algorithms of ID tokens, among those that discovery lists.
        oidc_enabled_signing_algs: List = "", "oidc-enabled-signing-alg" => "providers[0].signingAlgorithms";
        /// Never ask the userinfo endpoint for claims that the ID token lacks.
        skip_claims_from_profile_url: Switch = "false", "skip-claims-from-profile-url" => "providers[0].claims.skipUserinfo";
        /// Accept an address whose email_verified is false. Weakens security.
        insecure_oidc_allow_unverified_email: Switch = "false", "insecure-oidc-allow-unverified-email" => "providers[0].claims.insecureAllowUnverifiedEmail";
        /// Accept discovery documents and tokens of another issuer. Weakens security.
        insecure_oidc_skip_issuer_verification: Switch = "false", "insecure-oidc-skip-issuer-verification" => "providers[0].insecureSkipIssuerVerification";
        /// Neither send nor check a nonce. Weakens security; oauth2-proxy's own default is true.
        insecure_oidc_skip_nonce: Switch = "false", "insecure-oidc-skip-nonce" => "providers[0].insecureSkipNonce";
        /// PEM files with the only roots trusted for the provider.
        provider_ca_files: List = "", "provider-ca-file" => "providers[0].tls.caFiles";
        /// Trust the system's roots beside --provider-ca-file.
        use_system_trust_store: Switch = "false", "use-system-trust-store" => "providers[0].tls.useSystemRoots";
        /// Accept any certificate of the provider. Weakens security.
        ssl_insecure_skip_verify: Switch = "false", "ssl-insecure-skip-verify" => "providers[0].tls.insecureSkipVerify";
    }
    Session {
        /// Secret of sessions: 16, 24 or 32 bytes, raw or base64url; wins over the file. One of the two is required.
        cookie_secret: Secret = "", "cookie-secret" => "session.keys[0]";
        /// File with the cookie secret. One line break at its end is not part of it.
        cookie_secret_file: Text = "", "cookie-secret-file" => "session.keys[0]";
        /// Name of the session cookie.
        cookie_name: Text = "_oauth2_proxy", "cookie-name" => "session.cookie.name";
        /// Candidates for the Domain attribute: the longest that fits the request's host wins.
        cookie_domains: List = "", "cookie-domain" => "session.cookie.domains";
        /// Path attribute.
        cookie_path: Text = "/", "cookie-path" => "session.cookie.path";
        /// Lifetime of a session; 0: until the browser closes.
        cookie_expire: Span = "168h0m0s", "cookie-expire" => "session.lifetime";
        /// Age after which a session is refreshed at the provider; 0: never.
        cookie_refresh: Span = "0s", "cookie-refresh" => "session.refresh";
        /// Secure attribute; it also makes computed redirect URLs https.
        cookie_secure: Switch = "true", "cookie-secure" => "session.cookie.secure";
        /// HttpOnly attribute.
        cookie_httponly: Switch = "true", "cookie-httponly" => "session.cookie.httpOnly";
        /// SameSite attribute: lax, strict, none or empty.
        cookie_samesite: Text = "", "cookie-samesite" => "session.cookie.sameSite";
        /// How long a login may take.
        cookie_csrf_expire: Span = "15m0s", "cookie-csrf-expire" => "session.cookie.csrf.lifetime";
        /// SameSite attribute of the login's cookie; empty: that of the session cookie.
        cookie_csrf_samesite: Text = "", "cookie-csrf-samesite" => "session.cookie.csrf.sameSite";
        /// A cookie for each login, so that several tabs can log in at once.
        cookie_csrf_per_request: Switch = "false", "cookie-csrf-per-request" => "session.cookie.csrf.perRequest";
        /// How many such cookies may exist; 0: 20.
        cookie_csrf_per_request_limit: Int = "0", "cookie-csrf-per-request-limit" => "session.cookie.csrf.limit";
        /// Where sessions are kept: cookie or redis.
        session_store_type: Text = "cookie", "session-store-type" => "session.store";
        /// redis://, rediss:// or unix:// URL of a Redis server.
        redis_connection_url: Secret = "", "redis-connection-url" => "session.store.redis.url";
        /// Redis user; replaces that of the URL.
        redis_username: Text = "", "redis-username" => "session.store.redis.username";
        /// Redis password; replaces that of the URL.
        redis_password: Secret = "", "redis-password" => "session.store.redis.password";
        /// PEM file with roots trusted for Redis beside the system's.
        redis_ca_path: Text = "", "redis-ca-path" => "session.store.redis.caFile";
        /// Accept any certificate of Redis. Weakens security.
        redis_insecure_skip_tls_verify: Switch = "false", "redis-insecure-skip-tls-verify" => "session.store.redis.insecureSkipVerify";
    }
    Access {
        /// Domains whose addresses may pass: d, .d or *.d for sub-domains, * for all. This or the file is required.
        email_domains: List = "", "email-domain" => "access.emailDomains";
        /// File with one permitted address a line; watched for changes.
        authenticated_emails_file: Text = "", "authenticated-emails-file" => "access.emailsFile";
        /// One of these groups is needed.
        allowed_groups: List = "", "allowed-group" => "access.allowedGroups";
        /// Requests that need no session: [METHOD=]regex or [METHOD]!=regex in the syntax of Go, on the path alone.
        skip_auth_routes: List = "", "skip-auth-route" => "access.skipAuth";
        /// Deprecated: paths that need no session, as regular expressions of Go.
        skip_auth_regex: List = "", "skip-auth-regex" => "access.skipAuth";
        /// Genuine CORS pre-flights need no session.
        skip_auth_preflight: Switch = "false", "skip-auth-preflight" => "access.skipAuthPreflight";
        /// Clients from these addresses or networks need no session.
        trusted_ips: List = "", "trusted-ip" => "access.trustedIps";
        /// Paths, as regular expressions of Go, where a request without a session gets 401 and no login page.
        api_routes: List = "", "api-route" => "access.apiRoutes";
        /// Answer every refused request with JSON.
        force_json_errors: Switch = "false", "force-json-errors" => "access.forceJsonErrors";
        /// Start the login at once, without the sign-in page.
        skip_provider_button: Switch = "false", "skip-provider-button" => "access.skipProviderButton";
        /// Accept ID tokens of the provider as bearer tokens.
        skip_jwt_bearer_tokens: Switch = "false", "skip-jwt-bearer-tokens" => "access.bearer";
        /// A bad bearer token leads to the login; otherwise it is refused with 403.
        bearer_token_login_fallback: Switch = "true", "bearer-token-login-fallback" => "access.bearer.loginFallback";
    }
    Upstream {
        /// http(s)://host[/path], unix:///socket, file:///folder/[#/path/] or static://code. In a path {name} is one segment, {name:regex} what that matches.
        upstreams: List = "", "upstream" => "upstreams";
        /// How long to wait for the head of an upstream's response; 0: for ever.
        upstream_timeout: Span = "30s", "upstream-timeout" => "upstreams";
        /// Send the client's Host header.
        pass_host_header: Switch = "true", "pass-host-header" => "upstreams";
        /// Allow WebSocket and other upgrades.
        proxy_websockets: Switch = "true", "proxy-websockets" => "upstreams";
        /// Accept any certificate of upstreams. Weakens security.
        ssl_upstream_insecure_skip_verify: Switch = "false", "ssl-upstream-insecure-skip-verify" => "upstreams";
    }
    Headers {
        /// Send X-Forwarded-User, -Email, -Groups and -Preferred-Username upstream.
        pass_user_headers: Switch = "true", "pass-user-headers" => "requestHeaders";
        /// Implies --pass-user-headers.
        pass_basic_auth: Switch = "true", "pass-basic-auth" => "requestHeaders";
        /// Send X-Forwarded-Access-Token upstream, and X-Auth-Request-Access-Token with --set-xauthrequest.
        pass_access_token: Switch = "false", "pass-access-token" => "requestHeaders";
        /// Send the ID token upstream as Authorization: Bearer.
        pass_authorization_header: Switch = "false", "pass-authorization-header" => "requestHeaders";
        /// X-Forwarded-User holds the e-mail address, and X-Forwarded-Email is left out.
        prefer_email_to_user: Switch = "false", "prefer-email-to-user" => "requestHeaders";
        /// Answer with X-Auth-Request-User, -Email, -Groups and -Preferred-Username.
        set_xauthrequest: Switch = "false", "set-xauthrequest" => "responseHeaders";
        /// Answer with the ID token as Authorization: Bearer.
        set_authorization_header: Switch = "false", "set-authorization-header" => "responseHeaders";
    }
    Http {
        /// Path under which the own endpoints are.
        proxy_prefix: Text = "/oauth2", "proxy-prefix" => "http.proxyPrefix";
        /// Liveness path; empty: none.
        ping_path: Text = "/ping", "ping-path" => "http.pingPath";
        /// Readiness path; empty: none.
        ready_path: Text = "/ready", "ready-path" => "http.readyPath";
        /// Callback URL or path; what is missing comes from the request and the prefix.
        redirect_url: Text = "", "redirect-url" => "http.redirectUrl";
        /// Give the provider the redirect URL as it is, even if relative.
        relative_redirect_url: Switch = "false", "relative-redirect-url" => "http.relativeRedirectUrl";
        /// Hosts that a redirect after login or sign-out may lead to: host[:port|:*], .host, *.host.
        whitelist_domains: List = "", "whitelist-domain" => "http.whitelistDomains";
        /// Encode the state parameter in base64url.
        encode_state: Switch = "false", "encode-state" => "http.encodeState";
        /// Redirect plain HTTP to HTTPS.
        force_https: Switch = "false", "force-https" => "http.forceHttps";
        /// Another proxy stands in front: believe its X-Forwarded headers, as far as --trusted-proxy-ip says.
        reverse_proxy: Switch = "false", "reverse-proxy" => "http.reverseProxy";
        /// Peers whose forwarded headers count everywhere; without any, they never count for a decision on access.
        trusted_proxy_ips: List = "", "trusted-proxy-ip" => "http.reverseProxy.trustedProxies";
        /// Header with the client's address; used only with --reverse-proxy.
        real_client_ip_header: Text = "X-Real-IP", "real-client-ip-header" => "http.reverseProxy.realClientIpHeader";
        /// Header with the request id; a random one is made if it is missing.
        request_id_header: Text = "X-Request-Id", "request-id-header" => "http.requestIdHeader";
    }
    Listeners {
        /// Plain listener: host:port or unix:///path; empty or - for none. Off as soon as TLS files are given.
        http_address: Text = "127.0.0.1:4180", "http-address" => "listeners.http.address";
        /// TLS listener; on only when TLS files are given.
        https_address: Text = ":443", "https-address" => "listeners.https.address";
        /// PEM file with the certificate chain; read again when it changes.
        tls_cert_file: Text = "", "tls-cert-file" => "listeners.https.certificateFile";
        /// PEM file with the private key; read again when it changes.
        tls_key_file: Text = "", "tls-key-file" => "listeners.https.key";
        /// Oldest TLS version: TLS1.2 or TLS1.3; empty: TLS1.2.
        tls_min_version: Text = "", "tls-min-version" => "listeners.https.minVersion";
        /// Listener that answers every path with Prometheus metrics; empty: none.
        metrics_address: Text = "", "metrics-address" => "listeners.metrics.address";
    }
    Logging {
        /// Log requests.
        request_logging: Switch = "true", "request-logging" => "logging.requests";
        /// Log logins, sign-outs and refusals.
        auth_logging: Switch = "true", "auth-logging" => "logging.authentication";
        /// Log everything else. The reason of a failed start is always shown.
        standard_logging: Switch = "true", "standard-logging" => "logging.standard";
        /// Exact paths left out of the request log.
        exclude_logging_paths: List = "", "exclude-logging-path" => "logging.excludePaths";
        /// Leave the liveness and readiness paths out of the request log.
        silence_ping_logging: Switch = "false", "silence-ping-logging" => "logging.silencePing";
    }
    Own {
        /// How long a session that is due goes on without a refresh while the provider can not be asked; then requests get
        /// 503.
        refresh_grace: Span = "1h0m0s", "refresh-grace" => "session.refreshGrace";
        /// Listener with /livez, /readyz, /metrics and /status; unauthenticated, so keep it inside; empty: none.
        admin_address: Text = "", "admin-address" => "listeners.admin.address";
        /// Speak HTTP/2 on the plain listener as well, with clients that begin with it ("h2c", prior knowledge).
        h2c: Switch = "false", "h2c" => "listeners.http.h2c";
        /// Form of log lines: text or json.
        log_format: Text = "text", "log-format" => "logging.format";
        /// File with the client secret that was in use before, while the provider changes it: whichever of the two it takes is used.
        previous_client_secret_file: Text = "", "previous-client-secret-file" => "providers[0].previousCredentials[0].clientSecret";
        /// How the client identifies itself at the token endpoint: client_secret_basic, client_secret_post or none. Default: a way that the provider offers, and another if it refuses that one.
        client_authentication: Text = "", "client-authentication" => "providers[0].clientAuthentication";
        /// Use endpoints with http although the issuer is https. Weakens security.
        insecure_oidc_allow_http_endpoints: Switch = "false", "insecure-oidc-allow-http-endpoints" => "providers[0].insecureAllowHttpEndpoints";
        /// Where the discovery document is, if not under the issuer.
        oidc_discovery_url: Text = "", "oidc-discovery-url" => "providers[0].discoveryUrl";
        /// On sign-out, go on to the provider's end-session endpoint, which leads back to `/oauth2/signed_out`.
        oidc_rp_initiated_logout: Switch = "false", "oidc-rp-initiated-logout" => "providers[0].rpInitiatedLogout";
        /// Time given to requests in flight when the process stops.
        drain_timeout: Span = "25s", "drain-timeout" => "limits.drainTimeout";
        /// Client connections at a time.
        max_connections: Int = "50000", "max-connections" => "limits.maxConnections";
        /// Worker threads; 0: one per core.
        workers: Int = "0", "workers" => "limits.workers";
        /// Time after the login at which a session ends, however often it was refreshed; 0 means never. It holds for sessions that are there already.
        session_absolute_lifetime: Span = "0s", "session-absolute-lifetime" => "session.absolute";
        /// Time without a byte after which an answer under way or an upgraded connection is cut, while the other side is silent; 0: never.
        stream_idle_timeout: Span = "0s", "stream-idle-timeout" => "limits.streamIdleTimeout";
        /// Format in which sessions are written: v2, or v1 while older versions of this program share the sessions. All are read.
        session_format: Text = "v2", "session-format" => "session.format";
    }
}
