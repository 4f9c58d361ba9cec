//! The bare reverse proxy that everything is compared with: current-thread tokio, hyper's server, hyper-util's client, and
//! nothing else.

use crate::Outcome;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

/// Serves for ever.
pub(crate) fn run(listen: &str, upstream: &str) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client: Client<_, Incoming> = Client::builder(TokioExecutor::new()).build(connector);
        let listener = TcpListener::bind(listen).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let (client, upstream) = (client.clone(), upstream.to_owned());
            let service = service_fn(move |mut request: Request<Incoming>| {
                let path = request
                    .uri()
                    .path_and_query()
                    .map_or("/", hyper::http::uri::PathAndQuery::as_str);
                let target = format!("http://{upstream}{path}").parse::<Uri>();
                let client = client.clone();
                async move {
                    *request.uri_mut() = target?;
                    Ok::<_, Box<dyn std::error::Error + Send + Sync>>(
                        client.request(request).await?,
                    )
                }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    })
}
