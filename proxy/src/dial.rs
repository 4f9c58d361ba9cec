//! Connecting to a name. It may have addresses of two families, one of which leads nowhere: so an address gets a moment, and
//! then the next one is tried beside it (RFC 8305 section 5).

use crate::names;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What an address gets before the next one is tried.
const MOMENT: Duration = Duration::from_millis(300);

/// A connection to the first address of `host` that answers, on which small pieces are not held back. Without a limit in time,
/// which the caller knows better. An address of IPv6 may be in brackets.
///
/// # Errors
/// The name has no address, or what became of the last one that was tried.
pub(crate) async fn dial(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses = names::look_up(host.trim_matches(['[', ']'])).await?;
    let addresses = addresses.iter().map(|address| SocketAddr::new(*address, port));
    let stream = first_of(addresses.collect(), TcpStream::connect).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn first_of<T, F>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let (mut waiting, mut tried) = (addresses.into_iter(), FuturesUnordered::new());
    loop {
        match waiting.next() {
            Some(address) => tried.push(connect(address)),
            None if tried.is_empty() => return Err(error),
            None => {}
        }
        let outcome = if waiting.len() == 0 {
            tried.next().await
        } else {
            timeout(MOMENT, tried.next()).await.unwrap_or_default()
        };
        match outcome {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(failed)) => error = failed,
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{Instant, sleep};

    const DEAD: u16 = 1;
    const REFUSING: u16 = 2;

    /// What connecting to these ports gives, and after how many milliseconds: ports from 10 on are how long they take.
    async fn dialled(ports: &[u16]) -> (Result<u16, io::ErrorKind>, u128) {
        let start = Instant::now();
        let addresses = ports.iter().map(|port| SocketAddr::from(([192, 0, 2, 1], *port)));
        let connect = |address: SocketAddr| async move {
            match address.port() {
                DEAD => std::future::pending().await,
                REFUSING => return Err(io::ErrorKind::ConnectionRefused.into()),
                port => sleep(Duration::from_millis(port.into())).await,
            }
            Ok(address.port())
        };
        let dialled = first_of(addresses.collect(), connect).await;
        (dialled.map_err(|error| error.kind()), start.elapsed().as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_leads_nowhere_hands_over_to_the_next() {
        assert_eq!(dialled(&[DEAD, 10]).await, (Ok(10), 310));
        assert_eq!(dialled(&[DEAD, DEAD, 10]).await, (Ok(10), 610));
        assert_eq!(dialled(&[REFUSING, 10]).await, (Ok(10), 10), "at once");
        assert_eq!(dialled(&[DEAD, REFUSING, 10]).await, (Ok(10), 310));
        assert_eq!(dialled(&[DEAD, 10, REFUSING]).await, (Ok(10), 310));
        // The first may be slow, and is not given up for the next.
        assert_eq!(dialled(&[350, 100]).await, (Ok(350), 350));
        assert_eq!(dialled(&[350, 10]).await, (Ok(10), 310));
        assert_eq!(dialled(&[200, 10]).await, (Ok(200), 200), "the first has its moment");
    }

    #[tokio::test(start_paused = true)]
    async fn where_no_address_answers_it_is_an_error() {
        let refused = Err(io::ErrorKind::ConnectionRefused);
        assert_eq!(dialled(&[REFUSING, REFUSING]).await, (refused, 0));
        assert_eq!(dialled(&[]).await, (Err(io::ErrorKind::NotFound), 0));
        let dead = timeout(Duration::from_secs(30), dialled(&[DEAD, REFUSING, DEAD])).await;
        assert!(dead.is_err(), "whoever calls has a limit");
    }
}
