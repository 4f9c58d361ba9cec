//! The wish that the process stops, known to everything that runs.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Ends when the process is to stop.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

/// Makes it known.
pub(crate) struct Stopper(watch::Sender<bool>);

impl Stop {
    /// A wish that is not there yet.
    pub(crate) fn new() -> (Stopper, Self) {
        let (sender, receiver) = watch::channel(false);
        (Stopper(sender), Self(receiver))
    }

    /// Waits for it.
    pub(crate) async fn wished(mut self) {
        // Without a sender the process is ending anyway.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

impl Stopper {
    /// Wishes it.
    pub(crate) fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// Waits for SIGTERM or SIGINT.
///
/// # Errors
/// The signals cannot be caught.
pub(crate) async fn signalled() -> std::io::Result<()> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
