//! The launcher as a process: it refuses before it builds.

use std::process::Command;

#[test]
fn demo_that_can_not_be_is_refused_before_anything_is_built() {
    let output = Command::new(env!("CARGO_BIN_EXE_launcher"))
        .args(["demo", "up"])
        .envs([("DEMO_PORT", "9000"), ("DEMO_KEYCLOAK_PORT", "9000"), ("CARGO", "/no/cargo")])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("The demo can not start yet."), "{said}");
    assert!(said.contains("are both 9000") && !said.contains("build"), "{said}");
}

#[test]
fn build_that_fails_ends_it_with_what_was_wrong() {
    let output = Command::new(env!("CARGO_BIN_EXE_launcher"))
        .args(["cluster", "list"])
        .env("CARGO", "/no/cargo")
        .env("CARGO_TARGET_DIR", std::env::temp_dir().join("launcher-of-a-test"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot run /no/cargo"), "{said}");
}
