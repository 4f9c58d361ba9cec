//! The proxy has one way to a thread, which makes an error of it if there is none.

use crate::{TOP, sources};
use std::fs;
use std::path::Path;

#[test]
fn nobody_else_makes_threads_or_uses_the_pool_of_the_runtime() {
    let folder = Path::new(TOP).join("proxy/src");
    let of_tests = |path: &Path| path.iter().any(|part| part == "tests" || part == "tests.rs");
    let mut seen = 0;
    for path in sources(&folder) {
        let within = path.strip_prefix(&folder).expect("it is below");
        if of_tests(within) || within == Path::new("thread.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source is text");
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        for word in ["thread::Builder", "thread::spawn(move", "spawn_blocking", "tokio::fs"] {
            assert!(!code.contains(word), "{}: {word}", within.display());
        }
        seen += 1;
    }
    assert!(seen > 100, "{seen} files");
}
