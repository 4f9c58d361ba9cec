//! What the operator asked of the API server, by the API server's own audit log.

use crate::Outcome;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::PathBuf;
use tests::cluster::Cluster;

/// The log of a cluster of which only service accounts are recorded; there is one that works here, the operator's.
pub(crate) struct Audit(PathBuf);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    verb: String,
    #[serde(rename = "requestURI", default)]
    uri: String,
    object_ref: Option<Object>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Object {
    namespace: String,
    name: String,
    resource: String,
    subresource: String,
}

/// How many requests there were, by verb and resource, and how often each thing was written.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    all: BTreeMap<(String, String), u64>,
    written: BTreeMap<String, u64>,
}

impl Audit {
    pub(crate) fn of(cluster: &Cluster) -> Self {
        Self(cluster.kubeconfig().with_file_name("log").join("audit.json"))
    }

    /// Bytes so far: a mark for [`Self::since`].
    pub(crate) fn length(&self) -> Outcome<u64> {
        Ok(std::fs::metadata(&self.0)?.len())
    }

    /// The requests that ended since a mark.
    pub(crate) fn since(&self, mark: u64) -> Outcome<Requests> {
        self.read(mark, |_| true)
    }

    /// Those of them that are about one namespace, or about all.
    pub(crate) fn within(&self, namespace: &str, mark: u64) -> Outcome<Requests> {
        self.read(mark, |object| object.namespace == namespace || object.namespace.is_empty())
    }

    fn read(&self, mark: u64, wanted: impl Fn(&Object) -> bool) -> Outcome<Requests> {
        if self.length()? < mark {
            return Err("the audit log was begun anew: its counts are lost".into());
        }
        let mut file = File::open(&self.0)?;
        file.seek(SeekFrom::Start(mark))?;
        let mut requests = Requests::default();
        for line in BufReader::new(file).lines() {
            let Ok(event) = serde_json::from_str::<Event>(&line?) else { continue };
            let object = event.object_ref.as_ref();
            if object.is_none_or(&wanted) {
                requests.add(event);
            }
        }
        Ok(requests)
    }
}

impl Requests {
    fn add(&mut self, Event { verb, uri, object_ref }: Event) {
        let object = object_ref.unwrap_or_default();
        let mut resource = match object.subresource.as_str() {
            "" => object.resource,
            subresource => format!("{}/{subresource}", object.resource),
        };
        if is_write(&verb, &resource) && !object.name.is_empty() {
            *self.written.entry(format!("{resource} {}", object.name)).or_default() += 1;
        }
        // Not a collection: the few pods that one selector names, which no watch keeps.
        if verb == "list" && !object.namespace.is_empty() && uri.contains("labelSelector=") {
            resource.push_str(" of a selector");
        }
        *self.all.entry((verb, resource)).or_default() += 1;
    }

    fn of(&self, wanted: impl Fn(&str, &str) -> bool) -> u64 {
        let fits = |((verb, resource), _): &(&(String, String), &u64)| wanted(verb, resource);
        self.all.iter().filter(fits).map(|(_, count)| count).sum()
    }

    /// All but those that last: watches.
    pub(crate) fn all(&self) -> u64 {
        self.of(|verb, _| verb != "watch")
    }

    /// Writes, renewals of the Lease left out.
    pub(crate) fn writes(&self) -> u64 {
        self.of(is_write)
    }

    /// Writes of events.
    pub(crate) fn events(&self) -> u64 {
        self.of(|verb, resource| is_write(verb, resource) && resource == "events")
    }

    /// What was written most often, statuses of objects left out, and how often that was.
    pub(crate) fn most_written(&self) -> (&str, u64) {
        let things = self.written.iter().filter(|(thing, _)| !thing.contains("/status "));
        let most = things.max_by_key(|(_, count)| **count);
        most.map_or(("nothing", 0), |(thing, count)| (thing, *count))
    }

    /// Renewals of the Lease, with what is read for them.
    pub(crate) fn leases(&self) -> u64 {
        self.of(|_, resource| resource == "leases")
    }

    /// Lists of whole collections, as long as there are things.
    pub(crate) fn lists(&self) -> u64 {
        self.of(|verb, resource| verb == "list" && !resource.ends_with(" of a selector"))
    }

    /// Lists of the pods of one workload or Service.
    pub(crate) fn looks(&self) -> u64 {
        self.of(|verb, resource| verb == "list" && resource.ends_with(" of a selector"))
    }

    /// Each kind with its count, those of the Lease left out.
    pub(crate) fn lines(&self) -> Vec<String> {
        let own =
            self.all.iter().filter(|((verb, resource), _)| verb != "watch" && resource != "leases");
        own.map(|((verb, resource), count)| format!("{count} {verb} {resource}")).collect()
    }
}

fn is_write(verb: &str, resource: &str) -> bool {
    ["create", "update", "patch", "delete"].contains(&verb) && resource != "leases"
}
