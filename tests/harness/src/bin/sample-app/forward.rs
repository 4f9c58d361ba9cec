//! `sample-app forward <host>:<port>`: leads each connection to that address, which is looked up anew for each.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

/// Serves until it is told to stop.
pub(crate) async fn serve(port: u16, target: &str) -> std::io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    harness::report::say(format_args!("sample-app: forwarding {port} to {target}"));
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                tokio::spawn(lead(client, target.to_owned()));
            }
            _ = terminate.recv() => return Ok(()),
        }
    }
}

async fn lead(mut client: TcpStream, target: String) {
    // A Service without a ready pod may drop what comes instead of refusing it.
    let connected = timeout(Duration::from_secs(5), TcpStream::connect(&target)).await;
    match connected {
        Ok(Ok(mut server)) => {
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            // Either side may break off; that is their affair.
            let _ = copy_bidirectional(&mut client, &mut server).await;
        }
        Ok(Err(error)) => harness::report::say(format_args!("sample-app: {target}: {error}")),
        Err(_) => harness::report::say(format_args!("sample-app: {target} does not answer")),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn bytes_go_through_in_both_directions_and_the_end_too() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = server.local_addr().unwrap().to_string();
        let mut client = TcpStream::connect(door.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = door.accept().await.unwrap();
        tokio::spawn(lead(accepted, target));
        client.write_all(b"ask").await.unwrap();
        client.shutdown().await.unwrap();
        let (mut peer, _) = server.accept().await.unwrap();
        let mut asked = String::new();
        peer.read_to_string(&mut asked).await.unwrap();
        peer.write_all(b"answer").await.unwrap();
        drop(peer);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!((asked.as_str(), answer.as_str()), ("ask", "answer"));
    }

    #[tokio::test]
    async fn client_is_let_go_where_nobody_listens() {
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(door.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = door.accept().await.unwrap();
        lead(accepted, nobody.to_string()).await;
        assert_eq!(client.read(&mut [0; 1]).await.unwrap_or(0), 0);
    }
}
