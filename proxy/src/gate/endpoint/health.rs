//! Liveness and readiness, for anybody who asks.

use super::Endpoint;
use crate::body::Body;
use crate::gate::visit::Visit;
use crate::reply;
use http::{Response, StatusCode};

/// Alive is who answers; ready is whose session store answers, and one of whose providers may work.
pub(super) async fn answer(visit: &Visit<'_>, endpoint: Endpoint) -> Response<Body> {
    if endpoint == Endpoint::Ready
        && let Err(error) = visit.from.site.store.ready().await
    {
        tracing::warn!(%error, "not ready");
        return reply::text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "error: the session store does not answer",
        );
    }
    if endpoint == Endpoint::Ready && !visit.from.site.providers.may_work().await {
        return reply::text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "error: what answers is not the identity provider that is configured",
        );
    }
    reply::text(StatusCode::OK, "OK")
}
