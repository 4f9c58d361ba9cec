//! Where the proxy listens.

use super::Problems;
use crate::{Address, Listeners};

pub(super) fn check(listeners: &Listeners, force_https: bool, problems: &mut Problems) {
    if listeners.http.is_none() && listeners.https.is_none() {
        problems.add("listeners", "missing setting: an http or https address to listen on");
    }
    problems.add_if(
        force_https && listeners.https.is_none(),
        "http.forceHttps",
        "there is no https listener to redirect to: give a certificate and a key, or leave this to the proxy in front",
    );
    if let Some(https) = &listeners.https {
        problems.add_if(
            matches!(https.address, Address::Unix(_)),
            "listeners.https.address",
            "TLS is spoken on TCP only: write host:port, or use listeners.http for a unix socket",
        );
        let empty = |path: &std::path::Path| path.as_os_str().is_empty();
        problems.add_if(
            empty(&https.certificate_file),
            "listeners.https.certificateFile",
            "missing setting: a PEM file with the certificate chain",
        );
        problems.add_if(
            https.key.file().is_some_and(|path| empty(path)),
            "listeners.https.key",
            "missing setting: a PEM file with the private key",
        );
    }
    collisions(listeners, problems);
}

fn collisions(listeners: &Listeners, problems: &mut Problems) {
    let all = listeners.each();
    for (i, (name, address)) in all.iter().enumerate() {
        let Some(address) = address else { continue };
        let taken =
            all.iter().take(i).filter_map(|(_, other)| *other).any(|other| other == *address);
        let any_port = matches!(address, Address::Tcp { port: 0, .. });
        let field = format!("listeners.{name}.address");
        problems.add_if(taken && !any_port, &field, "another listener has this address already");
    }
}
