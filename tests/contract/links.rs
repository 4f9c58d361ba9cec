//! Links of the documentation lead somewhere: to a file of this repository, and to a heading that is in it.

use crate::{TOP, files, is_a};
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

#[test]
fn a_link_is_told_from_code_and_from_the_web() {
    assert_eq!(links("[a](b.md), [c](https://d)\n```sh\nx[0](y)\n```\n[e](#f)"), ["b.md", "#f"]);
    assert_eq!(anchor("## Flapping: how to end it"), "flapping-how-to-end-it");
    assert!(has_heading("# A\n\n## `B` c\n", "b-c"));
}
