//! The bare reverse proxy that everything is compared with: current-thread tokio, hyper's server, hyper-util's client, and
//! nothing else.

use crate::{Outcome, certificate};
use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, Uri, Version};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

type Answer = Result<Response<Incoming>, Box<dyn std::error::Error + Send + Sync>>;

/// What a connection needs.
#[derive(Clone)]
struct Floor {
    client: Client<HttpConnector, Incoming>,
    upstream: String,
}

/// Serves for ever, over TLS with files of a certificate and its key.
pub(crate) fn run(listen: &str, upstream: &str, files: Option<(&str, &str)>) -> Outcome<()> {
    let tls = files.map(|(certificate, key)| certificate::server(certificate, key)).transpose()?;
    let tls = tls.map(TlsAcceptor::from);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let floor = Floor { client, upstream: upstream.to_owned() };
        let listener = TcpListener::bind(listen).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            match &tls {
                Some(tls) => drop(tokio::spawn(floor.clone().secure(tls.clone(), stream))),
                None => drop(tokio::spawn(floor.clone().plain(stream))),
            }
        }
    })
}

impl Floor {
    async fn plain(self, stream: TcpStream) {
        let service = service_fn(move |request| self.clone().pass(request));
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }

    async fn secure(self, tls: TlsAcceptor, stream: TcpStream) {
        let Ok(stream) = tls.accept(stream).await else { return };
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let (io, service) =
            (TokioIo::new(stream), service_fn(move |request| self.clone().pass(request)));
        if http2 {
            let server = http2::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(io, service).await;
        } else {
            let _ = http1::Builder::new().serve_connection(io, service).await;
        }
    }

    async fn pass(self, mut request: Request<Incoming>) -> Answer {
        let target = request.uri().path_and_query();
        let target = target.map_or("/", hyper::http::uri::PathAndQuery::as_str);
        *request.uri_mut() = format!("http://{}{target}", self.upstream).parse::<Uri>()?;
        if request.version() == Version::HTTP_2 {
            *request.version_mut() = Version::HTTP_11;
            request.headers_mut().remove(HOST);
        }
        Ok(self.client.request(request).await?)
    }
}
