//! The Secret with the configuration file. It is a Secret because it says who may pass without a login.

use crate::object::{KEYS_IN, kept};
use crate::spec::{ValidSpec, name};
use k8s_openapi::ByteString;
use proxy_config::Version;
use serde_json::{Value, json};

/// The key carries the version of the format, so that one for another version can stand beside it.
pub(super) fn build(spec: &ValidSpec, text: &str) -> Value {
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
        "data": {Version::V1.file_name(): ByteString(text.as_bytes().to_vec())},
    })
}
