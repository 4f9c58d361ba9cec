//! An identity of its own for the stand-alone proxy: it has no rights, and the `default` one may have some.

use crate::object::metadata;
use crate::spec::{ValidSpec, name};
use serde_json::{Value, json};

pub(super) fn build(spec: &ValidSpec) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(spec, &name::standalone(&spec.name)),
        "automountServiceAccountToken": false,
    })
}
