//! Every source file is part of a crate: a file that nothing names compiles nowhere and is tested by nobody.

use crate::{TOP, sources};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The folders with sources, each with the files that cargo starts from.
const ROOTS: [(&str, &[&str]); 15] = [
    ("crds/src", &["lib.rs", "bin/generate.rs"]),
    ("operator/src", &["lib.rs", "main.rs"]),
    ("proxy/src", &["lib.rs", "main.rs"]),
    ("proxy/config/src", &["lib.rs"]),
    ("tests/src", &["lib.rs"]),
    ("proxy/tests", &["process.rs", "validation.rs"]),
    ("tests/harness/src", &["lib.rs", "main.rs"]),
    ("tests/launcher/src", &["lib.rs", "main.rs"]),
    ("tests/launcher/tests", &["process.rs"]),
    ("tests/bench/src", &["main.rs"]),
    ("tests/cluster", &["main.rs"]),
    ("tests/contract", &["main.rs"]),
    ("tests/demo", &["main.rs"]),
    ("tests/operator", &["main.rs"]),
    ("tests/proxy", &["main.rs"]),
];

/// Follows `mod name;` from a file, also to where `#[path]` says.
fn follow(file: &Path, is_root: bool, reached: &mut BTreeSet<PathBuf>) {
    if !reached.insert(file.to_owned()) {
        return;
    }
    let Ok(text) = fs::read_to_string(file) else { return };
    let folder = if is_root {
        file.parent().expect("a file is in a folder").to_owned()
    } else {
        file.with_extension("")
    };
    let mut elsewhere = None;
    for line in text.lines() {
        if let Some(path) = line.trim().strip_prefix("#[path = \"") {
            elsewhere = path.strip_suffix("\"]").map(|path| file.with_file_name(path));
            continue;
        }
        let declaration = line.trim().trim_start_matches("pub").trim_start();
        let declaration = match declaration.strip_prefix('(') {
            Some(rest) => rest.split_once(')').map_or(rest, |(_, rest)| rest).trim_start(),
            None => declaration,
        };
        if let Some(name) = declaration.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';'))
        {
            let usual = folder.join(format!("{name}.rs"));
            follow(&elsewhere.take().unwrap_or(usual), false, reached);
        }
    }
}

#[test]
fn every_source_file_is_reached_from_its_crate() {
    for (folder, roots) in ROOTS {
        let folder = Path::new(TOP).join(folder);
        let mut reached = BTreeSet::new();
        let binaries = folder.join("bin");
        for root in roots {
            follow(&folder.join(root), true, &mut reached);
        }
        let found = sources(&folder);
        // Every binary below `bin` is a root of its own.
        for file in
            found.iter().filter(|file| file.starts_with(&binaries) && file.ends_with("main.rs"))
        {
            follow(file, true, &mut reached);
        }
        let orphans: Vec<_> = found.difference(&reached).collect();
        assert!(orphans.is_empty(), "no `mod` names {orphans:?}");
    }
}

#[test]
fn no_file_is_named_after_nothing() {
    for (folder, _) in ROOTS {
        for file in sources(&Path::new(TOP).join(folder)) {
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            let vague = ["mod", "utils", "util", "helpers", "common", "misc", "types"];
            assert!(
                !vague.contains(&name.as_str()),
                "{} says nothing about what is in it",
                file.display()
            );
        }
    }
}
