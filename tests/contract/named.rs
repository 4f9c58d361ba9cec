//! Files that a comment names are in this repository: whoever reads on there finds something.

use crate::{TOP, files, is_a, sources};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Kinds of files that are named as places to read on.
const KINDS: [&str; 6] = ["rs", "md", "json", "toml", "yaml", "tsv"];

/// What stands in backticks in the comment of a line and looks like a path to a file.
fn named(line: &str) -> impl Iterator<Item = &str> {
    let comment = line.trim_start().strip_prefix("//").unwrap_or_default();
    comment.split('`').skip(1).step_by(2).filter(|quoted| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
        quoted.contains('/')
            && !quoted.starts_with(['/', '.'])
            && quoted.bytes().all(plain)
            && KINDS.iter().any(|kind| is_a(Path::new(quoted), kind))
    })
}

#[test]
fn every_file_that_a_comment_names_is_here() {
    let all = files(Path::new(TOP));
    // A path may begin anywhere: inside a crate its first folders go without saying.
    let ends: BTreeSet<&Path> = all
        .iter()
        .filter_map(|path| path.strip_prefix(TOP).ok())
        .flat_map(|path| {
            let mut rest = path.components();
            std::iter::once(path).chain(std::iter::from_fn(move || {
                rest.next().map(|_| rest.as_path()).filter(|path| !path.as_os_str().is_empty())
            }))
        })
        .collect();
    let mut count = 0;
    for source in sources(Path::new(TOP)) {
        let text = fs::read_to_string(&source).expect("a source is text");
        for (index, line) in text.lines().enumerate() {
            for path in named(line) {
                count += 1;
                let place = format!("{}:{}", source.display(), index + 1);
                assert!(ends.contains(Path::new(path)), "{place}: there is no {path}");
            }
        }
    }
    assert!(count > 10, "only {count} names were found, so this looks in the wrong place");
}

#[test]
fn a_path_in_a_comment_is_told_from_other_words() {
    let of = |line| named(line).collect::<Vec<_>>();
    assert_eq!(of("//! See `a/b.rs`, `c.rs` and `d/e.md`."), ["a/b.rs", "d/e.md"]);
    assert_eq!(of("    /// `/etc/x.json`, `{a}/b.json`, `../c/d.rs`, `a/b`"), [""; 0]);
    assert_eq!(of("let path = \"`a/b.rs`\";"), [""; 0]);
}
