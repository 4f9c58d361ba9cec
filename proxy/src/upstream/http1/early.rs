//! An answer that began before its request was sent to the end. Neither may wait for the other: each has its half of the
//! connection, which is not used again. When the answer has ended nothing more is sent upstream: without the request's future
//! nobody could tell a body that ended from one that was cut off. What the client still sends is thrown away, because many
//! clients read nothing before they have sent all.

use super::{Download, Error, Upload};
use crate::stream::Stream;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::ReadHalf;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) struct Early {
    download: Download<ReadHalf<Stream>>,
    upload: JoinHandle<Result<(), Error>>,
    /// The request is known to have been sent.
    sent: bool,
    /// Tells the request that its answer has ended.
    _end: oneshot::Sender<()>,
}

impl Early {
    pub(in crate::upstream) fn new(download: Download, mut upload: Box<Upload>) -> Self {
        let (download, mut writer) = download.split();
        let (end, ended) = oneshot::channel::<()>();
        let sending = async move {
            tokio::select! {
                biased;
                outcome = poll_fn(|cx| upload.poll(cx, &mut writer)) => return outcome,
                _ = ended => {}
            }
            drop(writer);
            upload.discard().await;
            Ok(())
        };
        Self { download, upload: tokio::spawn(sending), sent: false, _end: end }
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
