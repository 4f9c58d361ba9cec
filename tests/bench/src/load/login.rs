//! Logins from the first request to the session, as a browser makes them; the provider's page is left out.

use super::ask;
use crate::Outcome;
use crate::clock::now;
use crate::http::Answer;
use std::time::Instant;
use tokio::net::TcpStream;

/// Logs in again and again on one connection.
pub(super) async fn connection(mut stream: TcpStream, until: Instant) -> Outcome<u64> {
    let mut buffer = Vec::with_capacity(16 * 1024);
    let mut answers = 0;
    while now() < until {
        let start = request("/oauth2/start?rd=/", "");
        let start = Answer::of(&ask(&mut stream, &start, 302, &mut buffer).await?)?;
        let callback = request(&start.callback()?, &format!("Cookie: {}\r\n", start.pairs()));
        ask(&mut stream, &callback, 302, &mut buffer).await?;
        answers += 1;
    }
    Ok(answers)
}

fn request(target: &str, headers: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: bench.example\r\n{headers}\r\n").into_bytes()
}
