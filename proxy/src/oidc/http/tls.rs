//! Whose certificate the provider may show, and when that is to be read again.

use crate::secrets::read_named;
use crate::trust::{self, Roots};
use proxy_config::ProviderTls;
use rustls::ClientConfig;
use std::path::Path;
use std::time::SystemTime;

/// Length and time of change of each CA file; a difference means that it is to be read again.
pub(super) type Marks = Vec<Option<(u64, SystemTime)>>;

/// The present marks of the CA files.
pub(super) fn marks(tls: &ProviderTls) -> Marks {
    let mark = |path: &Path| {
        let metadata = path.metadata().ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    };
    tls.ca_files.iter().map(|path| mark(path)).collect()
}

/// Reads the roots. Blocking, and slow where the system has many.
///
/// # Errors
/// A text for the log: a CA file that can not be read or has no certificate.
pub(super) fn config(tls: &ProviderTls) -> Result<ClientConfig, String> {
    if tls.insecure_skip_verify {
        return trust::client_of_anybody();
    }
    let mut roots = Roots::none();
    for path in &tls.ca_files {
        roots.add_file(path, &read_named(path)?)?;
    }
    if (tls.ca_files.is_empty() || tls.use_system_roots) && roots.add_system() == 0 {
        tracing::warn!(
            "the system has no root certificates: name the provider's (provider.tls.caFiles, --provider-ca-file) if it uses \
             https"
        );
    }
    trust::client(roots)
}
