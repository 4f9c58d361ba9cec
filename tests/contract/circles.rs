//! The modules at the top of a crate use each other in one direction only: where two need each other, neither can be read,
//! tested or replaced alone. What counts is a path that begins with `crate::`, in code that is no test.
//! architecture.md lists them from top to bottom, and is held to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

type Graph = BTreeMap<String, BTreeSet<String>>;

/// The crates, each with the sentence of the page behind which its modules are listed.
const CRATES: [(&str, &str); 2] = [
    ("proxy/src", "each uses only those of the lines below its own"),
    ("operator/src", "Modules use each other downwards here too"),
];

/// Notes what the sources below `folder` use; `module` is the top module that they belong to.
fn read(folder: &Path, module: Option<&str>, graph: &mut Graph) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("its entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let top = module.unwrap_or(&name);
        if name == "tests" || (module.is_none() && ["bin", "lib", "main"].contains(&top)) {
            continue;
        }
        if path.is_dir() {
            read(&path, Some(top), graph);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source is text");
            let used = used_by(&text);
            graph.entry(top.to_owned()).or_default().extend(used.into_iter().filter(|u| u != top));
        }
    }
}

/// The first names behind `crate::`, up to the tests at the end of a file.
fn used_by(text: &str) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n");
    let code = code.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    };
    let mut used = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let Some(list) = rest.strip_prefix('{') else {
            used.insert(name(rest));
            continue;
        };
        let mut depth = 0_usize;
        let end = list.find(|c| {
            depth += usize::from(c == '{');
            let over = c == '}' && depth == 0;
            depth -= usize::from(c == '}' && depth > 0);
            over
        });
        let mut depth = 0_usize;
        let items = list.get(..end.unwrap_or(list.len())).unwrap_or(list).split(|c| {
            depth += usize::from(c == '{');
            depth -= usize::from(c == '}');
            c == ',' && depth == 0
        });
        used.extend(items.map(name));
    }
    used
}

fn reached(graph: &Graph, from: &str) -> BTreeSet<String> {
    let (mut found, mut next) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(module) = next.pop() {
        let uses = graph.get(&module).into_iter().flatten();
        next.extend(uses.filter(|used| found.insert((*used).clone())).cloned());
    }
    found
}

/// The sets of modules that all reach each other.
fn knots(graph: &Graph) -> BTreeSet<Vec<String>> {
    let all: BTreeMap<_, _> = graph.keys().map(|module| (module, reached(graph, module))).collect();
    let reaches = |a: &String, b: &String| all.get(a).is_some_and(|reached| reached.contains(b));
    let meets = |a: &String, b: &String| reaches(a, b) && reaches(b, a);
    let in_circle = graph.keys().filter(|module| reaches(module, module));
    in_circle.map(|a| graph.keys().filter(|b| meets(a, b)).cloned().collect()).collect()
}

#[test]
fn the_modules_of_a_crate_use_each_other_in_one_direction() {
    for (folder, _) in CRATES {
        let mut graph = Graph::new();
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder), None, &mut graph);
        assert!(graph.len() > 10, "{folder}: where are its modules?");
        let inner = |knot: &[String], module: &String| {
            let used = graph.get(module).into_iter().flatten();
            used.filter(|used| knot.contains(used)).cloned().collect::<Vec<_>>().join(", ")
        };
        let found: Vec<_> = knots(&graph)
            .iter()
            .flat_map(|knot| knot.iter().map(|module| (module.clone(), inner(knot, module))))
            .map(|(module, used)| format!("{module} uses {used}"))
            .collect();
        assert!(found.is_empty(), "{folder}: a circle of modules:\n{}", found.join("\n"));
    }
}

/// The line of each module in the first list behind a sentence; one that is indented goes on.
fn lines(page: &str, sentence: &str) -> BTreeMap<String, usize> {
    let (_, rest) = page.split_once(sentence).expect("the sentence");
    let (_, rest) = rest.split_once("```text\n").expect("the list");
    let (list, _) = rest.split_once("```").expect("its end");
    let mut found = BTreeMap::new();
    let mut line = 0;
    for text in list.lines() {
        line += usize::from(!text.starts_with(' '));
        let names = text.trim_start().split("   ").next().unwrap_or_default();
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let before = found.insert(name.to_owned(), line);
            assert_eq!(before, None, "{name} is listed twice");
        }
    }
    found
}

/// What of `graph` does not go downwards in `lines`.
fn upwards(graph: &Graph, lines: &BTreeMap<String, usize>) -> Vec<String> {
    let line = |module: &String| lines.get(module).copied();
    let uses = graph.iter().flat_map(|(module, used)| used.iter().map(move |u| (module, u)));
    let known = uses.filter(|(_, used)| graph.contains_key(*used));
    let wrong = known.filter(|(module, used)| line(module) >= line(used));
    wrong.map(|(module, used)| format!("{module} uses {used}")).collect()
}

#[test]
fn modules_use_only_what_the_architecture_lists_below_them() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(top.join("docs/architecture.md")).expect("the page");
    for (folder, sentence) in CRATES {
        let mut graph = Graph::new();
        read(&top.join(folder), None, &mut graph);
        let lines = lines(&page, sentence);
        let (listed, there): (BTreeSet<_>, BTreeSet<_>) =
            (lines.keys().collect(), graph.keys().collect());
        assert_eq!(
            listed, there,
            "the modules that docs/architecture.md lists, and those that there are in {folder}"
        );
        let wrong = upwards(&graph, &lines);
        assert!(wrong.is_empty(), "not downwards in docs/architecture.md:\n{}", wrong.join("\n"));
    }
}

#[test]
fn a_use_that_does_not_go_downwards_is_found() {
    let page = "A sentence.\n```text\na, b    two, of a kind\nc,      leaves\n  d\n```\n";
    let lines = lines(page, "A sentence");
    assert_eq!(lines.values().copied().collect::<Vec<_>>(), [1, 1, 2, 2]);
    let of = |uses: &[(&str, &str)]| {
        let mut graph: Graph = lines.keys().map(|name| (name.clone(), BTreeSet::new())).collect();
        for (a, b) in uses {
            graph.entry((*a).to_owned()).or_default().insert((*b).to_owned());
        }
        upwards(&graph, &lines)
    };
    assert!(of(&[("a", "c"), ("b", "d"), ("a", "Type")]).is_empty());
    assert_eq!(of(&[("a", "b"), ("d", "a"), ("c", "d")]).len(), 3);
}

#[test]
fn a_circle_is_found_however_it_is_written() {
    let used = used_by(
        "use crate::{a, b::{c, d}, e as f};\nfn x() { crate::g::h(); } // crate::i\n#[cfg(test)]\nmod tests { use crate::j; }",
    );
    assert_eq!(used.iter().map(String::as_str).collect::<Vec<_>>(), ["a", "b", "e", "g"]);
    let graph = |uses: &[(&str, &str)]| {
        let mut graph = Graph::new();
        for (a, b) in uses {
            graph.entry((*a).to_owned()).or_default().insert((*b).to_owned());
        }
        graph
    };
    assert!(knots(&graph(&[("a", "b"), ("b", "c"), ("a", "c")])).is_empty());
    let circle = knots(&graph(&[("a", "b"), ("b", "c"), ("c", "b"), ("a", "c")]));
    assert_eq!(circle, BTreeSet::from([vec!["b".to_owned(), "c".to_owned()]]));
}
