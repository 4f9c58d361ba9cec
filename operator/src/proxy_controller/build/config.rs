//! The only place where an `OAuth2Proxy` becomes the configuration that the proxy reads.
//!
//! Sections are taken apart without `..`, so that a field of the API that is forgotten here does not compile.

mod provider;

use crate::pod::{EMAILS, MOUNT, REDIS_CA, REDIS_URL};
use crate::proxy_controller::ring::Ring;
use crate::proxy_controller::validate::ValidatedProxy;
use crate::spec::ValidSpec;
use provider::provider;
use proxy_config as file;
use std::path::PathBuf;

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
