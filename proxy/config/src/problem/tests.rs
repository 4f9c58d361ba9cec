use crate::{Access, AllowedValue, Config, LoginParameter, Target, Upstream};

/// The smallest valid configuration.
fn config() -> Config {
    let text = r#"{
        "version": "v1",
        "listeners": {"http": {"address": "127.0.0.1:0"}},
        "providers": [{"id": "main", "clientId": "app", "clientSecret": {"file": "/s/client-secret"},
                       "issuerUrl": "https://id.example"}],
        "session": {"keys": [{"file": "/s/key"}]},
        "access": {"emailDomains": ["*"]}
    }"#;
    Config::parse(text.as_bytes()).unwrap()
}

fn problems(change: impl FnOnce(&mut Config)) -> Vec<String> {
    let mut config = config();
    change(&mut config);
    let found = config.problems().err().unwrap_or_default();
    found.0.into_iter().map(|problem| problem.field).collect()
}

#[test]
fn the_smallest_configuration_is_valid_and_weakens_nothing() {
    assert_eq!(problems(|_| {}), Vec::<String>::new());
    assert_eq!(config().warnings(), Vec::new());
}

#[test]
fn all_problems_are_found_at_once_and_printed_one_a_line() {
    let mut config = config();
    config.session.cookie.name = "my cookie".to_owned();
    config.access = Access::default();
    config.providers[0].client_id.clear();
    let text = config.problems().unwrap_err().to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert_eq!(lines[0], "invalid configuration:");
    assert!(lines[1].starts_with("  session.cookie.name: \"my cookie\""), "{text}");
    assert!(lines[2].starts_with("  providers[0].clientId: missing setting"), "{text}");
    assert!(lines[3].starts_with("  access.emailDomains: missing setting"), "{text}");
}

/// A change that is wrong, and the field that it must be blamed on.
type Case = (fn(&mut Config), &'static str);

fn allow(config: &mut Config, allowed: AllowedValue) {
    config.providers[0].login_parameters.push(LoginParameter {
        name: "login_hint".to_owned(),
        values: Vec::new(),
        allow: vec![allowed],
    });
}

#[test]
fn tls_on_a_unix_socket_is_refused() {
    let mut config = config();
    config.listeners.https = Some(crate::TlsListener {
        address: "unix:///run/o2p.sock".parse().unwrap(),
        certificate_file: "tls.crt".into(),
        key: crate::Secret::File("tls.key".into()),
        min_version: crate::TlsVersion::Tls12,
    });
    let text = config.problems().unwrap_err().to_string();
    assert!(text.contains("listeners.https.address: TLS is spoken on TCP only"), "{text}");
}

#[test]
fn an_endpoint_is_a_url_and_only_the_login_page_may_be_a_path() {
    let none: [&str; 0] = [];
    let with = |set: fn(&mut crate::Endpoints, String), text: &str| {
        let text = text.to_owned();
        problems(move |c: &mut Config| {
            let provider = &mut c.providers[0];
            provider.skip_discovery = true;
            provider.endpoints = crate::Endpoints {
                authorization: Some("/dex/auth?tenant=a".into()),
                token: Some("https://id.example/token".into()),
                jwks: Some("https://id.example/jwks".into()),
                ..crate::Endpoints::default()
            };
            set(&mut provider.endpoints, text);
        })
    };
    for page in ["/dex/auth?tenant=a", "https://id.example/auth"] {
        assert_eq!(with(|e, text| e.authorization = Some(text), page), none, "{page}");
    }
    for page in ["//evil.test/auth", "/\\evil.test", "dex/auth", "https://id.example/#f", "/auth#f"]
    {
        let found = with(|e, text| e.authorization = Some(text), page);
        assert_eq!(found, ["providers[0].endpoints.authorization"], "{page}");
    }
    for url in ["/token", "https://id.example/token#f", "ftp://id.example/token"] {
        assert_eq!(with(|e, text| e.token = Some(text), url), ["providers[0].endpoints.token"]);
        let found = with(|e, text| e.end_session = Some(text), url);
        assert_eq!(found, ["providers[0].endpoints.endSession"]);
    }
    assert_eq!(
        with(|e, _| *e = crate::Endpoints::default(), ""),
        ["authorization", "token", "jwks"].map(|name| format!("providers[0].endpoints.{name}"))
    );
    let elsewhere =
        |c: &mut Config| c.providers[0].discovery_url = Some("https://a.test/#f".into());
    assert_eq!(problems(elsewhere), ["providers[0].discoveryUrl"]);
}

#[test]
fn a_login_parameter_is_none_that_the_login_sets() {
    for (name, settable) in
        [("redirect_uri", false), ("response_mode", false), ("acr_values", true)]
    {
        let found = problems(|c| {
            let parameter = LoginParameter {
                name: name.to_owned(),
                values: vec!["x".to_owned()],
                allow: Vec::new(),
            };
            c.providers[0].login_parameters = vec![parameter];
        });
        let expected = (!settable).then_some("providers[0].loginParameters[0].name");
        assert_eq!(found, Vec::from_iter(expected), "{name}");
    }
}

#[test]
fn each_rule_names_its_field() {
    let cases: [Case; 30] = [
        (|c| c.listeners.http = None, "listeners"),
        (|c| c.http.force_https = true, "http.forceHttps"),
        (|c| c.listeners.admin = Some(crate::Listener { address: "[::1]:9".parse().unwrap() }), ""),
        (|c| c.providers.clear(), "providers"),
        (|c| c.providers.push(c.providers[0].clone()), "providers[1]"),
        (|c| c.providers[0].issuer_url = "id.example".into(), "providers[0].issuerUrl"),
        (|c| c.providers[0].issuer_url = "https://id.example?x".into(), "providers[0].issuerUrl"),
        (
            |c| c.providers[0].endpoints.userinfo = Some("ftp://x".into()),
            "providers[0].endpoints.userinfo",
        ),
        (|c| c.providers[0].claims.audience.clear(), "providers[0].claims.audience"),
        (|c| allow(c, AllowedValue::Value("(".into())), ""),
        (
            |c| allow(c, AllowedValue::Pattern("(".into())),
            "providers[0].loginParameters[0].allow[0].pattern",
        ),
        (|c| c.session.keys.clear(), "session.keys"),
        (|c| c.session.refresh = c.session.lifetime, "session.refresh"),
        (|c| c.session.cookie.name = "n".repeat(257), "session.cookie.name"),
        (|c| c.session.cookie.name = "süß".into(), "session.cookie.name"),
        (|c| c.session.cookie.name = "__Host-x".into(), ""),
        (|c| c.session.cookie.path = "app".into(), "session.cookie.path"),
        (|c| c.session.cookie.domains = vec!["a b".into()], "session.cookie.domains[0]"),
        (|c| c.access.email_domains = vec!["me@example.com".into()], "access.emailDomains[0]"),
        (|c| c.access.trusted_ips = vec!["10.0.0.1/8".parse().unwrap()], "access.trustedIps[0]"),
        (|c| c.access.api_routes = vec![String::new()], "access.apiRoutes[0]"),
        (|c| c.http.proxy_prefix = "oauth2".into(), "http.proxyPrefix"),
        (|c| c.http.proxy_prefix = "/oauth2/".into(), "http.proxyPrefix"),
        (|c| c.http.redirect_url = Some("%".into()), "http.redirectUrl"),
        (|c| c.http.redirect_url = Some("/cb".into()), ""),
        (
            |c| c.http.whitelist_domains = vec!["https://a.example".into()],
            "http.whitelistDomains[0]",
        ),
        (|c| c.http.whitelist_domains = vec![".a.example:*".into(), "[::1]:8443".into()], ""),
        (|c| c.http.request_id_header = "a b".into(), "http.requestIdHeader"),
        (|c| c.limits.max_connections = 0, "limits.maxConnections"),
        (|c| c.logging.exclude_paths = vec!["ping".into()], "logging.excludePaths[0]"),
    ];
    for (i, (change, field)) in cases.into_iter().enumerate() {
        let expected: Vec<String> =
            Some(field.to_owned()).into_iter().filter(|field| !field.is_empty()).collect();
        assert_eq!(problems(change), expected, "case {i}");
    }
}

/// Gives the client earlier credentials beside its third ones.
fn previous(config: &mut Config, all: &[(u32, &str)]) {
    let provider = &mut config.providers[0];
    provider.credentials_generation = 3;
    let credentials = all.iter().map(|&(generation, id)| crate::Credentials {
        generation,
        client_id: id.to_owned(),
        client_secret: Some(crate::Secret::File("/s/old".into())),
    });
    provider.previous_credentials = credentials.collect();
}

#[test]
fn earlier_credentials_have_generations_that_go_down_and_all_that_a_client_needs() {
    for (all, field) in [
        (&[(2, "app"), (1, "old")][..], None),
        (&[(3, "app")], Some("[0].generation")),
        (&[(2, "a"), (2, "b")], Some("[1].generation")),
        (&[(2, "")], Some("[0].clientId")),
        (&[(2, "a"), (1, "a"), (0, "a")], None),
    ] {
        let expected = field.map(|field| format!("providers[0].previousCredentials{field}"));
        assert_eq!(problems(|c| previous(c, all)), Vec::from_iter(expected), "{all:?}");
    }
    let public = |c: &mut Config| {
        previous(c, &[(2, "app")]);
        c.providers[0].previous_credentials[0].client_secret = None;
    };
    assert_eq!(problems(public), ["providers[0].previousCredentials[0].clientSecret"]);
    let many = |c: &mut Config| {
        previous(c, &[(7, "a"), (6, "a"), (5, "a"), (4, "a"), (3, "a")]);
        c.providers[0].credentials_generation = 8;
    };
    assert_eq!(problems(many), ["providers[0].previousCredentials"]);
}

#[test]
fn upstreams_with_one_id_or_path_are_told_apart_by_their_place() {
    let upstream = |uri: &str| Upstream {
        id: "/".into(),
        path: "/".into(),
        rewrite_target: None,
        reuse_after_body: true,
        target: serde_json::from_str::<Target>(&format!("{{\"http\": {{\"uri\": \"{uri}\"}}}}"))
            .unwrap(),
    };
    let found = problems(|c| c.upstreams = vec![upstream("http://a"), upstream("ldap://b")]);
    assert_eq!(found, ["upstreams[1].id", "upstreams[1].path", "upstreams[1].target.uri"]);
}

#[test]
fn header_names_are_unique_whatever_their_case_and_never_frame_a_message() {
    let found = problems(|c| {
        c.request_headers = serde_json::from_str(
            r#"[{"name": "X-User", "values": [{"claim": "user"}]},
                {"name": "x_user", "values": [{"claim": "user"}]},
                {"name": "Content-Length", "values": [{"claim": "user"}]},
                {"name": "X-Other", "values": [{"claim": "user", "prefix": "a\r\n"}]},
                {"name": "X-None", "values": []},
                {"name": "X-Nameless", "values": [{"claim": {"other": "a.b"}}, {"claim": {"other": ""}}]}]"#,
        )
        .unwrap();
    });
    assert_eq!(
        found,
        [
            "requestHeaders[1].name",
            "requestHeaders[2].name",
            "requestHeaders[3].values[0].prefix",
            "requestHeaders[4].values",
            "requestHeaders[5].values[1].claim.other"
        ]
    );
}

#[test]
fn a_claim_that_the_first_format_of_sessions_can_not_hold_is_refused_with_it() {
    let headers = |c: &mut Config| {
        c.response_headers = serde_json::from_str(
            r#"[{"name": "X-Role", "values": [{"claim": "user"}, {"claim": {"other": "role"}}]}]"#,
        )
        .unwrap();
    };
    assert_eq!(problems(headers), [""; 0]);
    let found = problems(|c| {
        headers(c);
        c.session.format = crate::SessionFormat::V1;
    });
    assert_eq!(found, ["session.format"]);
}

#[test]
fn settings_that_weaken_security_are_warned_about() {
    let mut config = config();
    config.providers[0].insecure_skip_nonce = true;
    config.session.cookie.secure = false;
    config.http.reverse_proxy = serde_json::from_str("{}").ok();
    let fields: Vec<_> = config.warnings().into_iter().map(|warning| warning.field).collect();
    assert_eq!(
        fields,
        [
            "providers[0].insecureSkipNonce",
            "session.cookie.secure",
            "http.reverseProxy.trustedProxies"
        ]
    );
}

#[test]
fn rules_that_a_proxy_in_front_could_let_its_clients_choose_are_warned_about() {
    let mut config = config();
    config.http.reverse_proxy = serde_json::from_str(r#"{"trustedProxies": ["10.0.0.0/8"]}"#).ok();
    assert_eq!(config.warnings(), Vec::new());
    config.access.skip_auth = serde_json::from_str(r#"[{"path": "^/public/"}]"#).unwrap();
    let warnings = config.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].field, "access.skipAuth");
    assert!(warnings[0].message.contains("X-Forwarded-Uri"), "{warnings:?}");
    config.access.skip_auth_preflight = true;
    let warnings = config.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert_eq!(warnings[1].field, "access.skipAuthPreflight");
    assert!(warnings[1].message.contains("X-Forwarded-Method"), "{warnings:?}");
}
