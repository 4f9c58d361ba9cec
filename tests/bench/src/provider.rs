//! An OpenID provider of a few lines, so that the proxy under measurement has a session of the usual size. The nonce of the
//! login is its authorization code.

use crate::Outcome;
use crate::clock::unix;
use crate::load::{content_length, head_end};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64_simd::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The provider's key and name.
pub(crate) struct Provider {
    key: KeyPair,
    issuer: String,
    /// ID tokens that are made already, by their codes.
    made: Mutex<HashMap<String, String>>,
}

impl Provider {
    pub(crate) fn new(address: SocketAddr) -> Outcome<Self> {
        let key = KeyPair::generate(KeySize::Rsa2048)?;
        Ok(Self { key, issuer: format!("http://{address}"), made: Mutex::default() })
    }

    /// Serves for ever.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let provider = Arc::clone(&self);
            tokio::spawn(async move { provider.connection(stream).await });
        }
    }

    /// Answers until the other side has nothing to ask.
    async fn connection(&self, mut stream: TcpStream) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        let mut buffer = Vec::new();
        loop {
            let (head, body) = loop {
                if let Some(end) = head_end(&buffer) {
                    let head = String::from_utf8_lossy(buffer.get(..end)?).into_owned();
                    let body = String::from_utf8_lossy(buffer.get(end..)?).into_owned();
                    if body.len() as u64 >= content_length(&head) {
                        break (head, body);
                    }
                }
                if stream.read_buf(&mut buffer).await.ok()? == 0 {
                    return None;
                }
            };
            buffer.clear();
            let answer = self.answer(head.split(' ').nth(1)?, &body)?.to_string();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ";
            let answer = format!("{head}{}\r\n\r\n{answer}", answer.len());
            stream.write_all(answer.as_bytes()).await.ok()?;
        }
    }

    fn answer(&self, target: &str, body: &str) -> Option<Value> {
        let issuer = &self.issuer;
        match target {
            "/.well-known/openid-configuration" => Some(json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{issuer}/token"),
                "jwks_uri": format!("{issuer}/keys"),
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
            })),
            "/keys" => {
                // A key of this size in DER: 9 bytes before the modulus, and the exponent is 65537.
                let modulus = self.key.public_key().as_ref().get(9..265)?;
                Some(
                    json!({"keys": [{"kty": "RSA", "kid": "1", "alg": "RS256", "use": "sig", "e": "AQAB",
                    "n": URL_SAFE_NO_PAD.encode_to_string(modulus)}]}),
                )
            }
            "/token" => {
                let code = body.split('&').find_map(|pair| pair.strip_prefix("code="))?;
                let made = self.made.lock().ok()?.remove(code);
                Some(
                    json!({"token_type": "Bearer", "expires_in": 3600, "access_token": "a".repeat(400),
                    "refresh_token": "r".repeat(200), "id_token": made.or_else(|| self.token(code))?}),
                )
            }
            _ => None,
        }
    }

    /// Makes the ID token of the login with this code, before it is asked for.
    pub(crate) fn sign_for(&self, code: String) -> Outcome<()> {
        let token = self.token(&code).ok_or("the provider can not sign")?;
        self.made.lock().map_err(|_| "the provider is gone")?.insert(code, token);
        Ok(())
    }

    fn token(&self, nonce: &str) -> Option<String> {
        let claims = json!({"iss": self.issuer, "aud": "bench", "sub": "7f1f3a52-bench", "nonce": nonce,
            "iat": unix(), "exp": unix() + 36_000, "email": "someone@bench.example", "email_verified": true,
            "preferred_username": "someone", "groups": ["developers", "operators"]});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode_to_string(value.to_string());
        let signed = format!(
            "{}.{}",
            part(&json!({"alg": "RS256", "kid": "1", "typ": "JWT"})),
            part(&claims)
        );
        let mut signature = vec![0; self.key.public_modulus_len()];
        let random = SystemRandom::new();
        self.key.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).ok()?;
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode_to_string(signature)))
    }

    /// The URL by which clients know it.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// A token as a client without a browser presents it.
    pub(crate) fn bearer(&self) -> Outcome<String> {
        self.token("none").ok_or_else(|| "the provider can not sign".into())
    }
}
