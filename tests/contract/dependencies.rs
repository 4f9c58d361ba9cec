//! The walls between the crates, as docs/architecture.md draws them. Read from `cargo tree`, one crate at a time: a
//! dependency that comes in through another crate counts, a feature that only another member asks for does not.

use std::collections::BTreeSet;
use std::process::Command;

/// The names of all packages that `package` is built with, itself included.
fn tree(package: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges=normal", "--prefix=none", "--format={p}"])
        .args(["--package", package])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("names");
    let names: BTreeSet<_> =
        text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    assert!(names.contains(package), "cargo tree says nothing about {package}");
    names
}

#[test]
fn no_crate_reaches_what_it_must_not_know() {
    let runtime = ["tokio", "hyper", "rustls", "kube-client", "kube-runtime"];
    let walls: [(&str, &[&str]); 5] = [
        ("crds", &["proxy-config", "proxy", "operator"]),
        ("proxy-config", &["kube", "kube-core", "k8s-openapi", "aws-lc-rs", "crds"]),
        ("operator", &["proxy", "openidconnect", "aes-gcm", "reqwest", "openssl", "native-tls"]),
        ("proxy", &["kube", "kube-core", "k8s-openapi", "crds", "operator", "openssl"]),
        // A second opinion is one only as long as the program does not share it.
        ("proxy", &["openidconnect", "aes-gcm", "oauth2", "rsa", "p256", "ed25519-dalek"]),
    ];
    let mut breaches = Vec::new();
    for (package, forbidden) in walls {
        let tree = tree(package);
        let data_only = ["crds", "proxy-config"].contains(&package);
        let more = runtime.iter().filter(|_| data_only);
        for target in forbidden.iter().chain(more).filter(|target| tree.contains(**target)) {
            breaches.push(format!(
                "{package} reaches {target}: see cargo tree -p {package} -i {target}"
            ));
        }
    }
    assert!(breaches.is_empty(), "docs/architecture.md forbids:\n{}", breaches.join("\n"));
}

#[test]
fn harness_and_benchmark_know_the_programs_only_from_outside() {
    for package in ["harness", "bench"] {
        let tree = tree(package);
        for ours in ["crds", "proxy-config", "operator", "proxy"] {
            assert!(!tree.contains(ours), "{package} depends on {ours}");
        }
    }
}

#[test]
fn launcher_is_built_of_nothing() {
    assert_eq!(tree("launcher").len(), 1, "a person waits for it before anything is said");
}

#[test]
fn nothing_depends_on_the_tests() {
    for package in ["crds", "proxy-config", "operator", "proxy"] {
        let tree = tree(package);
        assert!(!tree.contains("tests") && !tree.contains("harness"), "{package} depends on tests");
    }
}
