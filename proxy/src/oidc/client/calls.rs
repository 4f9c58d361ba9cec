//! How many calls of a client may be under way at once.

use crate::oidc::issuer::Unavailable;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Anybody can come back from a login that never was, so these can not take what refreshes need; together they bound what the
/// control runtime, which carries more than this, has to do.
pub(in crate::oidc) struct Calls {
    logins: Semaphore,
    refreshes: Semaphore,
}

impl Calls {
    const LOGINS: usize = 24;
    const REFRESHES: usize = 40;
    /// Who waited so long is told that the provider is busy.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// A place among the logins that are being completed.
    pub(in crate::oidc) async fn login(&self) -> Result<SemaphorePermit<'_>, Unavailable> {
        Self::place(&self.logins).await
    }

    /// A place among the sessions that are being refreshed or looked at.
    pub(in crate::oidc) async fn refresh(&self) -> Result<SemaphorePermit<'_>, Unavailable> {
        Self::place(&self.refreshes).await
    }

    async fn place(places: &Semaphore) -> Result<SemaphorePermit<'_>, Unavailable> {
        match tokio::time::timeout(Self::PATIENCE, places.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => {
                Err(Unavailable("too many calls to it are under way already".to_owned()))
            }
        }
    }
}

impl Default for Calls {
    fn default() -> Self {
        Self { logins: Semaphore::new(Self::LOGINS), refreshes: Semaphore::new(Self::REFRESHES) }
    }
}
