//! Which namespaces this operator looks after.

use kube::core::NamespaceResourceScope;
use kube::runtime::watcher;
use kube::{Api, Client, Resource};

/// One set of watches: all namespaces, or one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All namespaces, with rights on the cluster.
    Cluster {
        /// But for these, where nothing is touched, whatever asks for it.
        except: Vec<String>,
    },
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
            Self::Cluster { .. } => Api::all(client.clone()),
            Self::Namespace(name) => Api::namespaced(client.clone(), name),
        }
    }

    /// What a watch of this scope asks for. The API server leaves out the namespaces that are not looked after, so that
    /// their objects are in no store.
    pub(crate) fn watch(&self) -> watcher::Config {
        match self {
            Self::Cluster { except } if !except.is_empty() => {
                let others: Vec<_> =
                    except.iter().map(|name| format!("metadata.namespace!={name}")).collect();
                watcher::Config::default().fields(&others.join(","))
            }
            _ => watcher::Config::default(),
        }
    }

    /// Whether a namespace is looked after.
    pub(crate) fn holds(&self, namespace: &str) -> bool {
        match self {
            Self::Cluster { except } => except.iter().all(|name| name != namespace),
            Self::Namespace(name) => name == namespace,
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cluster { .. } => f.write_str("the cluster"),
            Self::Namespace(name) => write!(f, "namespace {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_neither_watched_nor_held() {
        let all = Scope::Cluster { except: Vec::new() };
        assert!(all.holds("kube-system") && all.watch().field_selector.is_none());
        let most = Scope::Cluster { except: vec!["a".to_owned(), "b".to_owned()] };
        assert!(!most.holds("a") && !most.holds("b") && most.holds("c"));
        assert_eq!(
            most.watch().field_selector.as_deref(),
            Some("metadata.namespace!=a,metadata.namespace!=b")
        );
        let one = Scope::Namespace("a".to_owned());
        assert!(one.holds("a") && !one.holds("b"));
    }
}
