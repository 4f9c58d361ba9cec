//! What a pod fixes for its proxy on the command line: the ports that its specification, its probes and Services name.
//!
//! They stand above the generated file at start and at every reload, because one file serves pods with different ports,
//! and because a pod keeps its ports when the file has moved on.

use proxy_config::{Address, Config, Duration, Listener, Target, Upstream};

/// Ports from the command line; absent: as the file says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PodPorts {
    /// `--listen-port`: of the plain listener.
    pub(crate) listen: Option<u16>,
    /// `--admin-port`: of the admin listener.
    pub(crate) admin: Option<u16>,
    /// `--application-port`: of the application in the same pod, to which everything goes then.
    pub(crate) application: Option<u16>,
}

impl PodPorts {
    /// Puts the ports into a configuration.
    pub(crate) fn apply(self, config: &mut Config) {
        set(&mut config.listeners.http, self.listen);
        set(&mut config.listeners.admin, self.admin);
        if let Some(port) = self.application {
            config.upstreams = vec![application(port)];
        }
    }
}

fn set(listener: &mut Option<Listener>, port: Option<u16>) {
    let Some(port) = port else { return };
    let host = match listener {
        Some(Listener { address: Address::Tcp { host, .. } }) => host.clone(),
        _ => String::new(),
    };
    *listener = Some(Listener { address: Address::Tcp { host, port } });
}

/// No time limit on the answer: without the proxy there was none either.
fn application(port: u16) -> Upstream {
    Upstream {
        id: "application".to_owned(),
        path: "/".to_owned(),
        rewrite_target: None,
        reuse_after_body: true,
        target: Target::Http {
            uri: format!("http://127.0.0.1:{port}"),
            insecure_skip_tls_verify: false,
            pass_host_header: true,
            proxy_web_sockets: true,
            timeout: Duration::ZERO,
        },
    }
}
