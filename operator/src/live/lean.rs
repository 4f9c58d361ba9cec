//! A live object as it is, but for the greater half of an answer that nobody reads: who manages which field. Of that only what
//! decisions ask for is kept, and the rest never becomes values.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::{Map, Value};
use std::fmt;

/// What is kept of a value.
#[derive(Clone, Copy)]
enum Keep {
    /// All of it.
    Whole,
    /// Of a map all, and of these members only so much.
    But(&'static [(&'static str, Self)]),
    /// Of a map only these members.
    Only(&'static [(&'static str, Self)]),
    /// Of a list so much of each.
    Each(&'static Self),
}

/// Whoever reads more of `managedFields` than this adds it here.
const OBJECT: Keep =
    Keep::But(&[("metadata", Keep::But(&[("managedFields", Keep::Each(&MANAGER))]))]);
const MANAGER: Keep = Keep::Only(&[
    ("manager", Keep::Whole),
    ("operation", Keep::Whole),
    ("fieldsV1", Keep::Only(&[("f:metadata", METADATA), ("f:spec", SPEC)])),
]);
const METADATA: Keep = Keep::Only(&[(
    "f:annotations",
    Keep::Only(&[
        ("f:oauth2proxy.dev/inject", Keep::Whole),
        ("f:oauth2proxy.dev/traffic", Keep::Whole),
    ]),
)]);
const SPEC: Keep = Keep::Only(&[
    ("f:ports", Keep::Only(&[])),
    ("f:template", Keep::Only(&[("f:spec", Keep::Only(&[("f:imagePullSecrets", Keep::Whole)]))])),
]);

/// A live object.
#[derive(Debug)]
pub(super) struct Lean(pub(super) Value);

impl<'de> Deserialize<'de> for Lean {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        OBJECT.deserialize(from).map(Self)
    }
}

impl<'de> DeserializeSeed<'de> for Keep {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        match self {
            Self::Whole => Value::deserialize(from),
            Self::But(_) | Self::Only(_) | Self::Each(_) => from.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Keep {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of the API server")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let each = if let Self::Each(each) = self { *each } else { Self::Whole };
        let mut all = Vec::new();
        while let Some(value) = from.next_element_seed(each)? {
            all.push(value);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(name) = from.next_key::<String>()? {
            let named = |members: &'static [(&'static str, Self)]| {
                members.iter().find(|(member, _)| *member == name).map(|(_, keep)| *keep)
            };
            let keep = match self {
                Self::Whole | Self::Each(_) => Some(Self::Whole),
                Self::But(members) => Some(named(members).unwrap_or(Self::Whole)),
                Self::Only(members) => named(members),
            };
            match keep {
                Some(keep) => {
                    let value = from.next_value_seed(keep)?;
                    all.insert(name, value);
                }
                None => {
                    from.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: &Value) -> Value {
        serde_json::from_str::<Lean>(&value.to_string()).unwrap().0
    }

    #[test]
    fn everything_but_the_managers_of_fields_is_as_it_was() {
        for object in [
            json!({"metadata": {"name": "web", "labels": {"managedFields": "x"}, "generation": 3}, "spec": {
                "template": {"metadata": {"annotations": null}}, "list": [1, -2, 0.5, "a", [true], {"a": {}}],
            }}),
            json!({"metadata": {"managedFields": null}}),
            json!({"metadata": null, "status": {"metadata": {"managedFields": [{"time": "now"}]}}}),
            json!({"metadata": {"managedFields": []}, "items": []}),
        ] {
            assert_eq!(read(&object), object);
        }
    }

    #[test]
    fn of_the_managers_what_is_asked_for_is_left() {
        let secrets = json!({"k:{\"name\":\"a\"}": {".": {}, "f:name": {}}});
        let object = json!({"metadata": {"name": "web", "managedFields": [{
            "manager": "helm", "operation": "Update", "apiVersion": "apps/v1", "time": "2026-01-01T00:00:00Z",
            "fieldsV1": {"f:metadata": {"f:labels": {".": {}}, "f:annotations": {
                ".": {}, "f:other": {}, "f:oauth2proxy.dev/inject": {}, "f:oauth2proxy.dev/traffic": {},
            }}, "f:spec": {
                "f:replicas": {}, "f:ports": {"k:{\"port\":80}": {".": {}}},
                "f:template": {"f:metadata": {}, "f:spec": {"f:containers": {"a": {}}, "f:imagePullSecrets": secrets}},
            }},
        }]}});
        let left = json!({"metadata": {"name": "web", "managedFields": [{
            "manager": "helm", "operation": "Update",
            "fieldsV1": {"f:metadata": {"f:annotations": {
                "f:oauth2proxy.dev/inject": {}, "f:oauth2proxy.dev/traffic": {},
            }}, "f:spec": {"f:ports": {}, "f:template": {"f:spec": {"f:imagePullSecrets": secrets}}}},
        }]}});
        assert_eq!(read(&object), left);
    }

    #[test]
    fn what_is_no_object_is_an_error() {
        for text in ["", "{", "\"a\"", "3", "{\"metadata\": 3}"] {
            assert!(serde_json::from_str::<Lean>(text).is_err(), "{text}");
        }
    }
}
