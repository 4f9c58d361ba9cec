//! TLS towards upstreams. HTTP/2 is not offered: one pool and one code path serve all upstreams, and a connection that is
//! busy with one request is exactly what back-pressure wants.

use crate::thread::Made;
use crate::trust::{self, Roots};
use rustls::ClientConfig;
use std::io;
use std::sync::Arc;
use tokio_rustls::TlsConnector;

static VERIFYING: Made<TlsConnector> = Made::new();
static TRUSTING: Made<TlsConnector> = Made::new();

/// The connector for upstreams that must prove who they are by the system's roots, or, if `insecure`, need not.
///
/// Roots are read at the first use, off the async threads: they cost milliseconds that most processes never need.
///
/// # Errors
/// The TLS library refuses its settings, or the system gives no thread.
pub(super) async fn connector(insecure: bool) -> io::Result<TlsConnector> {
    if insecure {
        return TRUSTING.at_once(|| Ok(TlsConnector::from(Arc::new(trust::client_of_anybody()?))));
    }
    VERIFYING.get("roots", || Ok(TlsConnector::from(Arc::new(verifying()?)))).await
}

fn verifying() -> Result<ClientConfig, String> {
    let mut roots = Roots::none();
    if roots.add_system() == 0 {
        tracing::warn!(
            "no root certificates found: https upstreams can not be verified; install ca-certificates"
        );
    }
    trust::client(roots)
}
