//! The Secret with the configuration file. It is a Secret because it says who may pass without a login.

use crate::object::kept;
use crate::spec::{ValidSpec, name};
use k8s_openapi::ByteString;
use proxy_config::Version;
use serde_json::{Value, json};

/// The key carries the version of the format, so that one for another version can stand beside it.
pub(super) fn build(spec: &ValidSpec, text: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": kept(spec, &name::config_secret(&spec.name)),
        "type": "Opaque",
        "data": {Version::V1.file_name(): ByteString(text.as_bytes().to_vec())},
    })
}
