//! Serves the admin listeners on a thread of their own: neither a busy worker nor a control runtime with much to do, or a
//! store that does not answer, delays a probe.

use super::Admin;
use super::slots::{Slot, Slots};
use crate::server::{Internal, Listener};
use crate::stream::Stream;
use crate::thread;
use http::Request;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// Between the connection, or the last answer, and the head of the next request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection that is open longer is closed after its response; clients open another.
const LIFETIME: Duration = Duration::from_mins(5);

/// The running thread. Dropping it ends it and closes its sockets.
#[derive(Debug)]
pub(crate) struct Listening {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It waits for nobody. A panic of its has been told.
            let _ = thread.join();
        }
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) shown: Internal,
    /// From inside the pod.
    pub(super) local: bool,
    /// From inside the pod or from the node.
    near: bool,
}

impl Admin {
    /// Serves `listeners` from now on.
    ///
    /// # Errors
    /// The system gives no thread or runtime.
    pub(crate) fn start(
        self: &Arc<Self>,
        listeners: Vec<(Internal, Listener)>,
    ) -> io::Result<Listening> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let admin = Arc::clone(self);
        let run = move || {
            runtime.block_on(async {
                for (shown, listener) in listeners {
                    tokio::spawn(Arc::clone(&admin).serve(shown, listener));
                }
                let _ = stopped.await;
            });
            runtime.shutdown_background();
        };
        let thread = thread::spawn("admin", run)?;
        Ok(Listening { stop: Some(stop), thread: Some(thread) })
    }

    async fn serve(self: Arc<Self>, shown: Internal, listener: Listener) {
        let slots = Slots::default();
        match listener.socket.open() {
            Ok(open) => loop {
                let (stream, address) = open.accept().await;
                self.spawn(stream, self.caller(shown, address), &slots);
            },
            Err(error) => {
                tracing::error!(name = listener.name, %error, "the listener can not be used");
            }
        }
    }

    /// Whoever reaches a unix socket is inside the pod.
    fn caller(&self, shown: Internal, address: Option<SocketAddr>) -> Caller {
        let address = address.map(|address| address.ip().to_canonical());
        let local = address.is_none_or(|address| address.is_loopback());
        let node = self.node.map(|node| node.to_canonical());
        Caller { shown, local, near: local || address == node }
    }

    fn spawn(self: &Arc<Self>, stream: Stream, caller: Caller, slots: &Slots) {
        // Without a place the connection is closed at once.
        let Some(slot) = slots.enter(caller.near) else { return };
        let (admin, slot) = (Arc::clone(self), Arc::new(slot));
        tokio::spawn(async move {
            tokio::select! {
                () = admin.connection(stream, caller, &slot) => {}
                () = slot.over() => {}
            }
        });
    }

    async fn connection(self: Arc<Self>, stream: Stream, caller: Caller, slot: &Arc<Slot>) {
        let service = service_fn(|request: Request<hyper::body::Incoming>| {
            let (admin, slot) = (Arc::clone(&self), Arc::clone(slot));
            async move {
                slot.set_busy(true);
                let response = admin.answer(request.method(), request.uri().path(), caller).await;
                slot.set_busy(false);
                Ok::<_, Infallible>(response)
            }
        });
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(16 * 1024);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        if tokio::time::timeout(LIFETIME, connection.as_mut()).await.is_err() {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(HEADER_TIMEOUT, connection).await;
        }
    }
}
