//! A secret by reference, or a value that came from a flag and can not be written out again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Where a secret is. In a configuration file always `{"file": "/path"}`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Secret {
    /// The content of this file. A single line break at its end does not belong to the secret.
    File(PathBuf),
    /// The secret itself, from a flag or an environment variable. Never read from nor written to a file.
    #[serde(skip)]
    Value(Zeroizing<String>),
}

impl Secret {
    /// A secret that was given as a value.
    #[must_use]
    pub fn value(text: impl Into<String>) -> Self {
        Self::Value(Zeroizing::new(text.into()))
    }

    /// The file, if the secret is in one.
    #[must_use]
    pub fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::File(path) => Some(path),
            Self::Value(_) => None,
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Value(_) => f.write_str("Value(***)"),
        }
    }
}
