//! The only place where an `OAuth2Proxy` becomes the configuration that the proxy reads.
//!
//! Sections are taken apart without `..`, so that a field of the API that is forgotten here does not compile.

use crate::pod::{
    CLIENT_SECRET, EMAILS, MOUNT, PREVIOUS_CLIENT_SECRET, PROVIDER_CA, REDIS_CA, REDIS_URL,
};
use crate::proxy_controller::ring::Ring;
use crate::proxy_controller::validate::ValidatedProxy;
use crate::spec::ValidSpec;
use proxy_config as file;
use std::path::PathBuf;

/// Identity of the only provider in sessions and login states. It stays when the issuer's URL changes.
const PROVIDER_ID: &str = "oidc";

pub(super) fn build(proxy: &ValidatedProxy) -> file::Config {
    let spec = &proxy.spec;
    let crds::OAuth2ProxySpec {
        provider: of_provider,
        access: of_access,
        session: of_session,
        headers,
        http: of_http,
        logging: of_logging,
        sidecar,
        deployment: _,
        upstreams,
        image: _,
        image_pull_secrets: _,
        deletion_policy: _,
    } = &spec.spec;
    file::Config {
        version: file::Version::V1,
        listeners: listeners(sidecar),
        providers: vec![provider(of_provider)],
        session: session(spec, of_session, &proxy.ring),
        access: access(spec, of_access),
        upstreams: upstreams
            .iter()
            .zip(&spec.timeouts)
            .map(|(route, timeout)| upstream(route, *timeout))
            .collect(),
        request_headers: headers.request.iter().map(header).collect(),
        response_headers: headers.response.iter().map(header).collect(),
        http: http(spec, of_http),
        logging: logging(of_logging),
        limits: file::Limits { stream_idle_timeout: spec.stream_idle, ..file::Limits::default() },
        application: file::Application { reuse_after_body: sidecar.reuse_after_body },
    }
}

/// Pods get their ports on the command line; these are for whoever runs the file by hand.
fn listeners(sidecar: &crds::Sidecar) -> file::Listeners {
    let address = |port| file::Address::Tcp { host: String::new(), port };
    file::Listeners {
        http: Some(file::PlainListener { address: address(sidecar.port), h2c: false }),
        https: None,
        admin: Some(file::Listener { address: address(sidecar.admin_port) }),
        metrics: None,
    }
}

#[expect(clippy::too_many_lines, reason = "one line for each field, in one place")]
fn provider(provider: &crds::Provider) -> file::Provider {
    let crds::Provider {
        type_: crds::ProviderType::Oidc,
        name,
        issuer_url,
        discovery_url,
        client_id,
        client_secret_ref,
        previous_client_secret_ref,
        client_authentication,
        scope,
        code_challenge_method,
        login_url_parameters,
        response_mode,
        email_claim,
        groups_claim,
        audience_claims,
        extra_audiences,
        skip_claims_from_profile_url,
        enabled_signing_algs,
        insecure_allow_unverified_email,
        insecure_skip_issuer_verification,
        insecure_allow_http_endpoints,
        insecure_skip_nonce,
        rp_initiated_logout,
        ca_secret_ref,
        use_system_trust_store,
    } = provider;
    file::Provider {
        id: PROVIDER_ID.to_owned(),
        name: name.clone(),
        client_id: client_id.clone(),
        client_secret: client_secret_ref.as_ref().map(|_| secret(CLIENT_SECRET)),
        // As with the flag. Generations tell clients apart, so that they begin anew later does no harm.
        credentials_generation: u32::from(previous_client_secret_ref.is_some()),
        previous_credentials: previous_client_secret_ref
            .iter()
            .map(|_| file::Credentials {
                generation: 0,
                client_id: client_id.clone(),
                client_secret: Some(secret(PREVIOUS_CLIENT_SECRET)),
            })
            .collect(),
        client_authentication: client_authentication.map(authentication),
        issuer_url: issuer_url.clone(),
        discovery_url: discovery_url.clone(),
        skip_discovery: false,
        endpoints: file::Endpoints::default(),
        scope: scope.clone(),
        code_challenge_method: code_challenge_method.map(challenge),
        login_parameters: login_url_parameters
            .iter()
            .map(|crds::LoginUrlParameter { name, default, allow }| file::LoginParameter {
                name: name.clone(),
                values: default.clone(),
                allow: allow.iter().filter_map(allowed).collect(),
            })
            .collect(),
        response_mode: response_mode.map(mode),
        claims: file::Claims {
            email: email_claim.clone(),
            groups: groups_claim.clone(),
            insecure_allow_unverified_email: *insecure_allow_unverified_email,
            audience: audience_claims.clone(),
            extra_audiences: extra_audiences.clone(),
            skip_userinfo: *skip_claims_from_profile_url,
        },
        signing_algorithms: enabled_signing_algs.iter().copied().map(algorithm).collect(),
        insecure_skip_issuer_verification: *insecure_skip_issuer_verification,
        insecure_allow_http_endpoints: *insecure_allow_http_endpoints,
        insecure_skip_nonce: *insecure_skip_nonce,
        rp_initiated_logout: *rp_initiated_logout,
        tls: file::ProviderTls {
            ca_files: ca_secret_ref.iter().map(|_| path(PROVIDER_CA)).collect(),
            use_system_roots: *use_system_trust_store,
            insecure_skip_verify: false,
        },
    }
}

fn mode(mode: crds::ResponseMode) -> String {
    match mode {
        crds::ResponseMode::Query => "query",
        crds::ResponseMode::FormPost => "form_post",
    }
    .to_owned()
}

/// One of the two, as the object's own rule wants it.
fn allowed(rule: &crds::AllowedValue) -> Option<file::AllowedValue> {
    let crds::AllowedValue { value, pattern } = rule;
    let value = value.clone().map(file::AllowedValue::Value);
    value.or_else(|| pattern.clone().map(file::AllowedValue::Pattern))
}

fn authentication(method: crds::ClientAuthentication) -> file::ClientAuthentication {
    match method {
        crds::ClientAuthentication::ClientSecretBasic => {
            file::ClientAuthentication::ClientSecretBasic
        }
        crds::ClientAuthentication::ClientSecretPost => {
            file::ClientAuthentication::ClientSecretPost
        }
        crds::ClientAuthentication::None => file::ClientAuthentication::None,
    }
}

fn challenge(method: crds::CodeChallengeMethod) -> file::PkceMethod {
    match method {
        crds::CodeChallengeMethod::S256 => file::PkceMethod::S256,
        crds::CodeChallengeMethod::Plain => file::PkceMethod::Plain,
        crds::CodeChallengeMethod::None => file::PkceMethod::None,
    }
}

fn algorithm(algorithm: crds::SigningAlgorithm) -> file::SigningAlgorithm {
    match algorithm {
        crds::SigningAlgorithm::RS256 => file::SigningAlgorithm::RS256,
        crds::SigningAlgorithm::RS384 => file::SigningAlgorithm::RS384,
        crds::SigningAlgorithm::RS512 => file::SigningAlgorithm::RS512,
        crds::SigningAlgorithm::PS256 => file::SigningAlgorithm::PS256,
        crds::SigningAlgorithm::PS384 => file::SigningAlgorithm::PS384,
        crds::SigningAlgorithm::PS512 => file::SigningAlgorithm::PS512,
        crds::SigningAlgorithm::ES256 => file::SigningAlgorithm::ES256,
        crds::SigningAlgorithm::ES384 => file::SigningAlgorithm::ES384,
        crds::SigningAlgorithm::ES512 => file::SigningAlgorithm::ES512,
        crds::SigningAlgorithm::EdDSA => file::SigningAlgorithm::EdDSA,
    }
}

fn session(spec: &ValidSpec, session: &crds::Session, ring: &Ring) -> file::Session {
    let crds::Session { store, redis, cookie: of_cookie, absolute: _, format, refresh_grace: _ } =
        session;
    let replicas = spec.spec.deployment.as_ref().map_or(1, |deployment| deployment.replicas);
    file::Session {
        store: match (store, redis) {
            (crds::Store::Redis, Some(crds::Redis { url_secret_ref: _, ca_secret_ref })) => {
                file::Store::Redis(file::Redis {
                    url: secret(REDIS_URL),
                    username: None,
                    password: None,
                    ca_file: ca_secret_ref.as_ref().map(|_| path(REDIS_CA)),
                    insecure_skip_verify: false,
                })
            }
            (crds::Store::Redis | crds::Store::Cookie, _) => file::Store::Cookie,
        },
        keys: ring.names().iter().map(|name| secret(name)).collect(),
        cookie: cookie(spec, of_cookie),
        lifetime: spec.expire,
        absolute: spec.absolute,
        refresh: spec.refresh,
        format: match format {
            crds::SessionFormat::V1 => file::SessionFormat::V1,
            crds::SessionFormat::V2 => file::SessionFormat::V2,
        },
        refresh_grace: spec.refresh_grace,
        // Of workloads nobody knows here how many pods they have; the object's condition tells.
        replicas: u32::try_from(replicas).unwrap_or(1).max(1),
    }
}

fn cookie(spec: &ValidSpec, cookie: &crds::Cookie) -> file::Cookie {
    let crds::Cookie {
        name,
        domains,
        path,
        secure,
        same_site,
        expire: _,
        refresh: _,
        csrf,
        secret_ref: _,
    } = cookie;
    let crds::CsrfCookie { expire: _, same_site: csrf_same_site, per_request, limit } = csrf;
    file::Cookie {
        name: name.clone(),
        domains: domains.clone(),
        path: path.clone(),
        secure: *secure,
        http_only: true,
        same_site: same_site.map(site),
        csrf: file::CsrfCookie {
            lifetime: spec.csrf_expire,
            same_site: csrf_same_site.map(site),
            per_request: *per_request,
            limit: *limit,
        },
    }
}

fn site(same_site: crds::SameSite) -> file::SameSite {
    match same_site {
        crds::SameSite::Lax => file::SameSite::Lax,
        crds::SameSite::Strict => file::SameSite::Strict,
        crds::SameSite::None => file::SameSite::None,
    }
}

fn access(spec: &ValidSpec, access: &crds::Access) -> file::Access {
    let crds::Access {
        email_domains,
        emails_from,
        allowed_groups,
        skip_auth_routes,
        skip_auth_preflight,
        trusted_ips: _,
        api_routes,
        force_json_errors,
        skip_provider_button,
        bearer_tokens,
    } = access;
    file::Access {
        email_domains: email_domains.clone(),
        emails_file: emails_from.as_ref().map(|_| path(EMAILS)),
        allowed_groups: allowed_groups.clone(),
        skip_auth: skip_auth_routes
            .iter()
            .map(|crds::SkipAuthRoute { method, path_regex, negate }| file::PathRule {
                method: method.clone(),
                path: path_regex.clone(),
                negate: *negate,
            })
            .collect(),
        skip_auth_preflight: *skip_auth_preflight,
        trusted_ips: spec.trusted_ips.clone(),
        api_routes: api_routes.clone(),
        force_json_errors: *force_json_errors,
        skip_provider_button: *skip_provider_button,
        bearer: bearer_tokens.as_ref().map(|crds::BearerTokens { login_fallback }| file::Bearer {
            login_fallback: *login_fallback,
        }),
    }
}

fn upstream(upstream: &crds::Upstream, timeout: file::Duration) -> file::Upstream {
    let crds::Upstream {
        id,
        path,
        rewrite_target,
        uri,
        static_code,
        pass_host_header,
        proxy_web_sockets,
        reuse_after_body,
        timeout: _,
        insecure_skip_tls_verify,
    } = upstream;
    file::Upstream {
        id: id.clone(),
        path: path.clone(),
        rewrite_target: rewrite_target.clone(),
        reuse_after_body: *reuse_after_body,
        target: match (uri, static_code) {
            (None, Some(code)) => file::Target::Static { code: *code },
            (uri, _) => file::Target::Http {
                uri: uri.clone().unwrap_or_default(),
                insecure_skip_tls_verify: *insecure_skip_tls_verify,
                pass_host_header: *pass_host_header,
                proxy_web_sockets: *proxy_web_sockets,
                timeout,
            },
        },
    }
}

fn header(header: &crds::Header) -> file::HeaderRule {
    let crds::Header { name, values } = header;
    file::HeaderRule {
        name: name.clone(),
        values: values
            .iter()
            .map(|crds::HeaderValue { claim: of, claim_name, prefix }| file::HeaderValue {
                claim: claim(*of, claim_name.as_deref()),
                prefix: prefix.clone(),
            })
            .collect(),
    }
}

fn claim(claim: crds::Claim, name: Option<&str>) -> file::Claim {
    match claim {
        crds::Claim::User => file::Claim::User,
        crds::Claim::Email => file::Claim::Email,
        crds::Claim::Groups => file::Claim::Groups,
        crds::Claim::PreferredUsername => file::Claim::PreferredUsername,
        crds::Claim::AccessToken => file::Claim::AccessToken,
        crds::Claim::IdToken => file::Claim::IdToken,
        // The API server sees to the name; the file is refused without one.
        crds::Claim::Other => file::Claim::Other(name.unwrap_or_default().to_owned()),
    }
}

fn http(spec: &ValidSpec, http: &crds::Http) -> file::Http {
    let crds::Http {
        proxy_prefix,
        redirect_url,
        whitelist_domains,
        force_https,
        stream_idle_timeout: _,
        reverse_proxy,
    } = http;
    file::Http {
        proxy_prefix: proxy_prefix.clone(),
        redirect_url: redirect_url.clone(),
        whitelist_domains: whitelist_domains.clone(),
        force_https: *force_https,
        reverse_proxy: reverse_proxy.as_ref().map(
            |crds::ReverseProxy { trusted_proxy_ips: _, real_client_ip_header }| {
                file::ReverseProxy {
                    trusted_proxies: spec.trusted_proxies.clone(),
                    real_client_ip_header: real_client_ip_header.clone(),
                }
            },
        ),
        ..file::Http::default()
    }
}

fn logging(logging: &crds::Logging) -> file::Logging {
    let crds::Logging { format, requests, authentication, exclude_paths } = logging;
    file::Logging {
        format: match format {
            crds::LogFormat::Json => file::LogFormat::Json,
            crds::LogFormat::Text => file::LogFormat::Text,
        },
        requests: *requests,
        authentication: *authentication,
        standard: true,
        exclude_paths: exclude_paths.clone(),
        silence_ping: false,
    }
}

fn path(file: &str) -> PathBuf {
    PathBuf::from(MOUNT).join(file)
}

fn secret(file: &str) -> file::Secret {
    file::Secret::File(path(file))
}
