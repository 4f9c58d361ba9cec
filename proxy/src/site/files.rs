//! Whether roots that are read only when they are needed can be read, so that a mistake is named at the start and not at the
//! first login.

use crate::secrets::read_named;
use crate::trust::Roots;
use proxy_config::{Config, Problems};

/// Notes files of roots that are missing or hold none. All others are read where they are used.
pub(super) fn check(config: &Config, problems: &mut Problems) {
    for (i, provider) in config.providers.iter().enumerate() {
        if provider.tls.insecure_skip_verify {
            continue;
        }
        for (j, path) in provider.tls.ca_files.iter().enumerate() {
            let text = read_named(path);
            if let Err(what) = text.and_then(|text| Roots::none().add_file(path, &text)) {
                problems.add(format!("providers[{i}].tls.caFiles[{j}]"), what);
            }
        }
    }
}
