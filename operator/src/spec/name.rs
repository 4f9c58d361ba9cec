//! Names of the objects that are made for an `OAuth2Proxy`. They are part of the interface: users write them into Ingresses
//! and backups.

use crds::OAuth2ProxySpec;

/// The Secret with the configuration file.
pub(crate) fn config_secret(object: &str) -> String {
    format!("{object}-config")
}

/// The Secret with the keys that seal sessions: the user's own, if one is named.
pub(crate) fn cookie_secret(object: &str, spec: &OAuth2ProxySpec) -> String {
    match &spec.session.cookie.secret_ref {
        Some(own) => own.name.clone(),
        None => own_cookie_secret(object),
    }
}

/// The Secret with the keys that we make.
pub(crate) fn own_cookie_secret(object: &str) -> String {
    format!("{object}-cookie")
}

/// Deployment, Service and `ServiceAccount` of the stand-alone proxy.
pub(crate) fn standalone(object: &str) -> String {
    format!("{object}-proxy")
}
