//! Somebody who asks for the application's page all the time, by a new connection each time: a stranger, whom it must never
//! answer, and a member, who has a session and is always to be answered.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// Longest wait for an answer, of somebody who is to get one.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same of a stranger, whom no answer is as good as one: where nothing listens the next request is not to wait for it.
const IMPATIENCE: Duration = Duration::from_secs(1);

/// Somebody who asks.
#[derive(Debug)]
pub struct Prober {
    state: Arc<State>,
    clients: JoinSet<()>,
    start: Instant,
}

#[derive(Debug, Default)]
struct State {
    /// The session; none of a stranger.
    cookie: Option<String>,
    stop: AtomicBool,
    asked: AtomicU64,
    wrong: Mutex<Vec<Wrong>>,
}

/// What should not have been: an answer of the application to a stranger, or another one to a member.
#[derive(Debug)]
pub struct Wrong {
    /// When the request began.
    pub at: Instant,
    /// The status, or what went wrong before there was one.
    pub saw: String,
}

impl Prober {
    /// Asks each of these addresses up to 100 times a second, without a session.
    #[must_use]
    pub fn stranger(addresses: &[String]) -> Self {
        Self::start(addresses, 5, None)
    }

    /// Asks each of these addresses some 20 times a second, with the session of this cookie.
    #[must_use]
    pub fn member(addresses: &[String], cookie: String) -> Self {
        Self::start(addresses, 1, Some(cookie))
    }

    fn start(addresses: &[String], each: usize, cookie: Option<String>) -> Self {
        let state = Arc::new(State { cookie, ..State::default() });
        let mut clients = JoinSet::new();
        for address in addresses.iter().flat_map(|address| std::iter::repeat_n(address, each)) {
            clients.spawn(ask(address.clone(), Arc::clone(&state)));
        }
        Self { state, clients, start: Instant::now() }
    }

    /// Takes what was wrong so far.
    #[must_use]
    pub fn take(&self) -> Vec<Wrong> {
        std::mem::take(&mut *self.state.wrong.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Nothing was wrong since it was last taken.
    ///
    /// # Panics
    /// When something was.
    pub fn is_content(&self, what: &str) {
        let wrong = self.take();
        let who = if self.state.cookie.is_some() { "a member" } else { "a stranger" };
        let some: Vec<&Wrong> = wrong.iter().take(20).collect();
        assert!(wrong.is_empty(), "{what}: {} wrong answers to {who}: {some:#?}", wrong.len());
    }

    /// Ends it; requests a second.
    pub async fn stop(mut self) -> f64 {
        self.state.stop.store(true, Ordering::Relaxed);
        while self.clients.join_next().await.is_some() {}
        let asked = u32::try_from(self.state.asked.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        f64::from(asked) / self.start.elapsed().as_secs_f64()
    }
}

async fn ask(address: String, state: Arc<State>) {
    let patience = if state.cookie.is_some() { PATIENCE } else { IMPATIENCE };
    let cookie = state.cookie.as_ref().map(|cookie| format!("Cookie: {cookie}\r\n"));
    let cookie = cookie.unwrap_or_default();
    let request = format!("GET / HTTP/1.1\r\nHost: web\r\n{cookie}Connection: close\r\n\r\n");
    while !state.stop.load(Ordering::Relaxed) {
        let at = Instant::now();
        let saw = match timeout(patience, status(&address, &request)).await {
            Ok(Ok(status)) => status,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {patience:?}"),
        };
        if (saw == "200") != state.cookie.is_some() {
            let mut wrong = state.wrong.lock().unwrap_or_else(PoisonError::into_inner);
            wrong.push(Wrong { at, saw });
        }
        state.asked.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(50)).await;
    }
}

/// The status of the answer to a request on a connection of its own.
async fn status(address: &str, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = [0; 64];
    let count = stream.read(&mut answer).await?;
    let answer = String::from_utf8_lossy(answer.get(..count).unwrap_or_default()).into_owned();
    Ok(answer.split(' ').nth(1).unwrap_or("an end without an answer").to_owned())
}
