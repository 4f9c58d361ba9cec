//! The end of a connection whose client may still be sending. Closing a socket with unread bytes resets it, and a client
//! that sends all of its request before it reads would never see the answer that told it to stop.

use crate::stream::Stream;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::time::timeout;

const BAD_REQUEST: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: 12\r\nConnection: close\r\n\r\nBad Request\n";
const TOO_LARGE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// A client that sends nonsense may not even read what we think of it.
const WRITING: Duration = Duration::from_secs(1);
/// Time for an answer to arrive and for the client to act on it.
const READING: Duration = Duration::from_secs(2);
/// Bytes thrown away meanwhile; whoever sends more learns it the hard way.
const MOST: u64 = 16 << 20;

/// Answers what is no request, and closes.
pub(super) async fn refuse(mut stream: Stream, too_large: bool) {
    let answer = if too_large { TOO_LARGE } else { BAD_REQUEST };
    if let Ok(Ok(())) = timeout(WRITING, stream.write_all(answer)).await {
        linger(stream).await;
    }
}

/// Closes our side, and throws away what still comes until the client closes or has had its chance.
pub(super) async fn linger(mut stream: Stream) {
    let closing = async {
        stream.shutdown().await?;
        copy(&mut stream.take(MOST), &mut sink()).await
    };
    // The connection is over in any case.
    let _ = timeout(READING, closing).await;
}
