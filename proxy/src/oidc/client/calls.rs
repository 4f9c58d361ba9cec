//! How many calls of a client may be under way at once.

use super::turns::{Network, Place, Turns};
use crate::oidc::issuer::Unavailable;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// Why there is no place.
pub(in crate::oidc) const TOO_MANY: &str = "too many calls to it are under way already";

/// Anybody can come back from a login that never was, so these can not take what refreshes need, nor one network what the logins
/// of others do; together they bound what the provider and our own threads, which carry more than this, have to do.
pub(in crate::oidc) struct Calls {
    logins: Turns,
    refreshes: Semaphore,
}

impl Calls {
    const LOGINS: usize = 24;
    const REFRESHES: usize = 40;
    /// A login that waited so long is told that the provider is busy.
    const PATIENCE: Duration = Duration::from_secs(10);
    /// A refresh waits longer: nobody need wait for it.
    const LINE: Duration = Duration::from_secs(30);

    /// A place among the logins that are being completed, for one that comes from `network`.
    pub(in crate::oidc) async fn login(&self, network: Network) -> Result<Place, Unavailable> {
        timeout(Self::PATIENCE, self.logins.place(network))
            .await
            .map_err(|_| Unavailable(TOO_MANY.to_owned()))
    }

    /// A place among the sessions that are being refreshed or looked at; `None` if too many are. That is our doing and says
    /// nothing of the provider.
    pub(in crate::oidc) async fn refresh(&self) -> Option<SemaphorePermit<'_>> {
        timeout(Self::LINE, self.refreshes.acquire()).await.ok()?.ok()
    }
}

impl Default for Calls {
    fn default() -> Self {
        Self { logins: Turns::new(Self::LOGINS), refreshes: Semaphore::new(Self::REFRESHES) }
    }
}
