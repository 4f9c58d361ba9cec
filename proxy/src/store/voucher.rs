//! Who may have vouched for a session: a provider's id is only a name, so it is its issuer that counts.

use super::Unfit;
use crate::session::{Fingerprint, Session, Uses};

/// A configured provider, as sessions name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Voucher {
    id: String,
    /// The text on the button, which was the id of sessions of the first format that flags made.
    name: Option<String>,
    issuer: Fingerprint,
    /// What it reads of its sessions.
    pub(super) uses: Uses,
}

impl Voucher {
    /// Of the configuration's provider, which makes such use of its sessions.
    pub(crate) fn of(provider: &proxy_config::Provider, uses: Uses) -> Self {
        Self {
            id: provider.id.clone(),
            name: provider.name.clone(),
            issuer: Fingerprint::of(provider.vouches_as()),
            uses,
        }
    }

    /// Whether this is its issuer.
    pub(super) fn is_at(&self, issuer: Fingerprint) -> bool {
        self.issuer == issuer
    }

    /// Whether it made `session`. One of the first format does not say at which issuer.
    fn made(&self, session: &Session) -> bool {
        match &session.binding {
            Some(binding) => self.id == session.provider && self.is_at(binding.issuer),
            None => [Some(&self.id), self.name.as_ref()].contains(&Some(&session.provider)),
        }
    }
}

/// The provider that made `session`.
pub(super) fn maker<'a>(vouchers: &'a [Voucher], session: &Session) -> Option<&'a Voucher> {
    vouchers.iter().find(|voucher| voucher.made(session))
}

/// The place of the provider that made `session`.
///
/// # Errors
/// None of these did.
pub(super) fn find(vouchers: &[Voucher], session: &Session) -> Result<usize, Unfit> {
    let found = vouchers.iter().position(|voucher| voucher.made(session));
    found.ok_or_else(|| {
        if vouchers.iter().any(|voucher| voucher.id == session.provider) {
            Unfit::OtherIssuer
        } else {
            Unfit::NoProvider
        }
    })
}
