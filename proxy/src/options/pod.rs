//! What a pod fixes for its proxy on the command line: the ports that its specification, its probes and Services name.
//!
//! They stand above the generated file at start and at every reload, because one file serves pods with different ports,
//! and because a pod keeps its ports when the file has moved on.

use proxy_config::{
    Address, Application, Config, Duration, Listener, PlainListener, Target, Upstream,
};

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
        let listeners = &mut config.listeners;
        if let Some(port) = self.listen {
            let (before, h2c) = match listeners.http.take() {
                Some(PlainListener { address, h2c }) => (Some(address), h2c),
                None => (None, false),
            };
            listeners.http = Some(PlainListener { address: moved(before, port), h2c });
        }
        if let Some(port) = self.admin {
            let before = listeners.admin.take().map(|Listener { address }| address);
            listeners.admin = Some(Listener { address: moved(before, port) });
        }
        if let Some(port) = self.application {
            config.upstreams = vec![application(port, &config.application)];
        }
    }
}

fn moved(address: Option<Address>, port: u16) -> Address {
    let host = match address {
        Some(Address::Tcp { host, .. }) => host,
        Some(Address::Unix(_)) | None => String::new(),
    };
    Address::Tcp { host, port }
}

/// No time limit on the answer: without the proxy there was none either.
fn application(port: u16, known: &Application) -> Upstream {
    Upstream {
        id: "application".to_owned(),
        path: "/".to_owned(),
        rewrite_target: None,
        reuse_after_body: known.reuse_after_body,
        target: Target::Http {
            uri: format!("http://127.0.0.1:{port}"),
            insecure_skip_tls_verify: false,
            pass_host_header: true,
            proxy_web_sockets: true,
            timeout: Duration::ZERO,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_a_pod_change_nothing_else_of_a_listener() {
        let file = br#"{"version": "v1", "providers": [], "session": {"keys": []}, "listeners": {
            "http": {"address": "[::1]:1", "h2c": true}, "admin": {"address": "unix:///run/admin"}}}"#;
        let mut config = Config::parse(file).unwrap();
        PodPorts { listen: Some(2), admin: Some(3), application: None }.apply(&mut config);
        let http = config.listeners.http.unwrap();
        assert_eq!((http.address.to_string().as_str(), http.h2c), ("[::1]:2", true));
        assert_eq!(config.listeners.admin.unwrap().address.to_string(), ":3");
    }

    #[test]
    fn what_the_file_says_of_the_application_holds_for_it() {
        for (known, reused) in
            [("", true), (r#", "application": {"reuseAfterBody": false}"#, false)]
        {
            let file = format!(
                r#"{{"version": "v1", "providers": [], "session": {{"keys": []}}, "listeners": {{}}{known}}}"#
            );
            let mut config = Config::parse(file.as_bytes()).unwrap();
            PodPorts { application: Some(8080), ..PodPorts::default() }.apply(&mut config);
            assert_eq!(config.upstreams[0].reuse_after_body, reused, "{known}");
        }
    }
}
