//! The load: connections that send the same bytes again and again and read what comes back.

use crate::Outcome;
use crate::clock::now;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One kind of request.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) request: Vec<u8>,
    pub(crate) status: u16,
    pub(crate) connections: usize,
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
    let tasks: Vec<_> = (0..load.connections)
        .map(|_| {
            let load = load.clone();
            tokio::spawn(async move {
                connection(&load, address, until).await.map_err(|error| error.to_string())
            })
        })
        .collect();
    // Whoever writes to somebody who sleeps pays for waking them, the more often the slower they are themselves; on a
    // network that is the receiving machine's work. So this thread does not sleep.
    let awake = tokio::spawn(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
    let mut answers = 0;
    for task in tasks {
        answers += task.await??;
    }
    awake.abort();
    Ok(answers)
}

async fn connection(load: &Load, address: SocketAddr, until: Instant) -> Outcome<u64> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(256 * 1024);
    let mut answers = 0;
    while now() < until {
        ask(&mut stream, load, &mut buffer).await?;
        answers += 1;
    }
    Ok(answers)
}

/// Sends the request and reads the whole answer.
pub(crate) async fn ask(stream: &mut TcpStream, load: &Load, buffer: &mut Vec<u8>) -> Outcome<()> {
    stream.write_all(&load.request).await?;
    buffer.clear();
    let end = loop {
        if let Some(end) = head_end(buffer) {
            break end;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err("the connection was closed instead of an answer".into());
        }
    };
    let head = String::from_utf8_lossy(buffer.get(..end).unwrap_or_default());
    let status = head.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
    if status != Some(load.status) {
        return Err(format!("{} was expected and this came:\n{head}", load.status).into());
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
    Ok(())
}
