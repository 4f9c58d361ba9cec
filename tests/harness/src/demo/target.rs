//! Which cluster the demo goes to, and with which kubectl and helm.

use std::path::PathBuf;
use std::process::Command;

use launcher::machine::in_path;

use crate::cache::Cache;
use crate::cluster::Cluster;
use crate::components::{self, Module};
use crate::demo::{NAMESPACE, OPERATOR_NAMESPACE};
use crate::error::{Error, Result};
use crate::program::{program, run};
use crate::report::Report;

/// The cluster and the tools for it.
#[derive(Debug)]
pub(crate) enum Target {
    /// A cluster of the harness.
    Cluster { cluster: Cluster, tools: Tools },
    /// A context of the person's own kubeconfig.
    Context { context: String, tools: Tools },
}

/// The programs.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    kubectl: PathBuf,
    helm: PathBuf,
}

impl Target {
    pub(crate) fn of_cluster(cluster: Cluster, cache: &Cache, report: &Report) -> Result<Self> {
        let tools = Tools {
            kubectl: components::ensure(Module::Kubernetes, cache, report)?.join("kubectl"),
            helm: components::ensure(Module::Helm3, cache, report)?.join("helm"),
        };
        Ok(Self::Cluster { cluster, tools })
    }

    /// The context, with the person's own tools where there are any.
    pub(crate) fn of_context(context: &str, cache: &Cache, report: &Report) -> Result<Self> {
        let kubectl = match in_path("kubectl") {
            Some(found) => found,
            None => components::ensure(Module::Kubernetes, cache, report)?.join("kubectl"),
        };
        let helm = match in_path("helm") {
            Some(found) => found,
            None => components::ensure(Module::Helm3, cache, report)?.join("helm"),
        };
        let target = Self::Context { context: context.to_owned(), tools: Tools { kubectl, helm } };
        report.step(&format!("reach the cluster of the context {context}"), || {
            run(target.kubectl().args(["get", "--raw", "/readyz"])).map_err(|error| {
                Error::Need(format!(
                    "DEMO_CONTEXT={context}: its API server does not answer; `kubectl config get-contexts` lists what there is\n{error}"
                ))
            })
        })?;
        Ok(target)
    }

    fn tools(&self) -> &Tools {
        match self {
            Self::Cluster { tools, .. } | Self::Context { tools, .. } => tools,
        }
    }

    /// kubectl for this cluster.
    pub(crate) fn kubectl(&self) -> Command {
        let mut command = program::<&str>(&self.tools().kubectl, []);
        match self {
            Self::Cluster { cluster, .. } => {
                command.arg("--kubeconfig").arg(cluster.state().kubeconfig());
            }
            Self::Context { context, .. } => {
                command.arg("--context").arg(context);
            }
        }
        command
    }

    /// helm for this cluster. It writes nothing to the person's home.
    pub(crate) fn helm(&self) -> Command {
        let mut command = program::<&str>(&self.tools().helm, []);
        match self {
            Self::Cluster { cluster, .. } => {
                command.arg("--kubeconfig").arg(cluster.state().kubeconfig());
                let home = cluster.state().path("helm");
                for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
                    command.env(name, &home);
                }
            }
            Self::Context { context, .. } => {
                command.arg("--kube-context").arg(context);
            }
        }
        command
    }

    /// What a person enters once, and from then on kubectl as they type it.
    pub(crate) fn shown(&self) -> (Vec<String>, String) {
        let mut once = Vec::new();
        let mut kubectl = "kubectl".to_owned();
        match self {
            Self::Cluster { cluster, .. } => {
                once.push(format!("export KUBECONFIG={}", cluster.state().kubeconfig().display()));
            }
            Self::Context { context, .. } => kubectl = format!("kubectl --context {context}"),
        }
        if in_path("kubectl").is_none() {
            let folder = self.tools().kubectl.with_file_name("");
            once.push(format!("export PATH=$PATH:{}", folder.display()));
        }
        (once, format!("{kubectl} -n {NAMESPACE}"))
    }

    /// Whether somebody else installed the operator here.
    pub(crate) fn has_foreign_operator(&self) -> Result<bool> {
        let named = |kind: &str, name: &str| {
            let args = ["get", kind, name, "--ignore-not-found", "--output=name"];
            run(self.kubectl().args(args)).map(|found| !found.trim().is_empty())
        };
        Ok(named("customresourcedefinition", "oauth2proxies.oauth2proxy.dev")?
            && !named("namespace", OPERATOR_NAMESPACE)?)
    }
}
