//! What answers a route: a server behind us, or something of our own. One place for their differences.

mod files;
mod fixed;

use crate::body::Body;
use crate::peer::Peer;
use crate::upstream::{self, Injection, OriginError, Question, UpstreamError};
use crate::worker::Worker;
use files::Files;
use fixed::Fixed;
use http::Response;
use http::uri::PathAndQuery;
use proxy_config::{Config, Problems, Target, Upstream};
use std::sync::Arc;
use std::time::Duration;

/// One compiled upstream.
#[derive(Debug)]
pub(crate) struct Backend {
    id: Arc<str>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Server(upstream::Target),
    Files(Files),
    Fixed(Fixed),
}

impl Backend {
    /// All upstreams of a configuration, in its order; what is wrong is noted.
    pub(crate) fn compile(config: &Config, problems: &mut Problems) -> Vec<Self> {
        let idle = Some(config.limits.stream_idle_timeout.get()).filter(|time| !time.is_zero());
        let mut backends = Vec::with_capacity(config.upstreams.len());
        for (index, upstream) in config.upstreams.iter().enumerate() {
            match kind(upstream, idle) {
                Ok(Some(kind)) => backends.push(Self { id: Arc::from(upstream.id.as_str()), kind }),
                Ok(None) => problems
                    .add(format!("upstreams[{index}].target"), "a status must be from 200 to 599"),
                Err(error) => {
                    problems.add(format!("upstreams[{index}].target.uri"), error.to_string());
                }
            }
        }
        backends
    }

    /// As shown in the access log.
    pub(crate) fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Its answer.
    ///
    /// # Errors
    /// A server gave none.
    pub(crate) async fn answer(
        &self,
        worker: &Arc<Worker>,
        peer: &Arc<Peer>,
        question: Question<'_>,
        injection: &Injection<'_>,
    ) -> Result<Response<Body>, UpstreamError> {
        match &self.kind {
            Kind::Server(server) => {
                let answer = server.forward(worker, peer, question, injection).await?;
                Ok(answer.map(Body::from))
            }
            Kind::Fixed(fixed) => Ok(fixed.respond()),
            Kind::Files(files) => {
                let root = PathAndQuery::from_static("/");
                let head = question.head;
                let target = head.uri.path_and_query().unwrap_or(&root);
                Ok(files.respond(&head.method, target, &head.headers).await)
            }
        }
    }
}

fn kind(upstream: &Upstream, idle: Option<Duration>) -> Result<Option<Kind>, OriginError> {
    Ok(match &upstream.target {
        Target::Http { .. } | Target::Unix { .. } => {
            upstream::Target::compile(upstream, idle)?.map(Kind::Server)
        }
        Target::File { .. } => Files::compile(upstream).map(Kind::Files),
        Target::Static { code } => Fixed::new(*code).map(Kind::Fixed),
    })
}
