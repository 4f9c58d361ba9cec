//! A connection to the provider, and one exchange after another on it (RFC 9112). Whoever asks drives it: it has no task of its
//! own, and what becomes of it while nobody asks is looked at when somebody does.

use super::error::Failure;
use crate::dial::dial;
use crate::stream::{Noted, Stream};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use tokio::task::unconstrained;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use url::Url;

/// See the module.
pub(super) struct Link {
    sender: SendRequest<Full<Bytes>>,
    connection: Connection<TokioIo<Noted<Stream>>, Full<Bytes>>,
    /// The connection has ended, and is not to be driven any more.
    ended: bool,
    heard: Arc<AtomicBool>,
    opened: Instant,
}

impl Link {
    /// Connects to the server of `url`, over TLS with a connector.
    ///
    /// # Errors
    /// There is no connection within [`super::CONNECT_TIME`].
    pub(super) async fn open(url: &Url, tls: Option<&TlsConnector>) -> Result<Self, Failure> {
        let stream = timeout(super::CONNECT_TIME, connect(url, tls)).await;
        let stream = stream.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        let stream = Noted::reads(stream);
        let heard = stream.noted();
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        Ok(Self { sender, connection, ended: false, heard, opened: Instant::now() })
    }

    /// When it was opened.
    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    /// Whether the provider has said anything to the last request.
    pub(super) fn was_answered(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// Sends a request and makes of its answer what `read` makes of it.
    pub(super) async fn ask<T, F>(
        &mut self,
        request: Request<Full<Bytes>>,
        read: impl FnOnce(Response<Incoming>) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        self.heard.store(false, Ordering::Relaxed);
        let answer = self.sender.send_request(request);
        let mut work = pin!(async move { read(answer.await?).await });
        poll_fn(|cx| {
            self.drive(cx);
            work.as_mut().poll(cx)
        })
        .await
    }

    /// Whether another request may be sent on it, as far as the system has told.
    pub(super) fn is_open(&mut self) -> bool {
        // A task that has used up its turn must not be told that nothing came.
        let drive = poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(())
        });
        let _ = unconstrained(drive).now_or_never();
        !self.ended && self.sender.is_ready()
    }

    /// Says goodbye where that is more than closing.
    pub(super) fn close(self) {
        let Self { sender, mut connection, ended, .. } = self;
        drop(sender);
        if !ended {
            // Who does not take it now learns it from the end of the connection.
            let _ = Pin::new(&mut connection).poll(&mut Context::from_waker(Waker::noop()));
        }
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        // What went wrong is told to whoever waits for the answer.
        self.ended = self.ended || Pin::new(&mut self.connection).poll(cx).is_ready();
    }
}

async fn connect(url: &Url, tls: Option<&TlsConnector>) -> io::Result<Stream> {
    let host = url.host_str().unwrap_or_default();
    let stream = dial(host, url.port_or_known_default().unwrap_or_default()).await?;
    let Some(tls) = tls else { return Ok(Stream::Tcp(stream)) };
    let name =
        ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(io::Error::other)?;
    Ok(Stream::Tls(Box::new(tls.connect(name, stream).await?.into())))
}
