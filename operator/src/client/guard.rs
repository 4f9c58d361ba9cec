//! Lets a write through only while this replica holds the lease. Turns ask before they begin; this is for those that were
//! under way when the node fell asleep, and for what comes from nowhere near a turn.

use crate::leader::Leadership;
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use http::{Method, Request, Response};
use kube::client::Body;
use std::task::{Context, Poll};
use tower::{BoxError, Service};

/// A connection to the API server that asks first.
pub(super) struct Guard<S> {
    inner: S,
    leader: Leadership,
}

/// Why a write was not sent.
#[derive(Debug, thiserror::Error)]
#[error("this replica does not hold the lease at this moment, so it writes nothing")]
struct NotHeld;

impl<S> Guard<S> {
    pub(super) fn new(inner: S, leader: Leadership) -> Self {
        Self { inner, leader }
    }
}

impl<S, B> Service<Request<Body>> for Guard<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<B>, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let reads = [Method::GET, Method::HEAD].contains(request.method());
        if reads || self.leader.is_held() {
            self.inner.call(request).map(|answer| answer.map_err(Into::into)).boxed()
        } else {
            ready(Err(NotHeld.into())).boxed()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http_body_util::Full;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
    use kube::{Api, Client};
    use serde_json::json;
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn nothing_is_written_by_who_does_not_hold_the_lease() {
        let (lead, leader) = Leadership::of_test();
        let writes = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&writes);
        let server = tower::service_fn(move |request: Request<Body>| {
            let reads = request.method() == Method::GET;
            counted.fetch_add(usize::from(!reads), Ordering::SeqCst);
            let body = Full::new(Bytes::from_static(b"{\"metadata\":{\"name\":\"a\"}}"));
            ready(Ok::<_, Infallible>(Response::new(body)))
        });
        let api: Api<ConfigMap> =
            Api::namespaced(Client::new(Guard::new(server, leader), "shop"), "shop");
        let mut map = ConfigMap::default();
        map.metadata.name = Some("a".to_owned());
        for leads in [false, true, false] {
            lead(leads);
            writes.store(0, Ordering::SeqCst);
            let answers = [
                api.create(&PostParams::default(), &map).await.map(|_| ()),
                api.replace("a", &PostParams::default(), &map).await.map(|_| ()),
                api.patch("a", &PatchParams::default(), &Patch::Merge(json!({}))).await.map(|_| ()),
                api.delete("a", &DeleteParams::default()).await.map(|_| ()),
            ];
            assert!(answers.iter().all(|answer| answer.is_ok() == leads), "{leads}: {answers:?}");
            assert_eq!(writes.load(Ordering::SeqCst), if leads { 4 } else { 0 });
            assert!(api.get("a").await.is_ok());
        }
    }
}
