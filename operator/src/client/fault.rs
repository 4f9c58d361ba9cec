//! A client that ends the process before a chosen write, as if it had been killed there. Only in debug builds.
//!
//! `OAUTH2_PROXY_OPERATOR_FAULT_AT=N`: before the N-th write, counted from 1. The one before it has reached the API server
//! and its answer has been taken in. Without the variable it is the client that release builds have.

use http::{Method, Request};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use std::sync::atomic::{AtomicUsize, Ordering};
use tower::util::MapRequestLayer;

static WRITES: AtomicUsize = AtomicUsize::new(0);

pub(super) fn client(config: Config) -> Result<Client, String> {
    let Ok(text) = std::env::var("OAUTH2_PROXY_OPERATOR_FAULT_AT") else {
        return Client::try_from(config).map_err(|error| format!("no client: {error}"));
    };
    let at: usize = text
        .parse()
        .map_err(|_| format!("OAUTH2_PROXY_OPERATOR_FAULT_AT={text:?} is no number"))?;
    let layer = MapRequestLayer::new(move |request: Request<Body>| counted(request, at));
    Ok(ClientBuilder::try_from(config)
        .map_err(|error| format!("no client: {error}"))?
        .with_layer(&layer)
        .build())
}

fn counted(request: Request<Body>, at: usize) -> Request<Body> {
    if [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(request.method()) {
        let number = WRITES.fetch_add(1, Ordering::SeqCst) + 1;
        tracing::info!(number, method = %request.method(), path = request.uri().path(), "fault point");
        if at == number {
            tracing::error!(number, "ending here, as the fault point says");
            std::process::abort();
        }
    }
    request
}
