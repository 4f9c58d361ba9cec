//! HTTP/2, offered over TLS only. Streams, header lists and resets are capped; connections without a stream are told to go,
//! and those on whose streams nothing moves are cut: pings alone would keep them for ever.

use super::connection::Conn;
use super::service::{Handle, Service};
use crate::entry::Answered;
use crate::peer::Peer;
use crate::stream::Stream;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const MAX_STREAMS: u32 = 100;
const MAX_RESETS: usize = 20;
const PING_INTERVAL: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(500);

/// Serves an HTTP/2 connection to its end.
pub(super) async fn serve<H, F>(handle: Arc<Handle<H>>, stream: Stream, conn: Arc<Conn>)
where
    H: Fn(Arc<Peer>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output: Into<Answered>> + Send + 'static,
{
    let _busy = conn.worker.busy.enter();
    let service = Service::new(Arc::clone(&conn), handle.handler.clone());
    let bounds = handle.bounds;
    let mut http = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_header_list_size(u32::try_from(bounds.max_header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(PING_INTERVAL)
        .serve_connection(TokioIo::new(stream), service);
    let mut timer = pin!(sleep(TICK));
    let mut idle_since = Instant::now();
    let mut moved_at = idle_since;
    let mut told = false;
    poll_fn(|cx| {
        loop {
            if Pin::new(&mut http).poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            timer.as_mut().reset(now + TICK);
            if conn.peer.take_moved() || !conn.in_flight() {
                moved_at = now;
            }
            if conn.in_flight() {
                idle_since = now;
            }
            if now.duration_since(moved_at) >= bounds.stream_idle_timeout {
                return Poll::Ready(());
            }
            let idle = now.duration_since(idle_since) >= bounds.idle_timeout;
            if told && idle {
                return Poll::Ready(());
            }
            if (idle || conn.worker.busy.is_stopping()) && !told {
                told = true;
                idle_since = now;
                Pin::new(&mut http).graceful_shutdown();
            }
        }
    })
    .await;
}
