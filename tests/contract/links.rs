//! Links of the documentation lead somewhere: to a file of this repository, and to a heading that is in it.

use crate::{TOP, files, is_a};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The targets of links that stay in the repository. Examples in code are not links.
fn links(text: &str) -> Vec<&str> {
    let plain = text.split("```").step_by(2);
    plain
        .flat_map(|part| part.split("](").skip(1))
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://") && !target.contains(' '))
        .collect()
}

/// How a heading is named in a link.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn has_heading(text: &str, wanted: &str) -> bool {
    text.lines().any(|line| line.starts_with('#') && anchor(line) == wanted)
}

#[test]
fn every_link_of_the_documentation_leads_somewhere() {
    let (mut count, mut broken) = (0, Vec::new());
    for file in files(Path::new(TOP)).into_iter().filter(|file| is_a(file, "md")) {
        let text = fs::read_to_string(&file).expect("a page is text");
        for link in links(&text) {
            count += 1;
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => file.clone(),
                path => file.with_file_name(path),
            };
            let there = match fs::read_to_string(&target) {
                Ok(there) => heading.is_empty() || has_heading(&there, heading),
                Err(_) => target.is_dir(),
            };
            if !there {
                broken.push(format!("{}: {link}", file.display()));
            }
        }
    }
    assert!(count > 50, "only {count} links were found, so this looks in the wrong place");
    assert!(broken.is_empty(), "nothing is there:\n{}", broken.join("\n"));
}

/// The files of `examples/` that a page names, in links and in commands.
fn examples(text: &str) -> impl Iterator<Item = &str> {
    let end = |c: char| !(c.is_ascii_alphanumeric() || "-_./".contains(c));
    text.match_indices("examples/").filter_map(move |(start, _)| {
        let rest = text.get(start..)?;
        rest.split(end).next().filter(|name| is_a(Path::new(name), "yaml"))
    })
}

#[test]
fn pages_name_every_example_and_none_that_is_not_there() {
    let top = Path::new(TOP);
    let mut named = BTreeSet::new();
    for file in files(top).into_iter().filter(|file| is_a(file, "md")) {
        let text = fs::read_to_string(&file).expect("a page is text");
        for name in examples(&text) {
            assert!(top.join(name).exists(), "{}: there is no {name}", file.display());
            named.insert(top.join(name));
        }
    }
    let there = files(&top.join("examples"));
    let unnamed: Vec<_> = there.difference(&named).collect();
    assert!(unnamed.is_empty(), "no page names {unnamed:?}");
}

#[test]
fn a_link_is_told_from_code_and_from_the_web() {
    assert_eq!(links("[a](b.md), [c](https://d)\n```sh\nx[0](y)\n```\n[e](#f)"), ["b.md", "#f"]);
    assert_eq!(anchor("## Flapping: how to end it"), "flapping-how-to-end-it");
    let text = "[a](../examples/a.yaml), `kubectl apply -f examples/b/c.yaml -f examples`";
    assert_eq!(examples(text).collect::<Vec<_>>(), ["examples/a.yaml", "examples/b/c.yaml"]);
    assert!(has_heading("# A\n\n## `B` c\n", "b-c"));
}
