//! The server behind all proxies: it answers as fast as it can with bytes that were made once.

use std::collections::HashMap;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Serves `/1k`, `/100k`, `/10m`; whatever else is asked, `POST` included, gets two bytes.
pub(crate) async fn serve(listener: TcpListener) {
    let answers: Arc<HashMap<&str, Vec<u8>>> = Arc::new(HashMap::from([
        ("/1k", answer(1024)),
        ("/100k", answer(100 * 1024)),
        ("/10m", answer(10 * 1024 * 1024)),
        ("", answer(2)),
    ]));
    while let Ok((stream, _)) = listener.accept().await {
        let answers = Arc::clone(&answers);
        tokio::spawn(async move { connection(stream, &answers).await });
    }
}

fn answer(size: usize) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {size}\r\n\r\n")
            .into_bytes();
    bytes.resize(bytes.len() + size, b'x');
    bytes
}

async fn connection(mut stream: TcpStream, answers: &HashMap<&str, Vec<u8>>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut buffer = Vec::with_capacity(128 * 1024);
    loop {
        let end = loop {
            if let Some(end) = crate::load::head_end(&buffer) {
                break end;
            }
            if stream.read_buf(&mut buffer).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8_lossy(buffer.get(..end)?).into_owned();
        let mut left = usize::try_from(crate::load::content_length(&head)).ok()?;
        let have = buffer.len() - end;
        buffer.drain(..end + left.min(have));
        left -= left.min(have);
        while left > 0 {
            buffer.clear();
            let count = stream.read_buf(&mut buffer).await.ok()?;
            if count == 0 {
                return None;
            }
            buffer.drain(..left.min(count));
            left -= left.min(count);
        }
        let target = head.split(' ').nth(1).unwrap_or_default();
        stream.write_all(answers.get(target).or_else(|| answers.get(""))?).await.ok()?;
    }
}
