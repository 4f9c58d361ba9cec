//! Streams of HTTP/2 that ask for the same.

use crate::Outcome;
use crate::certificate::HOST;
use crate::clock::now;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::time::Instant;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// At a time on one connection.
const STREAMS: usize = 8;

/// Asks for `target` with `cookies` on one connection.
pub(super) async fn connection(
    stream: TlsStream<TcpStream>,
    asked: (&str, &str),
    until: Instant,
) -> Outcome<u64> {
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let streams: Vec<_> = (0..STREAMS)
        .map(|_| {
            let (sender, target) = (sender.clone(), format!("https://{HOST}{}", asked.0));
            let cookies = asked.1.to_owned();
            tokio::spawn(async move {
                let outcome = repeat(sender, &target, &cookies, until).await;
                outcome.map_err(|error| error.to_string())
            })
        })
        .collect();
    let mut answers = 0;
    for stream in streams {
        answers += stream.await??;
    }
    driver.abort();
    Ok(answers)
}

async fn repeat(
    mut sender: SendRequest<Empty<Bytes>>,
    target: &str,
    cookies: &str,
    until: Instant,
) -> Outcome<u64> {
    let mut answers = 0;
    while now() < until {
        let request = Request::get(target).header("cookie", cookies).body(Empty::new())?;
        sender.ready().await?;
        let mut answer = sender.send_request(request).await?;
        if answer.status() != 200 {
            return Err(format!("200 was expected and {} came", answer.status()).into());
        }
        while let Some(frame) = answer.body_mut().frame().await {
            frame?;
        }
        answers += 1;
    }
    Ok(answers)
}
