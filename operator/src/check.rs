//! Looks at an installation and names what is missing: for `helm test` and for people.

use crate::rights::{RIGHTS, Rule};
use crate::scope::Scope;
use crds::OAuth2Proxy;
use jiff::Timestamp;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};

/// What to look at.
pub(crate) struct Installation<'a> {
    /// Namespaces that are looked after.
    pub(crate) scopes: &'a [Scope],
    /// Namespace of the operator.
    pub(crate) namespace: &'a str,
    /// Name of its Lease.
    pub(crate) lease: &'a str,
}

/// Everything that is missing, one line each; empty if nothing is.
pub(crate) async fn run(
    client: &Client,
    installation: &Installation<'_>,
    now: Timestamp,
) -> Vec<String> {
    let mut missing = Vec::new();
    for scope in installation.scopes {
        if let Err(error) =
            scope.api::<OAuth2Proxy>(client).list_metadata(&ListParams::default().limit(1)).await
        {
            missing.push(format!("OAuth2Proxy objects can not be listed in {scope}: {error}: is the definition installed?"));
        }
        let namespace = match scope {
            Scope::Cluster { .. } => None,
            Scope::Namespace(name) => Some(name.as_str()),
        };
        for rule in RIGHTS.work {
            missing.extend(refused(client, namespace, rule).await);
        }
    }
    missing.extend(lease(client, installation, now).await);
    missing
}

async fn lease(client: &Client, installation: &Installation<'_>, now: Timestamp) -> Option<String> {
    let api: Api<Lease> = Api::namespaced(client.clone(), installation.namespace);
    let name = installation.lease;
    let spec = match api.get_opt(name).await {
        Ok(Some(lease)) => lease.spec.unwrap_or_default(),
        Ok(None) => {
            return Some(format!(
                "Lease {name} does not exist: no replica of the operator has started"
            ));
        }
        Err(error) => return Some(format!("Lease {name} can not be read: {error}")),
    };
    let holder = spec.holder_identity.filter(|holder| !holder.is_empty());
    let duration = i64::from(spec.lease_duration_seconds.unwrap_or(0));
    let age = spec
        .renew_time
        .map_or(i64::MAX, |renewed| now.as_second().saturating_sub(renewed.0.as_second()));
    match holder {
        None => Some(format!("Lease {name} has no holder: no replica of the operator runs")),
        // Twice the duration, because clocks differ.
        Some(holder) if age > duration.saturating_mul(2) => Some(format!(
            "Lease {name} was last renewed {age} s ago by {holder}: look at that pod's log"
        )),
        Some(_) => None,
    }
}

/// The verbs of a rule that we do not have.
async fn refused(client: &Client, namespace: Option<&str>, rule: &Rule) -> Vec<String> {
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let mut refused = Vec::new();
    for group in rule.api_groups {
        for (resource, verb) in
            rule.resources.iter().flat_map(|r| rule.verbs.iter().map(move |v| (*r, *v)))
        {
            let (name, subresource) =
                resource.split_once('/').map_or((resource, None), |(n, s)| (n, Some(s.to_owned())));
            let attributes = ResourceAttributes {
                group: Some((*group).to_owned()),
                resource: Some(name.to_owned()),
                subresource,
                verb: Some(verb.to_owned()),
                namespace: namespace.map(str::to_owned),
                ..ResourceAttributes::default()
            };
            let review = SelfSubjectAccessReview {
                spec: SelfSubjectAccessReviewSpec {
                    resource_attributes: Some(attributes),
                    ..Default::default()
                },
                ..SelfSubjectAccessReview::default()
            };
            let allowed = api.create(&PostParams::default(), &review).await;
            let where_ = namespace
                .map_or_else(|| "the cluster".to_owned(), |name| format!("namespace {name}"));
            match allowed.map(|review| review.status.is_some_and(|status| status.allowed)) {
                Ok(true) => {}
                Ok(false) => refused
                    .push(format!("no right to {verb} {resource} of group {group:?} in {where_}")),
                Err(error) => refused
                    .push(format!("the right to {verb} {resource} can not be looked up: {error}")),
            }
        }
    }
    refused
}
