//! Load on a Service: clients that keep their connections and clients that do not, on a path that is open to everybody and
//! on one that is not. Every answer and every failure counts.

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

/// How long a client keeps a connection. One that was opened straight to a pod of the rollout, before the Service turned,
/// lasts for as long as its client likes: `TrafficRouted` waits for its end, and is tested with one that does not end.
const KEPT: Duration = Duration::from_secs(5);

/// A running load.
pub(crate) struct Load {
    state: Arc<State>,
    clients: JoinSet<()>,
    start: Instant,
}

#[derive(Default)]
struct State {
    stop: AtomicBool,
    /// Whether the app is said to be out of reach without a session.
    guarded: AtomicBool,
    good: AtomicU64,
    failures: Mutex<Vec<String>>,
}

/// What came of it.
pub(crate) struct Outcome {
    /// Requests that were answered as they should be, each second.
    pub(crate) rate: f64,
    /// Every other one.
    pub(crate) failures: Vec<String>,
}

impl Load {
    /// Starts 16 clients that keep their connections and 12 that open one for each request. 20 of them ask for `open`, 8 for
    /// the app's page, none with a session.
    pub(crate) fn start(address: &str, open: &str) -> Self {
        let state = Arc::new(State::default());
        let mut clients = JoinSet::new();
        let start = Instant::now();
        for (path, keep, count) in
            [(open, true, 12), (open, false, 8), ("/", true, 4), ("/", false, 4)]
        {
            for _ in 0..count {
                let (address, path) = (address.to_owned(), path.to_owned());
                let client = Client { address, path, keep, start };
                clients.spawn(client.run(Arc::clone(&state)));
            }
        }
        Self { state, clients, start }
    }

    /// From now on an answer of the app's page to a request that begins later is a failure; or none any more.
    pub(crate) fn guarded(&self, guarded: bool) {
        self.state.guarded.store(guarded, Ordering::SeqCst);
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
        let mut opened = Instant::now();
        while !state.stop.load(Ordering::Relaxed) {
            if opened.elapsed() > KEPT {
                kept = None;
            }
            let reused = kept.is_some();
            if !reused {
                opened = Instant::now();
            }
            let guarded = state.guarded.load(Ordering::SeqCst);
            match timeout(PATIENCE, self.request(kept.take())).await.unwrap_or(Err(Failed::Time)) {
                Ok((status, connection))
                    if self.expects(status, guarded && state.guarded.load(Ordering::SeqCst)) =>
                {
                    state.good.fetch_add(1, Ordering::Relaxed);
                    kept = connection;
                }
                // A server may close an idle connection at any time; clients ask again on another (RFC 9112, 9.3.1).
                Err(Failed::Closed) if reused => continue,
                other => {
                    let text = format!(
                        "{:.2?} {} keep={} guarded={guarded} {:?}",
                        self.start.elapsed(),
                        self.path,
                        self.keep,
                        other.map(|(status, _)| status)
                    );
                    state.failures.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                }
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// 200, or for the app's page the way to a login; once it is guarded, only that.
    fn expects(&self, status: u16, guarded: bool) -> bool {
        match self.path.as_str() {
            "/" => status == 403 || (status == 200 && !guarded),
            _ => status == 200,
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
