//! Which namespaces this operator looks after.

use kube::core::NamespaceResourceScope;
use kube::{Api, Client, Resource};

/// One set of watches: all namespaces, or one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All namespaces, with rights on the cluster.
    Cluster,
    /// One namespace, with rights in it alone.
    Namespace(String),
}

impl Scope {
    /// The API of a namespaced kind in this scope.
    pub(crate) fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        match self {
            Self::Cluster => Api::all(client.clone()),
            Self::Namespace(name) => Api::namespaced(client.clone(), name),
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cluster => f.write_str("the cluster"),
            Self::Namespace(name) => write!(f, "namespace {name}"),
        }
    }
}
