//! What was in the Secrets and config maps that each object was reconciled with. Compared with that, and not with what was
//! seen in the round before, so that no change slips in between.
//!
//! Contents are kept as a digest under a key of this process, never as they are: who touches the metadata of a Secret every
//! minute changes nothing for anybody.

use crate::report::Guarded;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use kube::runtime::reflector::ObjectRef;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Kinds that an object can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A Secret.
    Secret,
    /// A `ConfigMap`.
    ConfigMap,
}

/// Something that an object names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reference {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
}

/// What was seen of something that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// Changes with everything, metadata included.
    pub(crate) resource: Option<String>,
    /// Changes with the contents.
    pub(crate) digest: String,
}

/// What the last reconcile of each object saw of each reference.
#[derive(Clone)]
pub(crate) struct Seen {
    /// None if the system gave no chance: then every look is a change.
    key: Option<Arc<hmac::Key>>,
    known: Arc<Mutex<Versions>>,
}

/// What each object was reconciled with, by what it names; none: there was nothing of that name.
type Versions = HashMap<Reference, HashMap<ObjectRef<Guarded>, Option<Version>>>;

impl Default for Seen {
    fn default() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Self { key: key.ok().map(Arc::new), known: Arc::default() }
    }
}

impl Seen {
    /// A text that changes with the entries, and says nothing about them to anybody else.
    pub(crate) fn digest<'a>(&self, entries: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
        let Some(key) = &self.key else { return crate::random::number().to_string() };
        let mut context = hmac::Context::with_key(key);
        for (name, value) in entries {
            // With their lengths, so that no two lists of entries are the same bytes.
            for part in [name.as_bytes(), value] {
                context.update(&part.len().to_be_bytes());
                context.update(part);
            }
        }
        let mut text = String::new();
        for byte in context.sign().as_ref().iter().take(16) {
            // A String takes everything.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// Notes what a reconcile saw; no version: it does not exist.
    pub(crate) fn note(
        &self,
        object: &ObjectRef<Guarded>,
        reference: Reference,
        version: Option<Version>,
    ) {
        self.lock().entry(reference).or_default().insert(object.clone(), version);
    }

    /// Whether an object was reconciled with anything else than what has this resource version.
    pub(crate) fn may_differ(
        &self,
        object: &ObjectRef<Guarded>,
        reference: &Reference,
        resource: Option<&str>,
    ) -> bool {
        self.lock().get(reference).and_then(|objects| objects.get(object)).is_some_and(|seen| {
            seen.as_ref().map(|seen| seen.resource.as_deref()) != resource.map(Some)
        })
    }

    /// Whether an object was reconciled without what it names.
    pub(crate) fn is_missing(&self, reference: &Reference) -> bool {
        let known = self.lock();
        known.get(reference).is_some_and(|objects| objects.values().any(Option::is_none))
    }

    /// Whether an object was reconciled with other contents. Where they are the same, the version is noted.
    pub(crate) fn differs(
        &self,
        object: &ObjectRef<Guarded>,
        reference: &Reference,
        version: Option<&Version>,
    ) -> bool {
        let mut known = self.lock();
        let seen = known.get_mut(reference).and_then(|objects| objects.get_mut(object));
        let Some(seen) = seen else { return false };
        let digest = |version: Option<&Version>| version.map(|version| version.digest.clone());
        if digest(seen.as_ref()) != digest(version) {
            return true;
        }
        *seen = version.cloned();
        false
    }

    /// Forgets what no object names any more.
    pub(crate) fn retain(&self, named: &HashMap<Reference, Vec<ObjectRef<Guarded>>>) {
        self.lock().retain(|reference, known| {
            let objects = named.get(reference);
            known.retain(|object, _| objects.is_some_and(|objects| objects.contains(object)));
            !known.is_empty()
        });
    }

    fn lock(&self) -> MutexGuard<'_, Versions> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(seen: &Seen, resource: &str, value: &str) -> Version {
        let digest = seen.digest([("key", value.as_bytes())].into_iter());
        Version { resource: Some(resource.to_owned()), digest }
    }

    #[test]
    fn only_changed_contents_are_a_change() {
        let seen = Seen::default();
        let object = ObjectRef::new("main").within("shop");
        let reference =
            Reference { kind: Kind::Secret, namespace: "shop".to_owned(), name: "s".to_owned() };
        let differs = |resource: Option<&str>, value: &str| {
            let now = resource.map(|resource| version(&seen, resource, value));
            seen.may_differ(&object, &reference, resource)
                && seen.differs(&object, &reference, now.as_ref())
        };
        assert!(!differs(Some("1"), "a"), "no reconcile has seen it yet");
        seen.note(&object, reference.clone(), Some(version(&seen, "1", "a")));
        assert!(!differs(Some("1"), "a") && !differs(Some("2"), "a"));
        assert!(!seen.may_differ(&object, &reference, Some("2")), "it is not read twice");
        assert!(differs(Some("3"), "b") && differs(None, ""));
        seen.note(&object, reference.clone(), None);
        assert!(!differs(None, "") && differs(Some("4"), "a"));
    }

    #[test]
    fn digests_tell_entries_apart_and_mean_nothing_elsewhere() {
        let seen = Seen::default();
        let of = |entries: &[(&str, &str)]| {
            seen.digest(entries.iter().map(|(name, value)| (*name, value.as_bytes())))
        };
        assert_eq!(of(&[("a", "bc")]), of(&[("a", "bc")]));
        assert_ne!(of(&[("a", "bc")]), of(&[("ab", "c")]));
        assert_ne!(of(&[("a", "b"), ("c", "d")]), of(&[("a", "bcd")]));
        let other = Seen::default();
        assert_ne!(of(&[("a", "bc")]), other.digest([("a", b"bc".as_slice())].into_iter()));
    }
}
