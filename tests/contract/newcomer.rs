//! What `make` says to somebody whose machine has nothing yet, and what it takes away when they ask it to.

use crate::TOP;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn make(arguments: &[&str], path: &Path) -> Output {
    let usual = std::env::var_os("PATH").unwrap_or_default();
    let make = std::env::split_paths(&usual).map(|folder| folder.join("make"));
    let make = make.into_iter().find(|file| file.is_file()).expect("make is in PATH");
    Command::new(make)
        .args(arguments)
        .current_dir(TOP)
        .env("PATH", path)
        .env_remove("DEMO_CONTEXT")
        .env_remove("MAKEFLAGS")
        .env_remove("CARGO")
        .output()
        .expect("make runs")
}

#[test]
fn demo_names_all_that_is_missing_before_anything_can_be_built() {
    let nothing = tempfile::tempdir().expect("a folder");
    let output = make(&["--silent", "demo"], nothing.path());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{said}");
    for part in ["Nothing was changed", "no cargo in PATH", "no C compiler (cc)", "no go in PATH"] {
        assert!(said.contains(part), "{part}:\n{said}");
    }
}

#[test]
fn clean_cache_takes_what_was_built_and_nothing_else_and_not_under_a_cluster() {
    let cache = tempfile::tempdir().expect("a folder");
    for folder in ["components/a", "downloads", "images", "tools", "clusters/dev", "mine"] {
        fs::create_dir_all(cache.path().join(folder)).expect("a folder");
    }
    let usual = std::env::var_os("PATH").unwrap_or_default();
    let chosen = format!("CACHE={}", cache.path().display());
    let clean = || make(&["--silent", "clean-cache", &chosen], Path::new(&usual));
    let refused = clean();
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stdout).contains("clusters are there: dev"));
    assert!(cache.path().join("components/a").exists(), "a cluster runs with these");
    fs::remove_dir(cache.path().join("clusters/dev")).expect("the cluster goes");
    let output = clean();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let left: Vec<_> = fs::read_dir(cache.path()).expect("the cache").flatten().collect();
    let left: Vec<_> = left.iter().map(fs::DirEntry::file_name).collect();
    assert_eq!(left, ["mine"]);
}
