//! A secret by reference, or a value that came from a flag and can not be written out again.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::fmt;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Where a secret is. In a configuration file always `{"file": "/path"}`.
#[derive(Clone, PartialEq, Eq, Serialize, JsonSchema)]
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

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reference)
    }
}

/// By hand, because the derived code repeats what it does not understand, and that may be the secret itself.
struct Reference;

impl<'de> Visitor<'de> for Reference {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"the file of the secret: {"file": "/path"}"#)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Secret, E> {
        Err(E::custom(r#"a secret is never in this file: write {"file": "/path"}"#))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Secret, A::Error> {
        match map.next_entry::<String, PathBuf>()? {
            Some((name, path)) if name == "file" => match map.next_key::<String>()? {
                None => Ok(Secret::File(path)),
                Some(name) => Err(A::Error::unknown_field(&name, &["file"])),
            },
            Some((name, _)) => Err(A::Error::unknown_field(&name, &["file"])),
            None => Err(A::Error::missing_field("file")),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_the_wrong_place_is_refused_and_not_repeated() {
        let file = serde_json::from_str::<Secret>(r#"{"file": "/run/key"}"#).ok();
        assert_eq!(file, Some(Secret::File("/run/key".into())));
        for json in [
            r#""hunter2""#,
            r#"{"value": "hunter2"}"#,
            r#"{"file": "/a", "value": "hunter2"}"#,
            "{}",
        ] {
            let error = serde_json::from_str::<Secret>(json).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
