//! An answer that began before its request was sent to the end. Neither may wait for the other: each has its half of the
//! connection, which is not used again. When the answer has ended, so has the request.

use super::{Download, Error, Upload};
use crate::stream::Stream;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::ReadHalf;
use tokio::task::JoinHandle;

pub(in crate::upstream) struct Early {
    download: Download<ReadHalf<Stream>>,
    upload: JoinHandle<Result<(), Error>>,
    /// The request is known to have been sent.
    sent: bool,
}

impl Early {
    pub(in crate::upstream) fn new(download: Download, mut upload: Upload) -> Self {
        let (download, mut writer) = download.split();
        let sending = async move { poll_fn(|cx| upload.poll(cx, &mut writer)).await };
        Self { download, upload: tokio::spawn(sending), sent: false }
    }
}

impl Drop for Early {
    fn drop(&mut self) {
        // Nobody waits for what the rest would bring, and without the request's future it could not be told how it ended.
        self.upload.abort();
    }
}

impl Body for Early {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if !self.sent
            && let Poll::Ready(outcome) = Pin::new(&mut self.upload).poll(cx)
        {
            self.sent = true;
            // A request that broke off has no answer, whatever its first part made the upstream say.
            if let Ok(Err(error)) = outcome {
                return Poll::Ready(Some(Err(error)));
            }
        }
        Pin::new(&mut self.download).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.download.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.download.size_hint()
    }
}
