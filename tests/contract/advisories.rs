//! Known faults of dependencies: `make check-deny` looks for them where the database of advisories can be reached, and says
//! loudly that it did not where not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Runs it with a program in the place of cargo-deny that notes what it is asked, and fails where `fails` is among that.
fn check(folder: &Path, fails: &str) -> (Output, String) {
    let (program, asked) = (folder.join("cargo-deny"), folder.join("asked"));
    let script = format!(
        "#!/bin/sh\necho \"$*\" >> {asked}\ncase \"$*\" in *'{fails}'*) exit 1;; esac\n",
        asked = asked.display()
    );
    fs::write(&program, script).expect("a program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it can be run");
    let output = Command::new("make")
        .args(["--directory", TOP, "check-deny"])
        .arg(format!("CARGO_DENY={}", program.display()))
        .output()
        .expect("make");
    (output, fs::read_to_string(&asked).unwrap_or_default())
}

#[test]
fn advisories_are_checked_where_their_database_can_be_reached_and_a_finding_is_a_failure() {
    for (fails, success) in [("nothing", true), ("check advisories", false)] {
        let folder = tempfile::tempdir().expect("a folder");
        let (output, asked) = check(folder.path(), fails);
        assert_eq!(output.status.success(), success, "{asked}");
        assert!(asked.contains("check advisories"), "{asked}");
    }
    let settings = fs::read_to_string(Path::new(TOP).join(".deny.toml")).expect("settings");
    let mut ignored = settings.lines().filter(|line| line.contains("id = \"RUSTSEC"));
    assert!(ignored.all(|line| line.contains("reason = \"")), "{settings}");
}

#[test]
fn where_the_database_can_not_be_reached_that_is_said_and_the_rest_is_checked() {
    let folder = tempfile::tempdir().expect("a folder");
    let (output, asked) = check(folder.path(), "fetch db");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("WARNING: NOT CHECKED"), "{told}");
    assert!(
        asked.contains("check licenses bans sources") && !asked.contains("advisories"),
        "{asked}"
    );
}
