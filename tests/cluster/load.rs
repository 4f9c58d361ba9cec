//! Load on a Service: clients that keep their connections and clients that do not. Every answer and every failure counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// Longest wait for a connection or an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A running load.
pub(crate) struct Load {
    state: Arc<State>,
    clients: JoinSet<()>,
    start: Instant,
}

#[derive(Default)]
struct State {
    stop: AtomicBool,
    good: AtomicU64,
    failures: Mutex<Vec<String>>,
}

/// What came of it.
pub(crate) struct Outcome {
    /// Requests that were answered with 200, each second.
    pub(crate) rate: f64,
    /// Every other one.
    pub(crate) failures: Vec<String>,
}

impl Load {
    /// Starts 12 clients that keep their connections and 8 that open one for each request.
    pub(crate) fn start(address: &str, path: &str) -> Self {
        let state = Arc::new(State::default());
        let mut clients = JoinSet::new();
        let start = Instant::now();
        for number in 0..20 {
            let client = Client {
                address: address.to_owned(),
                path: path.to_owned(),
                keep: number < 12,
                start,
            };
            clients.spawn(client.run(Arc::clone(&state)));
        }
        Self { state, clients, start }
    }

    /// Ends it.
    pub(crate) async fn stop(mut self) -> Outcome {
        self.state.stop.store(true, Ordering::Relaxed);
        while self.clients.join_next().await.is_some() {}
        let good = u32::try_from(self.state.good.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        let failures = std::mem::take(
            &mut *self.state.failures.lock().unwrap_or_else(PoisonError::into_inner),
        );
        Outcome { rate: f64::from(good) / self.start.elapsed().as_secs_f64(), failures }
    }
}

struct Client {
    address: String,
    path: String,
    keep: bool,
    start: Instant,
}

impl Client {
    async fn run(self, state: Arc<State>) {
        let mut kept: Option<BufReader<TcpStream>> = None;
        while !state.stop.load(Ordering::Relaxed) {
            let reused = kept.is_some();
            match timeout(PATIENCE, self.request(kept.take())).await.unwrap_or(Err(Failed::Time)) {
                Ok((200, connection)) => {
                    state.good.fetch_add(1, Ordering::Relaxed);
                    kept = connection;
                }
                // A server may close an idle connection at any time; clients ask again on another (RFC 9112, 9.3.1).
                Err(Failed::Closed) if reused => continue,
                other => {
                    let text = format!(
                        "{:.2?} keep={} {:?}",
                        self.start.elapsed(),
                        self.keep,
                        other.map(|(status, _)| status)
                    );
                    state.failures.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                }
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn request(
        &self,
        kept: Option<BufReader<TcpStream>>,
    ) -> Result<(u16, Option<BufReader<TcpStream>>), Failed> {
        let mut stream = match kept {
            Some(stream) => stream,
            None => {
                BufReader::new(TcpStream::connect(&self.address).await.map_err(Failed::Connect)?)
            }
        };
        let close = if self.keep { "" } else { "Connection: close\r\n" };
        let request = format!("GET {} HTTP/1.1\r\nHost: web\r\n{close}\r\n", self.path);
        stream.write_all(request.as_bytes()).await.map_err(|_| Failed::Closed)?;
        let status = line(&mut stream).await.map_err(|_| Failed::Closed)?;
        if status.is_empty() {
            return Err(Failed::Closed);
        }
        let (mut length, mut closes) = (0, !self.keep);
        loop {
            let header = line(&mut stream).await.map_err(Failed::Answer)?.to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            closes |= header.starts_with("connection: close");
            if header.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.map_err(Failed::Answer)?;
        let code = status.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Ok((code, (!closes).then_some(stream)))
    }
}

#[derive(Debug)]
#[expect(dead_code, reason = "printed when a test fails")]
enum Failed {
    Connect(std::io::Error),
    /// Before the first byte of an answer.
    Closed,
    Answer(std::io::Error),
    Time,
}

async fn line(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    Ok(line.trim_end().to_owned())
}
