//! A body that arrives piece by piece: `/stream?lines=5&every=200` (milliseconds).

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::Response;
use hyper::body::Frame;
use tokio::time::{Instant, sleep_until};

use crate::{Body, with_type};

/// Answers with that many lines, one at a time.
pub(crate) fn lines(query: &str) -> Response<Body> {
    let (count, every) = (parameter(query, "lines", 5), parameter(query, "every", 200));
    let every = Duration::from_millis(every.min(60_000));
    let stream =
        futures_util::stream::unfold((0, None::<Instant>), move |(sent, due)| async move {
            if sent == count {
                return None;
            }
            if let Some(due) = due {
                sleep_until(due).await;
            }
            let next = Instant::now() + every;
            let line = Bytes::from(format!("line {} of {count}\n", sent + 1));
            Some((Ok::<_, Infallible>(Frame::data(line)), (sent + 1, Some(next))))
        });
    // The stream is shared by nobody; boxing asks for Sync all the same.
    let body = StreamBody::new(SyncStream(std::sync::Mutex::new(Box::pin(stream)))).boxed();
    with_type(Response::new(body), "text/plain; charset=utf-8")
}

struct SyncStream<S>(std::sync::Mutex<S>);

impl<S: futures_util::Stream + Unpin> futures_util::Stream for SyncStream<S> {
    type Item = S::Item;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<S::Item>> {
        let stream = self.get_mut().0.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        std::pin::Pin::new(stream).poll_next(context)
    }
}

fn parameter(query: &str, name: &str, default: u64) -> u64 {
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
        .unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn body_has_as_many_lines_as_asked_for() {
        let body = lines("every=1000&lines=3").into_body().collect().await;
        assert_eq!(body.unwrap().to_bytes(), "line 1 of 3\nline 2 of 3\nline 3 of 3\n");
    }

    #[test]
    fn parameter_falls_back_to_its_default() {
        assert_eq!(parameter("lines=x", "lines", 5), 5);
        assert_eq!(parameter("a=1&lines=7", "lines", 5), 7);
    }
}
