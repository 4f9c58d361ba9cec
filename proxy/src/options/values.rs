//! The values of all options after flags, environment, file and defaults are laid over each other.

use super::row::{Row, Support};
use super::supported::SUPPORTED;
use super::unsupported::UNSUPPORTED;
use super::value::Value;
use proxy_config::Problems;
use std::collections::BTreeMap;

/// All options that oauth2-proxy v7.15.3 knows, and ours.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    SUPPORTED.iter().chain(UNSUPPORTED)
}

/// The values set in one source, or in several laid over each other, by key.
#[derive(Clone, Default)]
pub(crate) struct Values(BTreeMap<&'static str, Value>);

impl Values {
    /// Sets the value of `row`; the last one wins.
    pub(crate) fn set(&mut self, row: &'static Row, value: Value) {
        self.0.insert(row.key, value);
    }

    /// Appends to a list that this source has set already, else replaces what is below.
    pub(crate) fn append(&mut self, row: &'static Row, items: Vec<String>) {
        match self.0.get_mut(row.key) {
            Some(Value::List(list)) => list.extend(items),
            _ => self.set(row, Value::List(items)),
        }
    }

    /// The value of `key`, if it was set.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// Lays `self` over `lower`.
    pub(crate) fn over(self, mut lower: Self) -> Self {
        lower.0.extend(self.0);
        lower
    }

    /// The value of `key`, or its default.
    pub(crate) fn take(&mut self, key: &str) -> Value {
        let set = self.0.remove(key);
        set.or_else(|| rows().find(|row| row.key == key).map(default))
            .unwrap_or(Value::List(Vec::new()))
    }

    /// Notes every option that is set to something that is not supported.
    pub(crate) fn refuse_unsupported(&self, problems: &mut Problems) {
        for row in UNSUPPORTED {
            let Some(value) = self.get(row.key) else { continue };
            let message = match row.support {
                Support::Field(_) => continue,
                Support::Later => {
                    "this option is not supported yet; leave it out or at its default".to_owned()
                }
                Support::Never(reason) => format!("this value is refused for safety: {reason}"),
            };
            if *value != default(row) {
                problems.add(row.flag, message);
            }
        }
    }
}

/// The default of `row`.
pub(crate) fn default(row: &Row) -> Value {
    Value::scalar(row.kind, row.default).unwrap_or(Value::List(Vec::new()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_default_is_a_value_of_its_type() {
        for row in rows() {
            assert!(Value::scalar(row.kind, row.default).is_ok(), "{}: {:?}", row.key, row.default);
        }
    }

    #[test]
    fn keys_are_unique_and_every_option_of_oauth2_proxy_is_known() {
        let keys: BTreeSet<_> = rows().map(|row| row.key).collect();
        assert_eq!(keys.len(), rows().count());
        let own = SUPPORTED.iter().filter(|row| row.group == super::super::row::Group::Own).count();
        assert_eq!(rows().count() - own, 168, "v7.15.3 has 168 options with a key");
    }
}
