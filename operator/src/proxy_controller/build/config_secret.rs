//! The Secret with the configuration file. It is a Secret because it says who may pass without a login.

use crate::object::{KEYS_IN, kept};
use crate::spec::{ValidSpec, name};
use k8s_openapi::ByteString;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The names of entries carry version and level of the format: what each proxy can read is decided in `entries`.
pub(super) fn build(spec: &ValidSpec, texts: &BTreeMap<String, String>) -> Value {
    let data: BTreeMap<_, _> =
        texts.iter().map(|(name, text)| (name, ByteString(text.as_bytes().to_vec()))).collect();
    let mut metadata = kept(spec, &name::config_secret(&spec.name));
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        let keys = name::cookie_secret(&spec.name, &spec.spec);
        annotations.insert(KEYS_IN.to_owned(), Value::String(keys));
    }
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": "Opaque",
        "data": data,
    })
}
