//! Log lines, to standard error. What is logged holds names and versions, never the contents of a Secret.

use crate::args::LogFormat;
use tracing_subscriber::EnvFilter;

/// Starts logging.
///
/// # Errors
/// A filter that cannot be read.
pub(crate) fn start(filter: &str, format: LogFormat) -> Result<(), String> {
    let filter: EnvFilter = filter.parse().map_err(|error| {
        format!("--log-level {filter:?}: {error}: write error, warn, info or debug")
    })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Json => lines.json().flatten_event(true).init(),
        LogFormat::Text => lines.init(),
    }
    Ok(())
}
