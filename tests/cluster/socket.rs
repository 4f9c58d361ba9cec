//! A WebSocket that is in use all the time, and is opened anew when it ends.

use futures_util::{SinkExt as _, StreamExt as _};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

/// Longest wait for the handshake or an echo.
const PATIENCE: Duration = Duration::from_secs(5);

/// The WebSocket.
pub(crate) struct Socket {
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    stop: AtomicBool,
    opened: AtomicUsize,
    echoes: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

impl Socket {
    /// Opens `/ws` of an address.
    pub(crate) fn open(address: String) -> Self {
        let state = Arc::new(State::default());
        Self { task: tokio::spawn(talk(address, Arc::clone(&state))), state }
    }

    /// How many times it was opened, and how many messages came back.
    pub(crate) fn so_far(&self) -> (usize, usize) {
        (self.state.opened.load(Ordering::SeqCst), self.state.echoes.load(Ordering::SeqCst))
    }

    /// Ends it; what went wrong otherwise than by an end of the connection, as a replaced pod brings it.
    pub(crate) async fn stop(self) -> Vec<String> {
        self.state.stop.store(true, Ordering::SeqCst);
        let _ = self.task.await;
        std::mem::take(&mut *self.state.failures.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn talk(address: String, state: Arc<State>) {
    let start = Instant::now();
    while !state.stop.load(Ordering::SeqCst) {
        let session = session(&address, &state);
        if let Err(error) = session.await {
            let text = format!("{:.2?} {error}", start.elapsed());
            state.failures.lock().unwrap_or_else(PoisonError::into_inner).push(text);
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// From the handshake to the end of the connection.
async fn session(address: &str, state: &State) -> Result<(), String> {
    let late = |what: &str| format!("{what}: not within {PATIENCE:?}");
    let connect = async {
        let stream =
            TcpStream::connect(address).await.map_err(|error| format!("connect: {error}"))?;
        let opened = client_async(format!("ws://{address}/ws"), stream).await;
        opened.map_err(|error| format!("handshake: {error}"))
    };
    let (mut socket, _) = timeout(PATIENCE, connect).await.map_err(|_| late("handshake"))??;
    state.opened.fetch_add(1, Ordering::SeqCst);
    let mut number = 0_u64;
    while !state.stop.load(Ordering::SeqCst) {
        number += 1;
        let sent = Message::text(number.to_string());
        if socket.send(sent.clone()).await.is_err() {
            return Ok(());
        }
        match timeout(PATIENCE, socket.next()).await.map_err(|_| late("echo"))? {
            Some(Ok(back)) if back == sent => state.echoes.fetch_add(1, Ordering::SeqCst),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
            Some(Ok(other)) => return Err(format!("{sent:?} came back as {other:?}")),
        };
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
