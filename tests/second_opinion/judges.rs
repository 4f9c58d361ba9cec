//! The two who judge: the proxy, and a client of `openidconnect` as its documentation writes one.

use crate::cases::{ACCESS_TOKEN, CLIENT, Case, ISSUER, NONCE, now};
use openidconnect::core::{CoreIdToken, CoreIdTokenVerifier, CoreProviderMetadata};
use openidconnect::http::{Response, StatusCode, header::CONTENT_TYPE};
use openidconnect::{
    AccessToken, AccessTokenHash, ClientId, HttpRequest, HttpResponse, IssuerUrl, Nonce,
};
use proxy::probe::oidc::{Login, id_token};
use serde_json::json;
use std::str::FromStr;

/// The subject, or why not.
pub(crate) type Verdict = Result<String, String>;

/// Ours.
pub(crate) fn ours(case: &Case) -> Verdict {
    let provider = json!({"id": "one", "clientId": CLIENT, "issuerUrl": ISSUER});
    let provider = serde_json::from_value(provider).map_err(|error| error.to_string())?;
    let login = Login {
        provider: &provider,
        discovery: &case.discovery,
        keys: &case.keys,
        nonce: NONCE,
        access_token: Some(ACCESS_TOKEN),
        now: now(),
    };
    id_token(&login, &case.token)
}

/// Theirs: discovery, which brings the keys, then the token with its nonce, then its `at_hash`, which is left to the caller.
pub(crate) fn theirs(case: &Case) -> Verdict {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let network = |request: HttpRequest| answer(case, &request);
    let issuer = IssuerUrl::new(ISSUER.to_owned()).map_err(|error| said(&error))?;
    let metadata = CoreProviderMetadata::discover(&issuer, &network)
        .map_err(|error| format!("{error}: {error:?}"))?;
    // Logins need it; to the library it is optional because other flows do not.
    metadata.token_endpoint().ok_or("there is no token endpoint")?;
    let verifier = CoreIdTokenVerifier::new_public_client(
        ClientId::new(CLIENT.to_owned()),
        metadata.issuer().clone(),
        metadata.jwks().clone(),
    )
    .set_allowed_algs(metadata.id_token_signing_alg_values_supported().clone());
    let token = CoreIdToken::from_str(&case.token).map_err(|error| said(&error))?;
    let claims = token
        .claims(&verifier, &Nonce::new(NONCE.to_owned()))
        .map_err(|error| format!("{error}: {error:?}"))?;
    if let Some(hash) = claims.access_token_hash() {
        let algorithm = token.signing_alg().map_err(|error| said(&error))?;
        let key = token.signing_key(&verifier).map_err(|error| said(&error))?;
        let wanted =
            AccessTokenHash::from_token(&AccessToken::new(ACCESS_TOKEN.to_owned()), algorithm, key);
        if wanted.map_err(|error| said(&error))? != *hash {
            return Err("at_hash".to_owned());
        }
    }
    Ok(claims.subject().to_string())
}

fn answer(case: &Case, request: &HttpRequest) -> Result<HttpResponse, std::io::Error> {
    let body = if request.uri().path().ends_with("/.well-known/openid-configuration") {
        &case.discovery
    } else {
        &case.keys
    };
    let mut response = Response::new(body.clone());
    *response.status_mut() = StatusCode::OK;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, "application/json".parse().map_err(std::io::Error::other)?);
    Ok(response)
}
