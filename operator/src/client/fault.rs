//! A layer of the client that ends the process before a chosen write, as if it had been killed there. Only in debug builds.
//!
//! `OAUTH2_PROXY_OPERATOR_FAULT_AT=N`: before the N-th write, counted from 1. The one before it has reached the API server
//! and its answer has been taken in. Without the variable it does nothing.

use http::{Method, Request};
use kube::client::Body;
use std::sync::atomic::{AtomicUsize, Ordering};
use tower::util::MapRequestLayer;

static WRITES: AtomicUsize = AtomicUsize::new(0);

/// Counts writes, and ends the process before the one that the environment names.
///
/// # Errors
/// It names none.
pub(super) fn layer()
-> Result<MapRequestLayer<impl Fn(Request<Body>) -> Request<Body> + Clone + Send>, String> {
    let at = match std::env::var("OAUTH2_PROXY_OPERATOR_FAULT_AT") {
        Ok(text) => Some(
            text.parse()
                .map_err(|_| format!("OAUTH2_PROXY_OPERATOR_FAULT_AT={text:?} is no number"))?,
        ),
        Err(_) => None,
    };
    Ok(MapRequestLayer::new(move |request| match at {
        Some(at) => counted(request, at),
        None => request,
    }))
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
