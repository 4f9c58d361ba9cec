//! Everything that reads what strangers send, as functions of bytes that panic when something that must hold does not.
//!
//! `make fuzz` lets libFuzzer choose the bytes; the tests below take the committed corpus and mutations of it, so that each
//! change of a parser meets them without a build of its own. A check that has another implementation to compare with says so
//! in its name for it: the oracle. Nothing else may use this.

mod go;
#[cfg(test)]
mod mutation;

use go::Verdict;
use proxy_config::ExpressionError;

/// One parser.
pub struct Target {
    /// The folder of its corpus below `tests/fuzz/corpus/`.
    pub name: &'static str,
    /// Panics on bytes that it treats wrongly.
    pub check: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "answer", check: crate::upstream::fuzzing::answer },
    Target { name: "callback", check: crate::oidc::fuzzing::callback },
    Target { name: "chunks", check: crate::upstream::fuzzing::chunks },
    Target { name: "configuration", check: configuration },
    Target { name: "cookies", check: crate::cookie::fuzzing::cookies },
    Target { name: "discovery", check: crate::oidc::fuzzing::discovery },
    Target { name: "expression", check: expression },
    Target { name: "form", check: crate::gate::fuzzing::form },
    Target { name: "id-token", check: crate::oidc::fuzzing::id_token },
    Target { name: "key-set", check: crate::oidc::fuzzing::key_set },
    Target { name: "login-state", check: crate::oidc::fuzzing::login_state },
    Target { name: "path", check: crate::routing::fuzzing::path },
    Target { name: "redis", check: crate::store::fuzzing::replies },
    Target { name: "redirect", check: crate::policy::fuzzing::redirect },
    Target { name: "request", check: crate::server::fuzzing::request },
    Target { name: "session", check: crate::session::fuzzing::session },
    Target { name: "ticket", check: crate::store::fuzzing::ticket },
    Target { name: "token-answer", check: crate::oidc::fuzzing::token_answer },
];

/// Both front ends take any file or say what is wrong with it; what the generated one takes comes out as it went in.
fn configuration(bytes: &[u8]) {
    crate::options::fuzzing::toml(bytes);
    let Ok(config) = proxy_config::Config::parse(bytes) else { return };
    let _ = config.problems();
    // A secret that is a value has no written form.
    if let Ok(text) = config.to_json() {
        let again = proxy_config::Config::parse(text.as_bytes());
        assert!(again.is_ok_and(|again| again == config), "what was written reads differently");
    }
}

/// The first line is an expression, the rest a text: what Go takes is taken unless it is too large, what Go refuses is refused,
/// and both find the same.
fn expression(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (expression, subject) = text.split_once('\n').unwrap_or((&text, ""));
    let theirs = go::find(expression, subject);
    match proxy_config::regex(expression) {
        Ok(regex) => {
            let ours = regex.find(subject).map(|found| (found.start(), found.end()));
            assert_eq!(Verdict::Found(ours), theirs, "{expression:?} in {subject:?}");
        }
        Err(ExpressionError::Size(_)) => {}
        Err(error) => assert_eq!(theirs, Verdict::Invalid, "{expression:?}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mutation::Dice;
    use std::path::PathBuf;

    /// Mutations of each target's corpus.
    const ROUNDS: u64 = 3000;

    fn corpus(target: &Target) -> Vec<Vec<u8>> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../tests/fuzz/corpus")
            .join(target.name);
        let files = std::fs::read_dir(&folder).expect("every target has a corpus");
        let mut paths: Vec<_> = files.map(|file| file.expect("an entry").path()).collect();
        paths.sort();
        paths.iter().map(|path| std::fs::read(path).expect("a readable file")).collect()
    }

    /// Runs a target, and names the bytes if it fails.
    fn run(target: &Target, bytes: &[u8]) {
        let outcome = std::panic::catch_unwind(|| (target.check)(bytes));
        assert!(outcome.is_ok(), "{}: {}", target.name, bytes.escape_ascii());
    }

    #[test]
    fn every_target_stands_its_corpus_and_mutations_of_it() {
        std::thread::scope(|scope| {
            for target in TARGETS {
                scope.spawn(|| {
                    let corpus = corpus(target);
                    assert!(!corpus.is_empty(), "{} has no corpus", target.name);
                    for bytes in &corpus {
                        run(target, bytes);
                    }
                    for round in 0..ROUNDS {
                        let mut dice = Dice(round);
                        let input = dice.one_of(&corpus).clone();
                        let other = dice.one_of(&corpus).clone();
                        run(target, &dice.mutated(&input, &other));
                    }
                });
            }
        });
    }

    #[test]
    fn every_folder_of_the_corpus_has_a_target() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus");
        for entry in std::fs::read_dir(folder).expect("the corpus") {
            let name = entry.expect("an entry").file_name();
            assert!(TARGETS.iter().any(|target| target.name == name), "{}", name.display());
        }
    }
}
