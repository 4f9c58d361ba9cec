//! Pieces of the schema that the derive macros can not make, and the removal of what the API server would warn of.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value;

/// The schema of a length of time such as `1h30m`.
///
/// A subset of what both CEL's `duration()` and the proxy's own parser read.
pub(crate) fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 32, "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"})
}

/// Takes out the `format` of integers other than the two that Kubernetes knows, which it answers with a warning on each
/// apply of the manifest. The bounds stay.
pub(crate) fn strip_integer_formats(value: &mut Value) {
    match value {
        Value::Object(map) => {
            let foreign = map.get("type").is_some_and(|t| t == "integer")
                && map.get("format").is_some_and(|f| f != "int32" && f != "int64");
            if foreign {
                map.remove("format");
            }
            map.values_mut().for_each(strip_integer_formats);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_integer_formats),
        _ => {}
    }
}
