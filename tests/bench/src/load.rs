//! The load: connections that ask again and again and read what comes back.

mod http2;
mod login;

use crate::Outcome;
use crate::certificate::HOST;
use crate::clock::now;
use crate::provider::Provider;
use crate::sealed::Sealed;
use rustls::ClientConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What is done again and again.
pub(crate) enum Load {
    /// One kind of request.
    Requests(Requests),
    /// Logins at this provider on so many connections: start, provider, callback.
    Logins(Arc<Provider>, usize),
}

/// One kind of request.
#[derive(Clone)]
pub(crate) struct Requests {
    pub(crate) request: Vec<u8>,
    pub(crate) status: u16,
    pub(crate) connections: usize,
    pub(crate) manner: Manner,
}

/// How it is asked.
#[derive(Clone)]
pub(crate) enum Manner {
    /// The same bytes each time.
    Plain,
    /// With a cookie that nobody has seen before.
    Fresh(Arc<Sealed>),
    /// Over TLS.
    Tls(Arc<ClientConfig>),
    /// As streams of HTTP/2 over TLS: the target and the cookies.
    Http2(Arc<ClientConfig>, &'static str, String),
}

/// Where the head ends, if it does.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// The length that a head announces, or zero.
pub(crate) fn content_length(head: &str) -> u64 {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0)
}

/// Asks until the time is over. Returns the number of answers.
pub(crate) async fn run(load: &Load, address: SocketAddr, time: Duration) -> Outcome<u64> {
    let until = now() + time;
    match load {
        Load::Logins(provider, connections) => {
            login::run(provider, (address, *connections), until).await
        }
        Load::Requests(requests) => {
            let asking = (0..requests.connections).map(|_| {
                let requests = requests.clone();
                async move { connection(&requests, address, until).await }
            });
            Ok(together(asking).await?.iter().sum())
        }
    }
}

/// Does all of `work` at the same time.
async fn together<T, F>(work: impl Iterator<Item = F>) -> Outcome<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = Outcome<T>> + Send + 'static,
{
    let spawn = |work: F| tokio::spawn(async { work.await.map_err(|error| error.to_string()) });
    let tasks: Vec<_> = work.map(spawn).collect();
    // Whoever writes to somebody who sleeps pays for waking them, the more often the slower they are themselves; on a
    // network that is the receiving machine's work. So this thread does not sleep.
    let awake = tokio::spawn(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await??);
    }
    awake.abort();
    Ok(results)
}

async fn connection(load: &Requests, address: SocketAddr, until: Instant) -> Outcome<u64> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(256 * 1024);
    let mut answers = 0;
    match &load.manner {
        Manner::Plain => repeat(stream, load, until).await,
        Manner::Tls(config) => {
            let stream = secured(stream, config).await?;
            repeat(stream, load, until).await
        }
        Manner::Http2(config, target, cookies) => {
            let stream = secured(stream, config).await?;
            http2::connection(stream, (target, cookies), until).await
        }
        Manner::Fresh(sealed) => {
            while now() < until {
                let fresh = with_cookie(load, sealed)?;
                ask(&mut stream, &fresh, load.status, &mut buffer).await?;
                answers += 1;
            }
            Ok(answers)
        }
    }
}

async fn secured(
    stream: TcpStream,
    config: &Arc<ClientConfig>,
) -> Outcome<tokio_rustls::client::TlsStream<TcpStream>> {
    Ok(TlsConnector::from(Arc::clone(config)).connect(HOST.try_into()?, stream).await?)
}

async fn repeat(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    load: &Requests,
    until: Instant,
) -> Outcome<u64> {
    let mut buffer = Vec::with_capacity(256 * 1024);
    let mut answers = 0;
    while now() < until {
        ask(&mut stream, &load.request, load.status, &mut buffer).await?;
        answers += 1;
    }
    Ok(answers)
}

/// The request with one more header before its end.
fn with_cookie(load: &Requests, sealed: &Sealed) -> Outcome<Vec<u8>> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut request = load.request.strip_suffix(b"\r\n").unwrap_or_default().to_vec();
    let pair = sealed.pair(COUNT.fetch_add(1, Ordering::Relaxed))?;
    request.extend_from_slice(format!("Cookie: {pair}\r\n\r\n").as_bytes());
    Ok(request)
}

/// Sends the request and reads the whole answer, of which it returns the head.
pub(crate) async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &[u8],
    status: u16,
    buffer: &mut Vec<u8>,
) -> Outcome<String> {
    stream.write_all(request).await?;
    stream.flush().await?;
    buffer.clear();
    let end = loop {
        if let Some(end) = head_end(buffer) {
            break end;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err("the connection was closed instead of an answer".into());
        }
    };
    let head = String::from_utf8_lossy(buffer.get(..end).unwrap_or_default()).into_owned();
    if head.split(' ').nth(1).and_then(|status| status.parse().ok()) != Some(status) {
        return Err(format!("{status} was expected and this came:\n{head}").into());
    }
    let mut left = usize::try_from(content_length(&head))?.saturating_sub(buffer.len() - end);
    while left > 0 {
        buffer.clear();
        let count = stream.read_buf(buffer).await?;
        if count == 0 {
            return Err("the connection was closed within an answer".into());
        }
        left = left.saturating_sub(count);
    }
    Ok(head)
}
