//! The life of one client connection: it waits on the bare socket, and only while requests come does it have an HTTP
//! parser with its buffers. That parser is thrown away again when nothing is going on, so an idle connection costs about a
//! kilobyte (`docs/performance.md`).

use super::checked::Checked;
use super::conn::Conn;
use super::framing::Framing;
use super::goodbye;
use super::http2;
use super::preface::Begun;
use super::service::{Handle, Service};
use super::watch::{End, Watch};
use crate::entry::Answered;
use crate::peer::Peer;
use crate::stream::Stream;
use crate::worker::BusyGuard;
use bytes::Bytes;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::sleep;

/// Serves an HTTP/1 connection to its end.
///
/// What a connection keeps while it is idle is as large as this future, so nothing is in it twice.
pub(super) fn serve<H, F>(
    handle: Arc<Handle<H>>,
    stream: Stream,
    conn: Arc<Conn>,
) -> impl Future<Output = ()> + Send
where
    H: Fn(Arc<Peer>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output: Into<Answered>> + Send + 'static,
{
    let framing = Framing::new(handle.bounds.max_header_bytes);
    let mut parked = Parked { stream, framing, prefix: Bytes::new() };
    async move {
        let mut patience = handle.bounds.header_timeout;
        // The first request is most likely there already, and over TLS the handshake may even have read it.
        let mut wait = false;
        loop {
            if wait && !readable(&parked.stream, patience).await {
                return;
            }
            // In a box of its own, because most of the time most connections have none.
            parked = match Box::pin(burst(Arc::clone(&handle), Arc::clone(&conn), parked)).await {
                Rest::Parked(parked) => parked,
                Rest::Http2(stream) => return Box::pin(http2::serve(handle, stream, conn)).await,
                Rest::Over => return,
            };
            wait = parked.prefix.is_empty();
            // If the first request was not there after all, it is still awaited.
            let served = conn.served() > 0;
            patience =
                if served { handle.bounds.idle_timeout } else { handle.bounds.header_timeout };
        }
    }
}

/// What is left of a connection after a burst.
enum Rest {
    Over,
    Parked(Parked),
    Http2(Begun<Stream>),
}

/// A connection without a parser.
struct Parked {
    stream: Stream,
    framing: Framing,
    prefix: Bytes,
}

async fn readable(stream: &Stream, patience: Duration) -> bool {
    let mut timer = pin!(sleep(patience));
    poll_fn(|cx| match stream.poll_read_ready(cx) {
        Poll::Ready(outcome) => Poll::Ready(outcome.is_ok()),
        Poll::Pending => timer.as_mut().poll(cx).map(|()| false),
    })
    .await
}

/// Serves requests until nothing comes any more.
async fn burst<H, F>(handle: Arc<Handle<H>>, conn: Arc<Conn>, parked: Parked) -> Rest
where
    H: Fn(Arc<Peer>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output: Into<Answered>> + Send + 'static,
{
    let busy = conn.worker.busy.enter();
    let io = Checked::new(parked.stream, parked.framing, Arc::clone(&conn), parked.prefix);
    let service = Service::new(Arc::clone(&conn), handle.handler.clone());
    let mut http = handle.http1.serve_connection(TokioIo::new(io), service).with_upgrades();
    let mut watch = pin!(Watch::new(handle.bounds));
    let end = poll_fn(|cx| match Pin::new(&mut http).poll(cx) {
        // An answer that broke off must not look like one that ended.
        Poll::Ready(Err(error)) if !error.is_parse() => Poll::Ready(End::Broken),
        Poll::Ready(_) => Poll::Ready(End::Closed),
        Poll::Pending if conn.is_http2() => Poll::Ready(End::Http2),
        Poll::Pending if conn.is_over() => Poll::Ready(End::Refused),
        Poll::Pending => watch.as_mut().poll(cx, &conn),
    })
    .await;
    finish(end, http, &conn, busy).await.unwrap_or(Rest::Over)
}

async fn finish<H, F>(
    end: End,
    http: http1::UpgradeableConnection<TokioIo<Checked>, Service<H>>,
    conn: &Conn,
    busy: BusyGuard,
) -> Option<Rest>
where
    H: Fn(Arc<Peer>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output: Into<Answered>> + Send + 'static,
{
    match end {
        End::Parked => {
            let parts = http.into_parts()?;
            let Checked { stream, framing, .. } = parts.io.into_inner();
            drop(busy);
            // A copy, even of nothing: the buffer itself would keep its eight kilobytes alive.
            let prefix = Bytes::copy_from_slice(&parts.read_buf);
            Some(Rest::Parked(Parked { stream, framing, prefix }))
        }
        End::Http2 => Some(Rest::Http2(http.into_parts()?.io.into_inner().into_http2())),
        // Into the middle of an answer nothing may be written: then the end of the connection says it.
        End::Refused if !conn.is_answering() && !conn.is_sending() => {
            let stream = http.into_parts()?.io.into_inner().stream;
            Box::pin(goodbye::refuse(stream, conn.is_too_large())).await;
            None
        }
        End::Closed => {
            let Checked { stream, framing, .. } = http.into_parts()?.io.into_inner();
            if !framing.at_start() {
                Box::pin(goodbye::linger(stream)).await;
            }
            None
        }
        End::Refused | End::Late | End::Broken => None,
    }
}
