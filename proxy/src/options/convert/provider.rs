//! The identity provider's options.

use super::{choice, given};
use crate::options::supported::Options;
use proxy_config::{
    Claims, ClientAuthentication, Credentials, Endpoints, LoginParameter, PkceMethod, Problems,
    Provider, ProviderTls, Secret, SigningAlgorithm,
};

/// The types that oauth2-proxy v7.15.3 has beside `oidc`.
const OTHER_TYPES: [&str; 16] = [
    "adfs",
    "azure",
    "bitbucket",
    "cidaas",
    "digitalocean",
    "entra-id",
    "facebook",
    "github",
    "gitlab",
    "google",
    "keycloak",
    "keycloak-oidc",
    "linkedin",
    "login.gov",
    "nextcloud",
    "sourcehut",
];

pub(super) fn convert(options: &Options, problems: &mut Problems) -> Provider {
    provider_type(&options.provider, problems);
    let client_authentication = client_authentication(options, problems);
    let is_public = matches!(client_authentication, Some(ClientAuthentication::None));
    let previous_credentials = previous_credentials(options, is_public, problems);
    Provider {
        // Not the text on the button, which may change: sessions are bound to it.
        id: format!("oidc={}", options.client_id),
        name: given(&options.provider_display_name),
        client_id: options.client_id.clone(),
        client_secret: client_secret(options, is_public, problems),
        credentials_generation: u32::from(!previous_credentials.is_empty()),
        previous_credentials,
        client_authentication,
        issuer_url: options.oidc_issuer_url.clone(),
        discovery_url: given(&options.oidc_discovery_url),
        skip_discovery: options.skip_oidc_discovery,
        endpoints: Endpoints {
            authorization: given(&options.login_url),
            token: given(&options.redeem_url),
            userinfo: given(&options.profile_url),
            jwks: given(&options.oidc_jwks_url),
            end_session: None,
            validate: given(&options.validate_url),
        },
        scope: given(&options.scope),
        code_challenge_method: pkce(options, problems),
        login_parameters: login_parameters(options),
        response_mode: given(&options.auth_request_response_mode),
        claims: claims(options),
        signing_algorithms: algorithms(&options.oidc_enabled_signing_algs, problems),
        insecure_skip_issuer_verification: options.insecure_oidc_skip_issuer_verification,
        insecure_allow_http_endpoints: options.insecure_oidc_allow_http_endpoints,
        insecure_skip_nonce: options.insecure_oidc_skip_nonce,
        rp_initiated_logout: options.oidc_rp_initiated_logout,
        tls: ProviderTls {
            ca_files: options.provider_ca_files.iter().map(Into::into).collect(),
            use_system_roots: options.use_system_trust_store,
            insecure_skip_verify: options.ssl_insecure_skip_verify,
        },
    }
}

fn provider_type(name: &str, problems: &mut Problems) {
    if OTHER_TYPES.contains(&name) {
        problems.add(
            "provider",
            format!(
                "the type {name} is not supported yet: use --provider=oidc with --oidc-issuer-url"
            ),
        );
    } else if name != "oidc" {
        problems.add("provider", format!("{name:?} is no provider type: use --provider=oidc"));
    }
}

fn client_authentication(
    options: &Options,
    problems: &mut Problems,
) -> Option<ClientAuthentication> {
    let known = [
        ("", None),
        ("client_secret_basic", Some(ClientAuthentication::ClientSecretBasic)),
        ("client_secret_post", Some(ClientAuthentication::ClientSecretPost)),
        ("none", Some(ClientAuthentication::None)),
    ];
    choice(&options.client_authentication, &known, "client-authentication", problems).flatten()
}

/// A public client has none; one that is given all the same is a contradiction.
fn client_secret(options: &Options, is_public: bool, problems: &mut Problems) -> Option<Secret> {
    let given_one = !options.client_secret.is_empty() || !options.client_secret_file.is_empty();
    if is_public {
        if given_one {
            let message = "--client-authentication=none is for clients without a secret: leave out one of the two";
            problems.add("client-secret", message);
        }
        return None;
    }
    if !options.client_secret.is_empty() {
        return Some(Secret::Value(options.client_secret.clone()));
    }
    let file = given(&options.client_secret_file);
    if file.is_none() {
        problems.add("client-secret", "missing setting: client-secret or client-secret-file");
    }
    file.map(|path| Secret::File(path.into()))
}

/// The same client with the secret that it had. Generations tell clients apart, so that they begin anew later does no harm.
fn previous_credentials(
    options: &Options,
    is_public: bool,
    problems: &mut Problems,
) -> Vec<Credentials> {
    let file = given(&options.previous_client_secret_file);
    if is_public && file.is_some() {
        let message = "--client-authentication=none is for clients without a secret: leave out one of the two";
        problems.add("previous-client-secret-file", message);
        return Vec::new();
    }
    let previous = file.map(|path| Credentials {
        generation: 0,
        client_id: options.client_id.clone(),
        client_secret: Some(Secret::File(path.into())),
    });
    previous.into_iter().collect()
}

fn pkce(options: &Options, problems: &mut Problems) -> Option<PkceMethod> {
    let (flag, method) = if options.code_challenge_method.is_empty() {
        ("force-code-challenge-method", &options.force_code_challenge_method)
    } else {
        ("code-challenge-method", &options.code_challenge_method)
    };
    let methods =
        [("", None), ("S256", Some(PkceMethod::S256)), ("plain", Some(PkceMethod::Plain))];
    choice(method, &methods, flag, problems).flatten()
}

fn login_parameters(options: &Options) -> Vec<LoginParameter> {
    let fixed = |name: &str, value: &str| LoginParameter {
        name: name.to_owned(),
        values: vec![value.to_owned()],
        allow: Vec::new(),
    };
    let mut parameters = Vec::new();
    if !options.acr_values.is_empty() {
        parameters.push(fixed("acr_values", &options.acr_values));
    }
    if !options.prompt.is_empty() {
        parameters.push(fixed("prompt", &options.prompt));
    } else if options.approval_prompt.is_empty() {
        parameters.push(fixed("approval_prompt", "force"));
    } else {
        parameters.push(fixed("approval_prompt", &options.approval_prompt));
    }
    parameters
}

fn claims(options: &Options) -> Claims {
    let defaults = Claims::default();
    let email = given(&options.oidc_email_claim).unwrap_or(defaults.email);
    let old = given(&options.user_id_claim);
    Claims {
        email: if email == "email" { old.unwrap_or(email) } else { email },
        groups: given(&options.oidc_groups_claim).unwrap_or(defaults.groups),
        insecure_allow_unverified_email: options.insecure_oidc_allow_unverified_email,
        audience: if options.oidc_audience_claims.is_empty() {
            defaults.audience
        } else {
            options.oidc_audience_claims.clone()
        },
        extra_audiences: options.oidc_extra_audiences.clone(),
        skip_userinfo: options.skip_claims_from_profile_url,
    }
}

fn algorithms(names: &[String], problems: &mut Problems) -> Vec<SigningAlgorithm> {
    let known = [
        ("RS256", SigningAlgorithm::RS256),
        ("RS384", SigningAlgorithm::RS384),
        ("RS512", SigningAlgorithm::RS512),
        ("PS256", SigningAlgorithm::PS256),
        ("PS384", SigningAlgorithm::PS384),
        ("PS512", SigningAlgorithm::PS512),
        ("ES256", SigningAlgorithm::ES256),
        ("ES384", SigningAlgorithm::ES384),
        ("ES512", SigningAlgorithm::ES512),
        ("EdDSA", SigningAlgorithm::EdDSA),
    ];
    names
        .iter()
        .filter_map(|name| choice(name, &known, "oidc-enabled-signing-alg", problems))
        .collect()
}
