//! Asks the proxies inside pods how they are: which configuration is in force, whether they reach the provider, and who
//! is connected to the protected port past them.
//!
//! Only reads. A pod that does not answer is reported as silent, never as well: what is unknown must not turn a condition
//! true.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// Pods asked at a time, for one workload.
const CONCURRENCY: usize = 16;
/// Time for one answer, connection included.
const PATIENCE: Duration = Duration::from_secs(2);
/// Size of an answer. It lists at most 50 sources.
const MOST: usize = 64 * 1024;

/// Where a pod's proxy answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Name of the pod.
    pub(crate) pod: String,
    /// Its address; absent: it has none yet.
    pub(crate) address: Option<IpAddr>,
    /// The admin port of its proxy.
    pub(crate) port: u16,
}

/// What a pod's proxy said: the part of `/status` that is used here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Said {
    /// SHA-256 of the configuration in force.
    pub(crate) config_hash: Option<String>,
    /// About the last attempt to take up a configuration.
    #[serde(default)]
    pub(crate) reload: Reload,
    /// About the identity provider.
    pub(crate) provider: Option<Provider>,
    /// Who is connected to the protected port past the proxy.
    pub(crate) direct_connections: Option<DirectConnections>,
}

/// The last attempt to take up a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reload {
    /// Why it was refused.
    pub(crate) last_error: Option<String>,
}

/// The identity provider as the proxy sees it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Provider {
    /// Whether its discovery document and keys are there.
    pub(crate) ready: bool,
    /// Why not.
    pub(crate) error: Option<String>,
    /// The last call of any kind; absent: there was none, or the proxy does not tell.
    pub(crate) last_call: Option<LastCall>,
    /// The last call for which the client had to say who it is.
    pub(crate) last_token_call: Option<LastCall>,
}

/// How a call to the provider went.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct LastCall {
    /// See [`Outcome`].
    pub(crate) outcome: Outcome,
    /// What was wrong, if it concerns everybody.
    pub(crate) error: Option<String>,
}

/// Kinds of ends of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Outcome {
    /// The provider does not take the proxy for the client.
    ClientRefused,
    /// No answer.
    Unreachable,
    /// All others, which are no business of ours.
    #[serde(other)]
    Other,
}

/// Connections to the protected port from outside the pod, the node's probes left out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DirectConnections {
    /// The protected port.
    pub(crate) port: u16,
    /// At most 50.
    pub(crate) sources: Vec<Source>,
}

/// One peer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Source {
    /// Its address.
    pub(crate) address: String,
    /// Its connections.
    pub(crate) count: u64,
}

/// Time for all answers: where many pods are silent, the first of them show it, and the turn has its own limit.
pub(crate) const ALL: Duration = Duration::from_secs(20);

/// Asks all pods; the answers come in the order of the questions, with the reason where there is none.
pub(crate) async fn ask(pods: Vec<Asked>) -> Vec<(Asked, Result<Said, String>)> {
    let end = Instant::now() + ALL;
    stream::iter(pods)
        .map(|asked| async move {
            let left = end.saturating_duration_since(Instant::now()).min(PATIENCE);
            let said = match asked.address {
                Some(address) => answer(SocketAddr::new(address, asked.port), left).await,
                None => Err("it has no address yet".to_owned()),
            };
            (asked, said)
        })
        .buffered(CONCURRENCY)
        .collect()
        .await
}

async fn answer(address: SocketAddr, patience: Duration) -> Result<Said, String> {
    match timeout(patience, get(address)).await {
        Ok(result) => result.map_err(|error| format!("http://{address}/status: {error}")),
        Err(_) => {
            Err(format!("http://{address}/status does not answer within {} s", PATIENCE.as_secs()))
        }
    }
}

async fn get(address: SocketAddr) -> Result<Said, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = http::Request::get("/status")
        .header(http::header::HOST, address.to_string())
        .header(http::header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    if !response.status().is_success() {
        return Err(format!("status {}", response.status()).into());
    }
    let body = Limited::new(response.into_body(), MOST).collect().await?.to_bytes();
    driver.abort();
    Ok(serde_json::from_slice(&body)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    /// Answers once with this text.
    async fn serve(text: String) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await.unwrap();
            stream.write_all(text.as_bytes()).await.unwrap();
        });
        port
    }

    async fn said(status: &str, body: &str) -> Result<Said, String> {
        let length = body.len();
        let port = serve(format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        ))
        .await;
        let asked =
            Asked { pod: "web-1".to_owned(), address: Some(Ipv4Addr::LOCALHOST.into()), port };
        ask(vec![asked]).await.remove(0).1
    }

    #[tokio::test]
    async fn the_answer_of_a_pod_is_read() {
        let body = r#"{"version":"0.1.0","configHash":"ab","reload":{"lastError":null},"provider":{"id":"oidc","ready":true,"error":null,
            "lastCall":{"at":"2026-11-23T03:54:20Z","outcome":"succeeded","error":null},
            "lastTokenCall":{"at":"2026-11-23T03:54:20Z","outcome":"clientRefused","error":"invalid_client"},"lastLogin":null},
            "directConnections":{"port":8080,"total":2,"sources":[{"address":"10.0.0.7","count":2}]}}"#;
        let said = said("200 OK", body).await.unwrap();
        assert_eq!(said.config_hash.as_deref(), Some("ab"));
        assert_eq!(said.direct_connections.unwrap().sources[0].address, "10.0.0.7");
        let provider = said.provider.unwrap();
        assert!(provider.ready);
        assert_eq!(provider.last_call.unwrap().outcome, Outcome::Other);
        assert_eq!(provider.last_token_call.unwrap().outcome, Outcome::ClientRefused);
    }

    #[tokio::test(start_paused = true)]
    async fn many_silent_pods_do_not_take_longer_than_a_turn_may() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = |number| Asked {
            pod: format!("web-{number}"),
            address: Some(Ipv4Addr::LOCALHOST.into()),
            port,
        };
        let start = Instant::now();
        let answers = ask((0..600).map(asked).collect()).await;
        assert!(answers.len() == 600 && answers.iter().all(|(_, said)| said.is_err()));
        assert!(start.elapsed() < ALL + PATIENCE, "{:?}", start.elapsed());
    }

    #[tokio::test]
    async fn a_pod_that_says_something_else_counts_as_silent() {
        assert!(said("200 OK", "hello").await.is_err());
        assert!(said("500 Internal Server Error", "{}").await.unwrap_err().contains("500"));
        let nobody = Asked { pod: "web-1".to_owned(), address: None, port: 1 };
        assert!(ask(vec![nobody]).await.remove(0).1.is_err());
    }
}
