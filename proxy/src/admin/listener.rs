//! Serves the admin listeners on a thread of their own: neither a busy worker nor a control runtime with much to do, or a
//! store that does not answer, delays a probe.

use super::slots::{Slot, Slots};
use super::{Admin, Answers};
use crate::server::{Socket, breathe};
use http::Request;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::oneshot;

/// Between the connection, or the last answer, and the head of the next request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection that is open longer is closed after its response; clients open another.
const LIFETIME: Duration = Duration::from_mins(5);
/// For the kernel's tables of connections.
const BLOCKING_THREADS: usize = 1;

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
    pub(super) answers: Answers,
    /// From inside the pod.
    pub(super) local: bool,
    /// From inside the pod or from the node.
    near: bool,
}

impl Admin {
    /// Serves `sockets` from now on.
    ///
    /// # Errors
    /// The system gives no thread or runtime.
    pub(crate) fn start(
        self: &Arc<Self>,
        sockets: Vec<(Socket, Answers)>,
    ) -> io::Result<Listening> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS)
            .build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let admin = Arc::clone(self);
        let run = move || {
            runtime.block_on(async {
                for (socket, answers) in sockets {
                    tokio::spawn(Arc::clone(&admin).serve(socket, answers));
                }
                let _ = stopped.await;
            });
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("admin".to_owned()).spawn(run)?;
        Ok(Listening { stop: Some(stop), thread: Some(thread) })
    }

    async fn serve(self: Arc<Self>, socket: Socket, answers: Answers) {
        let slots = Slots::default();
        match socket {
            Socket::Tcp(listener) => match TcpListener::from_std(listener) {
                Ok(listener) => loop {
                    match listener.accept().await {
                        Ok((stream, peer)) => {
                            self.spawn(stream, self.caller(answers, peer.ip()), &slots);
                        }
                        Err(error) => breathe(&error).await,
                    }
                },
                Err(error) => tracing::error!(%error, "the admin listener can not be used"),
            },
            Socket::Unix(listener, _file) => match UnixListener::from_std(listener) {
                Ok(listener) => loop {
                    match listener.accept().await {
                        Ok((stream, _)) => {
                            self.spawn(stream, Caller { answers, local: true, near: true }, &slots);
                        }
                        Err(error) => breathe(&error).await,
                    }
                },
                Err(error) => tracing::error!(%error, "the admin listener can not be used"),
            },
        }
    }

    fn caller(&self, answers: Answers, address: IpAddr) -> Caller {
        let address = address.to_canonical();
        let local = address.is_loopback();
        let near = local || self.node.is_some_and(|node| node.to_canonical() == address);
        Caller { answers, local, near }
    }

    fn spawn<S>(self: &Arc<Self>, stream: S, caller: Caller, slots: &Slots)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
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

    async fn connection<S>(self: Arc<Self>, stream: S, caller: Caller, slot: &Arc<Slot>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
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
