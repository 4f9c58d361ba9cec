//! libFuzzer over the target that the environment variable `FUZZ_TARGET` names: one program, so that the proxy is linked once.

#![no_main]

use proxy::fuzzing::{TARGETS, Target};
use std::sync::OnceLock;

static CHOSEN: OnceLock<&'static Target> = OnceLock::new();

fn chosen() -> &'static Target {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        panic!("FUZZ_TARGET must be one of {}", names.join(", "));
    };
    target
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (CHOSEN.get_or_init(chosen).check)(bytes));
