//! Options from `OAUTH2_PROXY_*` variables. An empty variable counts as unset, unknown ones are left alone, because
//! Kubernetes makes such names for every Service called `oauth2-proxy`.

use super::value::Value;
use super::values::{Values, rows};
use proxy_config::Problems;

/// Reads the variables; problems name the variable.
pub(crate) fn parse(variables: &[(String, String)], problems: &mut Problems) -> Values {
    let mut values = Values::default();
    for (name, text) in variables.iter().filter(|(_, text)| !text.is_empty()) {
        let Some(row) = rows().find(|row| row.variable() == *name) else { continue };
        match Value::scalar(row.kind, text) {
            Ok(value) => values.set(row, value),
            Err(what) => problems.add(name, format!("{text:?} is {what}")),
        }
    }
    values
}

/// The names of the variables that set an option.
pub(crate) fn set(variables: &[(String, String)]) -> impl Iterator<Item = &str> {
    variables
        .iter()
        .filter(|(name, text)| !text.is_empty() && rows().any(|row| row.variable() == *name))
        .map(|(name, _)| name.as_str())
}
