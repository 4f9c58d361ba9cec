//! The operator as a process against a real API server. Pods are not needed here: what runs in them is the cluster tests'.

mod bad_input;
mod chart;
mod events;
mod examples;
mod excluded;
mod leadership;
mod levels;
mod objects;
mod repairs;
mod rollback;
mod secrets;
mod services;
mod stage;

/// An object with a client secret, and `more` below its `spec`.
fn object(name: &str, more: &str) -> String {
    format!(
        "
apiVersion: oauth2proxy.dev/v1alpha1
kind: OAuth2Proxy
metadata: {{name: {name}}}
spec:
  provider:
    issuerURL: https://id.example.com
    clientID: shop
    clientSecretRef: {{name: shop-oidc, key: client-secret}}
  access: {{emailDomains: [example.com]}}
{more}"
    )
}

/// The Secret that [`object`] names.
const CLIENT_SECRET: &str = "
apiVersion: v1
kind: Secret
metadata: {name: shop-oidc}
stringData: {client-secret: s3cret}
";
