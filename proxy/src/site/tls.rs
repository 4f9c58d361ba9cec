//! The certificate that is served: checked when a configuration is compiled, taken into use when it comes into force.

use crate::secrets::{SecretText, read_bytes};
use crate::server::{Certificate, TlsError};
use proxy_config::{Problems, TlsListener};

/// No chain is larger.
const MAX_BYTES: u64 = 1 << 20;

/// A certificate and its key, known to be good.
pub(crate) struct Tls {
    /// What the listener serves from; the same object across reloads.
    pub(crate) live: Certificate,
    chain: Vec<u8>,
    key: SecretText,
}

impl Tls {
    /// Reads and checks the certificate of `listener`; what is wrong is noted.
    pub(super) fn compile(
        listener: &TlsListener,
        key: Option<SecretText>,
        previous: Option<&Self>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let path = &listener.certificate_file;
        let chain = read_bytes(path, MAX_BYTES).map_err(|error| {
            let message = format!("the file {} can not be read: {error}", path.display());
            problems.add("listeners.https.certificateFile", message);
        });
        // A key that can not be read was noted where it was read.
        let (chain, key) = (chain.ok()?, key?);
        match Certificate::new(&chain, key.as_bytes()) {
            Ok(fresh) => {
                Some(Self { live: previous.map_or(fresh, |tls| tls.live.clone()), chain, key })
            }
            Err(error) => {
                let field = match error {
                    TlsError::Key(_) | TlsError::Mismatch => "listeners.https.key",
                    _ => "listeners.https.certificateFile",
                };
                problems.add(field, error.to_string());
                None
            }
        }
    }

    /// Serves this certificate from the next handshake on.
    ///
    /// # Errors
    /// None that [`Tls::compile`] has not found.
    pub(crate) fn take_effect(&self) -> Result<(), TlsError> {
        self.live.replace(&self.chain, self.key.as_bytes())
    }
}
