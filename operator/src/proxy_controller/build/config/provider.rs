//! The part of the configuration that is about the identity provider.

use super::{path, secret};
use crate::pod::{CLIENT_SECRET, PREVIOUS_CLIENT_SECRET, PROVIDER_CA};
use proxy_config as file;

/// Identity of the only provider in sessions and login states. It stays when the issuer's URL changes.
const PROVIDER_ID: &str = "oidc";

#[expect(clippy::too_many_lines, reason = "one line for each field, in one place")]
pub(super) fn provider(provider: &crds::Provider) -> file::Provider {
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
