//! `docs/limits.md` against the sources: what can be set, what is fixed, and what is asked of Redis.

use std::fs;
use std::path::Path;

const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(TOP).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| unreachable!("{}: {error}", path.display()))
}

#[test]
fn every_limit_that_can_be_set_is_documented() {
    let page = read("docs/limits.md");
    let limits = serde_json::to_value(proxy_config::Limits::default()).expect("JSON");
    let fields: Vec<_> = limits.as_object().expect("an object").keys().collect();
    assert!(fields.len() >= 7, "{fields:?}");
    let missing: Vec<_> = fields
        .into_iter()
        .filter(|field| !page.contains(&format!("| `limits.{field}` |")))
        .collect();
    assert!(missing.is_empty(), "docs/limits.md has no row for {missing:?}");
}

#[test]
fn fixed_limits_are_what_the_page_says() {
    let page = read("docs/limits.md");
    let (_, block) = page.split_once("```text\n").expect("a list of constants");
    let (block, _) = block.split_once("```").expect("its end");
    let mut wrong = Vec::new();
    for line in block.lines() {
        let (file, constant) = line.split_once(": ").expect("path and constant");
        let (name, value) = constant.split_once(" = ").expect("name and value");
        let source = read(Path::new("proxy/src").join(file));
        let found = source
            .split_once(&format!("const {name}: "))
            .and_then(|(_, rest)| rest.split_once(';'));
        let found = found.and_then(|(text, _)| text.split_once('='));
        let found = found.map(|(_, value)| value.split_whitespace().collect::<Vec<_>>().join(" "));
        if found.as_deref() != Some(value) {
            wrong.push(format!("{line}: the source has {found:?}"));
        }
    }
    assert!(block.lines().count() > 50);
    assert!(wrong.is_empty(), "change docs/limits.md, in its tables too:\n{}", wrong.join("\n"));
}
