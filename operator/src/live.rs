//! The API server as the controllers of workloads and Services see it: live objects, never from a cache, and the few writes.
//!
//! As raw JSON, since that is what the decisions work on, which a webhook hands them too; `Api<DynamicObject>` would take each
//! apart and put it together again. A missing object is `None`; every other failure is an error, so that "could not ask" is
//! never taken for "is not there".

mod lean;

use crate::object::{FIELD_MANAGER, is_name, patch_parameters};
use crate::workload::Kind;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use kube::api::{DeleteParams, GetParams, ListParams, Patch, PatchParams, Preconditions};
use kube::core::{ApiResource, DynamicObject, Request, Status};
use kube::{Client, Error, Resource as _};
use lean::Lean;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Objects of one answer: it is read as a whole before it is taken apart, and an object may have a MiB and a half.
const PAGE: u32 = 50;

/// Collections of one namespace.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Collection {
    /// Workloads of a kind.
    Workloads(Kind),
    /// `v1` Services.
    Services,
    /// `v1` Pods.
    Pods,
    /// `discovery.k8s.io/v1` `EndpointSlices`.
    EndpointSlices,
    /// `apps/v1` `ReplicaSets`.
    ReplicaSets,
}

impl Collection {
    fn resource(self) -> ApiResource {
        match self {
            Self::Workloads(kind) => kind.resource(),
            Self::Services => ApiResource::erase::<Service>(&()),
            Self::Pods => ApiResource::erase::<Pod>(&()),
            Self::EndpointSlices => ApiResource::erase::<EndpointSlice>(&()),
            Self::ReplicaSets => ApiResource::erase::<ReplicaSet>(&()),
        }
    }
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
    pub(crate) async fn get(
        &self,
        collection: Collection,
        name: &str,
    ) -> Result<Option<Value>, Error> {
        if !is_name(name) {
            return Ok(None);
        }
        let request = self
            .request(collection)
            .get(name, &GetParams::default())
            .map_err(Error::BuildRequest)?;
        absent_is_none(self.client.request::<Lean>(request).await.map(|object| object.0))
    }

    /// All objects with these labels.
    pub(crate) async fn list<T>(
        &self,
        collection: Collection,
        labels: &str,
    ) -> Result<Vec<T>, Error>
    where
        T: DeserializeOwned,
    {
        let mut parameters = ListParams::default().limit(PAGE);
        if !labels.is_empty() {
            parameters = parameters.labels(labels);
        }
        let mut all = Vec::new();
        loop {
            let request =
                self.request(collection).list(&parameters).map_err(Error::BuildRequest)?;
            let List { items, metadata } = self.client.request::<List<T>>(request).await?;
            all.extend(items);
            match metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => return Ok(all),
            }
        }
    }

    /// Server-side apply. `force` takes fields over from others.
    pub(crate) async fn apply(
        &self,
        collection: Collection,
        name: &str,
        body: &Value,
        force: bool,
    ) -> Result<Applied, Error> {
        let mut parameters = PatchParams::apply(FIELD_MANAGER);
        parameters.force = force;
        match self.send(collection, name, &parameters, &Patch::Apply(body)).await {
            Err(Error::Api(status)) if status.code == 409 && !conflicts(&status).is_empty() => {
                Ok(Applied::Conflict(conflicts(&status)))
            }
            result => result.map(Applied::Done),
        }
    }

    /// JSON patch (RFC 6902) whose tests make it fail if the object has changed: `None` then, to be decided anew.
    pub(crate) async fn patch(
        &self,
        collection: Collection,
        name: &str,
        operations: &Value,
    ) -> Result<Option<Value>, Error> {
        let operations = serde_json::from_value(operations.clone()).map_err(Error::SerdeError)?;
        let patch: Patch<Value> = Patch::Json(operations);
        match self.send(collection, name, &patch_parameters(), &patch).await {
            Err(Error::Api(status))
                if status.code == 409 || (status.code == 422 && tests_failed(&status)) =>
            {
                Ok(None)
            }
            result => result.map(Some),
        }
    }

    /// Deletes the object if it is still this one.
    pub(crate) async fn delete(&self, collection: Collection, object: &Value) -> Result<(), Error> {
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
        let request =
            self.request(collection).delete(&name, &parameters).map_err(Error::BuildRequest)?;
        absent_is_none(self.client.request::<IgnoredAny>(request).await).map(drop)
    }

    async fn send(
        &self,
        collection: Collection,
        name: &str,
        parameters: &PatchParams,
        patch: &Patch<impl serde::Serialize + std::fmt::Debug>,
    ) -> Result<Value, Error> {
        let request =
            self.request(collection).patch(name, parameters, patch).map_err(Error::BuildRequest)?;
        self.client.request::<Lean>(request).await.map(|object| object.0)
    }

    fn request(&self, collection: Collection) -> Request {
        Request::new(DynamicObject::url_path(&collection.resource(), Some(self.namespace)))
    }
}

/// A list; one without items is an error, and never taken for an empty one.
#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct List<T> {
    #[serde(deserialize_with = "items")]
    items: Vec<T>,
    #[serde(default)]
    metadata: ListMeta,
}

/// An empty list is written as null by some servers.
fn items<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

fn absent_is_none<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
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
