//! Files that a comment names are in this repository: whoever reads on there finds something.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Kinds of files that are named as places to read on.
const KINDS: [&str; 6] = ["rs", "md", "json", "toml", "yaml", "tsv"];

/// Paths from the top of the repository, but for what is built and what is hidden.
fn files(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("its entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name == "target" || name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            files(&path, found);
        } else if let Ok(path) = path.strip_prefix(TOP) {
            found.insert(path.display().to_string());
        }
    }
}

fn is_a(path: &str, kind: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == kind)
}

/// What stands in backticks in the comment of a line and looks like a path to a file.
fn named(line: &str) -> impl Iterator<Item = &str> {
    let comment = line.trim_start().strip_prefix("//").unwrap_or_default();
    comment.split('`').skip(1).step_by(2).filter(|quoted| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
        quoted.contains('/')
            && !quoted.starts_with(['/', '.'])
            && quoted.bytes().all(plain)
            && KINDS.iter().any(|kind| is_a(quoted, kind))
    })
}

#[test]
fn every_file_that_a_comment_names_is_here() {
    let mut all = BTreeSet::new();
    files(Path::new(TOP), &mut all);
    // A path may begin anywhere: inside a crate its first folders go without saying.
    let ends: BTreeSet<&str> = all
        .iter()
        .flat_map(|path| {
            let later = path.match_indices('/').filter_map(|(at, _)| path.get(at + 1..));
            std::iter::once(path.as_str()).chain(later)
        })
        .collect();
    let mut count = 0;
    for source in all.iter().filter(|path| is_a(path, "rs")) {
        let text = fs::read_to_string(Path::new(TOP).join(source)).expect("a source is text");
        for (index, line) in text.lines().enumerate() {
            for path in named(line) {
                count += 1;
                assert!(ends.contains(path), "{source}:{}: there is no {path}", index + 1);
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
