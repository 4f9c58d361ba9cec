//! Getting an answer: in time, from a pooled connection or from a new one.

use super::connect::{CONNECT_TIMEOUT, late};
use super::http1::{self, Answer, Connection, Error, Upload};
use super::patience::Patience;
use super::pool::{self, Taken};
use super::{Target, UpstreamError};
use crate::metrics::Event;
use crate::stream::Stream;
use crate::worker::Worker;
use http::Version;
use std::io;
use std::sync::Arc;
use tokio::time::timeout;

impl Target {
    /// Sends the request and waits for the head of the answer.
    pub(super) async fn attempt(
        &self,
        worker: &Worker,
        upload: Box<Upload>,
        version: Version,
    ) -> Result<Answer, UpstreamError> {
        let sent = upload.sent();
        let asking = async {
            match pool::take(worker, &self.origin.known, upload.is_repeatable()) {
                Some(taken) => self.ask_pooled(worker, taken, upload).await,
                None => Box::pin(self.ask_anew(worker, upload)).await,
            }
        };
        match self.timeout {
            None => asking.await,
            // The upstream's time starts when it has all of the request, so that a long upload is no fault of its.
            Some(limit) => tokio::select! {
                biased;
                outcome = asking => outcome,
                () = async { sent.wait().await; Patience::new(limit, version).await; } => Err(UpstreamError::Timeout(limit)),
            },
        }
    }

    /// Asks on a connection that was idle; if that turns out to be closed, once more on a new one.
    async fn ask_pooled(
        &self,
        worker: &Worker,
        taken: Taken,
        upload: Box<Upload>,
    ) -> Result<Answer, UpstreamError> {
        worker.shard.count(Event::UpstreamReused);
        let upload = match http1::ask(taken.connection, upload).await {
            Ok(answer) if answer.was_asked_for() => return Ok(answer),
            Ok(answer) => answer.into_request(),
            Err(unanswered) => {
                if matches!(unanswered.error(), Error::Closed(_)) {
                    pool::note_closed(&self.origin.known, taken.since);
                }
                unanswered.again().map_err(UpstreamError::Broken)?
            }
        };
        worker.shard.count(Event::UpstreamRetried);
        Box::pin(self.ask_anew(worker, upload)).await
    }

    /// Its callers box it, because it is rare and large, and every request's future would have room for it.
    async fn ask_anew(
        &self,
        worker: &Worker,
        upload: Box<Upload>,
    ) -> Result<Answer, UpstreamError> {
        let stream = self.connect().await.map_err(UpstreamError::Connect)?;
        worker.shard.count(Event::UpstreamConnected);
        // In a box from the beginning: each request takes it through many hands.
        let connection = Box::new(Connection::new(stream, Arc::clone(&self.origin.known)));
        http1::ask(connection, upload)
            .await
            .map_err(|unanswered| UpstreamError::Broken(unanswered.into_error()))
    }

    /// A new connection. Only so many are opened at a time, whatever number of clients comes and goes meanwhile.
    async fn connect(&self) -> io::Result<Stream> {
        let opening = pool::opening(&self.origin.known);
        let turn = timeout(CONNECT_TIMEOUT, opening.acquire_owned()).await.map_err(late)?;
        let stream = self.origin.connect().await;
        drop(turn);
        stream
    }
}
