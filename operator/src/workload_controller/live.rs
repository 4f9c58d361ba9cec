//! The API server as the workload controller sees it: live objects as raw JSON, never from a cache, and the few writes.
//!
//! Raw, because a typed copy would drop fields that this build does not know. A missing object is `None`; every other
//! failure is an error, so that "could not ask" is never taken for "is not there".

use crate::object::FIELD_MANAGER;
use crate::object::is_name;
use kube::api::{DeleteParams, GetParams, ListParams, Patch, PatchParams, Preconditions};
use kube::core::{Request, Status};
use kube::{Client, Error};
use serde_json::Value;

/// Collections of one namespace.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// `apps/v1` Deployments.
    Deployment,
    /// `v1` Services.
    Service,
    /// `v1` Pods.
    Pod,
    /// `discovery.k8s.io/v1` `EndpointSlices`.
    EndpointSlice,
}

/// How a server-side apply ended.
#[derive(Debug)]
pub(crate) enum Applied {
    /// The object as it is now.
    Done(Value),
    /// Fields belong to others; one text for each, as the API server names them.
    Conflict(Vec<String>),
}

/// The live objects of one namespace.
#[derive(Clone)]
pub(crate) struct Live<'a> {
    client: &'a Client,
    namespace: &'a str,
}

impl<'a> Live<'a> {
    /// For one namespace.
    pub(crate) fn new(client: &'a Client, namespace: &'a str) -> Self {
        Self { client, namespace }
    }

    /// The object of this name. One that no object can have may come from an annotation, and is nothing to put into a path.
    pub(crate) async fn get(&self, kind: Kind, name: &str) -> Result<Option<Value>, Error> {
        if !is_name(name) {
            return Ok(None);
        }
        let request =
            self.request(kind).get(name, &GetParams::default()).map_err(Error::BuildRequest)?;
        absent_is_none(self.client.request::<Value>(request).await)
    }

    /// All objects with these labels.
    pub(crate) async fn list(&self, kind: Kind, labels: &str) -> Result<Vec<Value>, Error> {
        let parameters = if labels.is_empty() {
            ListParams::default()
        } else {
            ListParams::default().labels(labels)
        };
        let request = self.request(kind).list(&parameters).map_err(Error::BuildRequest)?;
        match self.client.request::<Value>(request).await?.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => Ok(items),
            // An empty list is written as null by some servers.
            Some(Value::Null) => Ok(Vec::new()),
            _ => {
                Err(Error::Api(Box::new(Status::failure("a list came without items", "Malformed"))))
            }
        }
    }

    /// Server-side apply. `force` takes fields over from others.
    pub(crate) async fn apply(
        &self,
        kind: Kind,
        name: &str,
        body: &Value,
        force: bool,
    ) -> Result<Applied, Error> {
        let mut parameters = PatchParams::apply(FIELD_MANAGER);
        parameters.force = force;
        match self.send(kind, name, &parameters, &Patch::Apply(body)).await {
            Err(Error::Api(status)) if status.code == 409 && !conflicts(&status).is_empty() => {
                Ok(Applied::Conflict(conflicts(&status)))
            }
            result => result.map(Applied::Done),
        }
    }

    /// JSON patch (RFC 6902) whose tests make it fail if the object has changed: `None` then, to be decided anew.
    pub(crate) async fn patch(
        &self,
        kind: Kind,
        name: &str,
        operations: &Value,
    ) -> Result<Option<Value>, Error> {
        let operations = serde_json::from_value(operations.clone()).map_err(Error::SerdeError)?;
        let patch: Patch<Value> = Patch::Json(operations);
        match self
            .send(
                kind,
                name,
                &PatchParams {
                    field_manager: Some(FIELD_MANAGER.to_owned()),
                    ..PatchParams::default()
                },
                &patch,
            )
            .await
        {
            Err(Error::Api(status))
                if status.code == 409 || (status.code == 422 && tests_failed(&status)) =>
            {
                Ok(None)
            }
            result => result.map(Some),
        }
    }

    /// Deletes the object if it is still this one.
    pub(crate) async fn delete(&self, kind: Kind, object: &Value) -> Result<(), Error> {
        let text =
            |pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let parameters = DeleteParams {
            preconditions: Some(Preconditions {
                uid: text("/metadata/uid"),
                resource_version: text("/metadata/resourceVersion"),
            }),
            ..DeleteParams::default()
        };
        let name = text("/metadata/name").unwrap_or_default();
        let request = self.request(kind).delete(&name, &parameters).map_err(Error::BuildRequest)?;
        absent_is_none(self.client.request::<Value>(request).await).map(drop)
    }

    async fn send(
        &self,
        kind: Kind,
        name: &str,
        parameters: &PatchParams,
        patch: &Patch<impl serde::Serialize + std::fmt::Debug>,
    ) -> Result<Value, Error> {
        let request =
            self.request(kind).patch(name, parameters, patch).map_err(Error::BuildRequest)?;
        self.client.request::<Value>(request).await
    }

    fn request(&self, kind: Kind) -> Request {
        let (group, plural) = match kind {
            Kind::Deployment => ("/apis/apps/v1", "deployments"),
            Kind::Service => ("/api/v1", "services"),
            Kind::Pod => ("/api/v1", "pods"),
            Kind::EndpointSlice => ("/apis/discovery.k8s.io/v1", "endpointslices"),
        };
        Request::new(format!("{group}/namespaces/{}/{plural}", self.namespace))
    }
}

fn absent_is_none(result: Result<Value, Error>) -> Result<Option<Value>, Error> {
    match result {
        Err(Error::Api(status)) if status.code == 404 => Ok(None),
        result => result.map(Some),
    }
}

/// The fields that belong to others, with their managers.
fn conflicts(status: &Status) -> Vec<String> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| format!("{} ({})", cause.field, cause.message))
        .collect()
}

/// The API server answers a failed test of a JSON patch with 422 and no cause, unlike an object that is not valid.
fn tests_failed(status: &Status) -> bool {
    status.details.as_ref().is_none_or(|details| details.causes.is_empty())
}
