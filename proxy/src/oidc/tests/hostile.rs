//! A provider on the loopback address that answers whatever a test says; only for answers that a real one never gives.

use super::signer::{Signer, rs256};
use super::{Login, parameter};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// One answer.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Status and JSON.
    Json(u16, Value),
    /// Status, media type and text.
    Text(u16, &'static str, String),
    /// 302 to this address.
    Redirect(String),
    /// Nothing, for ever.
    Silence,
    /// A body without end.
    Flood,
}

/// The provider. By path, `/token` for example; what is not set is 404.
pub(crate) struct Hostile {
    pub(crate) issuer: String,
    replies: Arc<Mutex<HashMap<String, Reply>>>,
    seen: Arc<Mutex<Vec<(String, String)>>>,
    /// The token endpoint knows a client by its form only.
    post_only: Arc<AtomicBool>,
    known: Known,
}

/// What a token request of the only client that is known has in it, one for each way of client authentication.
type Known = Arc<Mutex<Option<[String; 2]>>>;

impl Hostile {
    /// A provider that still behaves: discovery, keys and a userinfo that adds nothing.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hostile = Self::new(format!("http://{}", listener.local_addr().unwrap()));
        let shared = hostile.shared();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, shared.clone()));
            }
        });
        hostile
    }

    /// The same behind TLS, as `https://localhost`.
    pub(crate) async fn start_tls(acceptor: TlsAcceptor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hostile =
            Self::new(format!("https://localhost:{}", listener.local_addr().unwrap().port()));
        let shared = hostile.shared();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(stream) = acceptor.accept(stream).await {
                    tokio::spawn(serve(stream, shared.clone()));
                }
            }
        });
        hostile
    }

    fn new(issuer: String) -> Self {
        let hostile = Self {
            issuer,
            replies: Arc::default(),
            seen: Arc::default(),
            post_only: Arc::default(),
            known: Arc::default(),
        };
        hostile.set("/.well-known/openid-configuration", Reply::Json(200, hostile.document()));
        hostile.set("/jwks", Reply::Json(200, Signer::shared().jwks()));
        hostile
    }

    /// The usual discovery document.
    pub(crate) fn document(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        json!({
            "issuer": self.issuer,
            "authorization_endpoint": at("/auth"),
            "token_endpoint": at("/token"),
            "jwks_uri": at("/jwks"),
            "end_session_endpoint": at("/end?keep=1"),
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "PS256", "EdDSA", "HS256", "none", "XX1"],
        })
    }

    /// The usual document with these members instead.
    pub(crate) fn describe(&self, members: &Value) {
        let mut document = self.document();
        for (name, value) in members.as_object().unwrap() {
            document[name] = value.clone();
        }
        self.set("/.well-known/openid-configuration", Reply::Json(200, document));
    }

    fn shared(&self) -> Shared {
        Shared {
            replies: Arc::clone(&self.replies),
            seen: Arc::clone(&self.seen),
            post_only: Arc::clone(&self.post_only),
            known: Arc::clone(&self.known),
        }
    }

    /// From now on the token endpoint knows this client with this secret, and nobody else.
    pub(crate) fn takes_only(&self, id: &str, secret: &str) {
        let basic = base64_simd::STANDARD.encode_to_string(format!("{id}:{secret}"));
        let form = format!("client_id={id}&client_secret={secret}");
        *self.known.lock().unwrap() = Some([format!("Basic {basic}"), form]);
    }

    /// From now on the token endpoint knows a client by its form only.
    pub(crate) fn wants_post(&self) {
        self.post_only.store(true, Ordering::Relaxed);
    }

    /// From now on `path` is answered so.
    pub(crate) fn set(&self, path: &str, reply: Reply) {
        self.replies.lock().unwrap().insert(path.to_owned(), reply);
    }

    /// The requests for `path`, head and body.
    pub(crate) fn requests(&self, path: &str) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|(p, _)| p == path).map(|(_, request)| request.clone()).collect()
    }

    /// Good claims for `login`.
    pub(crate) fn claims(&self, login: &Login) -> Value {
        let now = jiff::Timestamp::now().as_second();
        json!({
            "iss": self.issuer, "sub": "user-1", "aud": "proxy", "iat": now, "exp": now + 300,
            "nonce": parameter(&login.url, "nonce"),
            "email": "alice@example.com", "email_verified": true, "groups": ["staff"], "preferred_username": "alice",
        })
    }

    /// From now on the token endpoint gives an ID token with these claims.
    pub(crate) fn give(&self, claims: &Value) {
        self.give_token(&Signer::shared().token(&rs256(), claims));
    }

    /// From now on the token endpoint gives this ID token.
    pub(crate) fn give_token(&self, id_token: &str) {
        let answer = json!({
            "access_token": "access-1", "token_type": "Bearer", "expires_in": 60, "refresh_token": "refresh-1",
            "id_token": id_token,
        });
        self.set("/token", Reply::Json(200, answer));
    }
}

/// What the connections share.
#[derive(Clone)]
struct Shared {
    replies: Arc<Mutex<HashMap<String, Reply>>>,
    seen: Arc<Mutex<Vec<(String, String)>>>,
    post_only: Arc<AtomicBool>,
    known: Known,
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    Shared { replies, seen, post_only, known }: Shared,
) {
    let Some(request) = read(&mut stream).await else { return };
    let target = request.split(' ').nth(1).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let mut reply = replies.lock().unwrap().get(&path).cloned();
    if path == "/token" && post_only.load(Ordering::Relaxed) && !request.contains("client_secret=")
    {
        reply = Some(Reply::Json(401, json!({"error": "invalid_client"})));
    }
    let known = known.lock().unwrap().clone();
    if path == "/token" && known.is_some_and(|ways| !ways.iter().any(|way| request.contains(way))) {
        reply = Some(Reply::Json(401, json!({"error": "invalid_client"})));
    }
    seen.lock().unwrap().push((path, request));
    let text = |status: u16, kind: &str, body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 {status} x\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
    };
    let answer = match reply {
        Some(Reply::Json(status, value)) => {
            text(status, "application/json; charset=utf-8", &value.to_string())
        }
        Some(Reply::Text(status, kind, body)) => text(status, kind, &body),
        Some(Reply::Redirect(to)) => {
            format!("HTTP/1.1 302 x\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
        }
        Some(Reply::Silence) => return std::future::pending().await,
        Some(Reply::Flood) => {
            let head =
                "HTTP/1.1 200 x\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(head.as_bytes()).await;
            while stream.write_all(&[b' '; 8192]).await.is_ok() {}
            return;
        }
        None => text(404, "text/html", "<p>not here</p>"),
    };
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_lowercase().strip_prefix("content-length: ")?.parse().ok()
            });
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
