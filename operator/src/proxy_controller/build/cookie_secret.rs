//! The Secret with the keys that seal sessions.

use crate::object::kept;
use crate::proxy_controller::ring::FIRST;
use crate::proxy_controller::validate::ValidatedProxy;
use crate::spec::name;
use serde_json::{Value, json};

/// The Secret without its key; none if it exists or is the user's to make.
pub(super) fn build(proxy: &ValidatedProxy) -> Option<Value> {
    let spec = &proxy.spec;
    let name = name::cookie_secret(&spec.name, &spec.spec);
    let wanted =
        spec.spec.session.cookie.secret_ref.is_none() && proxy.found.secret(&name).is_none();
    wanted.then(|| {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": kept(spec, &name),
            "type": "Opaque",
        })
    })
}

/// Puts the first key in. Apart from the builder, which has no chance in it.
pub(in crate::proxy_controller) fn with_new_key(mut secret: Value, key: &str) -> Value {
    if let Some(fields) = secret.as_object_mut() {
        fields.insert("stringData".to_owned(), json!({FIRST: key}));
    }
    secret
}
