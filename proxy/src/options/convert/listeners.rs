//! Addresses to listen on.

use super::choice;
use crate::options::supported::Options;
use proxy_config::{Address, Listener, Listeners, PlainListener, Problems, Secret};
use proxy_config::{TlsListener, TlsVersion};

pub(super) fn convert(options: &Options, problems: &mut Problems) -> Listeners {
    let tls = !options.tls_cert_file.is_empty() || !options.tls_key_file.is_empty();
    let plain = |text: &str, flag: &str, problems: &mut Problems| {
        address(text, "http://", flag, problems).map(|address| Listener { address })
    };
    if options.h2c && tls {
        problems.add("h2c", "it is for plain HTTP: leave it out, or --tls-cert-file");
    }
    let http = if tls { None } else { plain(&options.http_address, "http-address", problems) };
    Listeners {
        http: http.map(|Listener { address }| PlainListener { address, h2c: options.h2c }),
        https: if tls { https(options, problems) } else { None },
        admin: plain(&options.admin_address, "admin-address", problems),
        metrics: plain(&options.metrics_address, "metrics-address", problems),
    }
}

fn https(options: &Options, problems: &mut Problems) -> Option<TlsListener> {
    for (file, flag, other) in [
        (&options.tls_cert_file, "tls-cert-file", "tls-key-file"),
        (&options.tls_key_file, "tls-key-file", "tls-cert-file"),
    ] {
        if file.is_empty() {
            problems.add(flag, format!("missing setting: --{other} needs it"));
        }
    }
    let versions =
        [("", TlsVersion::Tls12), ("TLS1.2", TlsVersion::Tls12), ("TLS1.3", TlsVersion::Tls13)];
    Some(TlsListener {
        address: address(&options.https_address, "https://", "https-address", problems)?,
        certificate_file: options.tls_cert_file.clone().into(),
        key: Secret::File(options.tls_key_file.clone().into()),
        min_version: choice(&options.tls_min_version, &versions, "tls-min-version", problems)
            .unwrap_or_default(),
    })
}

/// None for an empty text and `-`, which switch the listener off, and for a mistake, which is noted.
fn address(text: &str, scheme: &str, flag: &str, problems: &mut Problems) -> Option<Address> {
    if text.is_empty() || text == "-" {
        return None;
    }
    if text.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("fd:")) {
        problems.add(
            flag,
            "inherited file descriptors are not supported yet: write host:port or unix:///path",
        );
        return None;
    }
    if text.starts_with("unix://") && text.contains(',') {
        problems.add(flag, "options of a unix socket are not supported yet: write unix:///path");
        return None;
    }
    super::parsed(text.strip_prefix(scheme).unwrap_or(text), flag, problems)
}
