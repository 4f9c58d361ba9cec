//! Upgrades (RFC 9110 section 7.8): WebSocket and any other protocol, except other versions of HTTP. Those would carry
//! further requests past every rule of this proxy, so they are never asked for.

use super::headers::{has_token, tokens};
use super::http1::Switched;
use crate::peer::Peer;
use crate::stream::Noted;
use crate::worker::Worker;
use http::header::{CONNECTION, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Version};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// A client's wish for another protocol.
pub(super) struct Wish {
    /// The protocols, as the client named them.
    pub(super) protocol: HeaderValue,
    client: OnUpgrade,
}

impl Wish {
    /// What `request` asks for, if that may be passed on.
    pub(super) fn of(request: &mut Parts) -> Option<Self> {
        // Few requests could be answered so; with them comes what the parser has prepared.
        let client = request.extensions.remove::<OnUpgrade>()?;
        let protocol = request.headers.get(UPGRADE)?.clone();
        let asks = request.version == Version::HTTP_11
            && request.method != Method::CONNECT
            && has_token(&request.headers, CONNECTION, b"upgrade")
            && request.headers.get_all(UPGRADE).iter().nth(1).is_none()
            && tokens(&protocol).all(|token| !is_http(token));
        asks.then_some(Self { protocol, client })
    }

    /// Whether an answer that switches protocols switches to one that was asked for.
    pub(super) fn is_met_by(&self, answer: &HeaderMap) -> bool {
        let Some(chosen) = answer.get(UPGRADE) else { return false };
        tokens(chosen)
            .all(|token| tokens(&self.protocol).any(|asked| asked.eq_ignore_ascii_case(token)))
    }

    /// Carries bytes both ways until one side ends or nothing has moved for `idle`, if that is given; runs beside the request.
    pub(super) fn tunnel(
        self,
        upstream: Switched,
        idle: Option<Duration>,
        worker: &Arc<Worker>,
        peer: &Arc<Peer>,
    ) {
        let (busy, peer) = (worker.busy.enter(), Arc::clone(peer));
        tokio::spawn(async move {
            // Whichever side fails, the other learns of it when both connections are dropped here.
            if let Ok(client) = self.client.await {
                let _ = carry(client, upstream, idle).await;
            }
            drop((busy, peer));
        });
    }
}

fn is_http(token: &[u8]) -> bool {
    let name = token.split(|byte| *byte == b'/').next().unwrap_or(token);
    [&b"h2c"[..], b"h2", b"http", b"tls", b"connect-udp", b"connect-ip"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

async fn carry(client: Upgraded, upstream: Switched, idle: Option<Duration>) -> io::Result<()> {
    let Switched { stream: mut upstream, early } = upstream;
    // Both directions pass through the client's side.
    let mut client = Noted::all(TokioIo::new(client));
    let moved = client.noted();
    let copy = async {
        client.write_all(&early).await?;
        client.flush().await?;
        tokio::io::copy_bidirectional(&mut client, &mut upstream).await
    };
    let quiet = async {
        let Some(idle) = idle else { return std::future::pending().await };
        // One timer that looks back, instead of one that every byte has to move.
        let mut tick = tokio::time::interval(idle.max(Duration::from_millis(1)));
        tick.tick().await;
        loop {
            tick.tick().await;
            if !moved.swap(false, Ordering::Relaxed) {
                return;
            }
        }
    };
    tokio::select! {
        result = copy => result.map(|_| ()),
        () = quiet => Err(io::ErrorKind::TimedOut.into()),
    }
}
