//! Configurations recorded from oauth2-proxy v7.15.3, given to the program as command lines: what it accepts, what it
//! refuses, with which exit code, and that it names what it refuses.
//!
//! The recorded base uses the provider type `github`; since that type is refused by name, it is replaced by `oidc` here.

#![expect(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test of a real process in real time, which fails where something is not as it expects"
)]

use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[path = "validation/differences.rs"]
mod differences;

/// What the program did.
#[derive(Debug)]
struct Outcome {
    /// None: it serves.
    code: Option<i32>,
    output: String,
}

/// What an option is to us.
struct Options {
    /// Flags of supported options by flag and by key.
    supported: BTreeMap<String, String>,
    /// Flags of unsupported options by flag and by key.
    unsupported: BTreeMap<String, String>,
}

impl Options {
    /// From the generated documentation, which is what users read.
    fn known() -> Self {
        let (mut supported, mut unsupported) = (BTreeMap::new(), BTreeMap::new());
        for line in proxy::options_page().lines() {
            let names: Vec<_> = line
                .split('`')
                .skip(1)
                .step_by(2)
                .map(|name| name.trim_start_matches("--").to_owned())
                .collect();
            if line.starts_with("- `--") {
                unsupported.insert(names[0].clone(), names[0].clone());
                unsupported.insert(names[1].clone(), names[0].clone());
            } else if line.starts_with("| `--") && names.len() > 2 {
                supported.insert(names[0].clone(), names[0].clone());
                supported.insert(names[2].clone(), names[0].clone());
            }
        }
        Self { supported, unsupported }
    }
}

fn strings(list: &Json) -> Vec<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// The recorded arguments, on the `oidc` provider.
fn arguments(vector: &Json) -> Vec<String> {
    let recorded = strings(&vector["args"]);
    let other = recorded.iter().filter(|argument| argument.starts_with("--provider=")).count() > 1;
    let issuer = other || recorded.iter().any(|argument| argument.starts_with("--oidc-issuer-url"));
    let mut arguments = Vec::new();
    for argument in recorded {
        if argument == "--provider=github" {
            arguments.push("--provider=oidc".to_owned());
            if !issuer {
                arguments.push("--oidc-issuer-url=http://127.0.0.1:1".to_owned());
            }
        } else {
            arguments.push(argument);
        }
    }
    arguments
}

fn write_files(vector: &Json, folder: &Path) {
    for (name, content) in vector["files"].as_object().unwrap() {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match (content.as_str(), content["base64"].as_str()) {
            (Some(text), _) => std::fs::write(path, text).unwrap(),
            (None, Some(_)) => std::fs::write(path, [0xff, 0xfe]).unwrap(),
            (None, None) => std::fs::create_dir(path).unwrap(),
        }
    }
}

fn run(vector: &Json) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    write_files(vector, folder.path());
    let environment = vector["env"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name, value.as_str().unwrap()));
    let mut child = Command::new(env!("CARGO_BIN_EXE_oauth2-proxy"))
        .args(arguments(vector))
        .env_clear()
        .envs(environment)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(folder.path().join(".stdout")).unwrap())
        .stderr(std::fs::File::create(folder.path().join(".stderr")).unwrap())
        .spawn()
        .unwrap();
    let code = finish(&mut child, &folder.path().join(".stdout"));
    let mut output = String::new();
    for name in [".stdout", ".stderr"] {
        std::fs::File::open(folder.path().join(name)).unwrap().read_to_string(&mut output).unwrap();
    }
    Outcome { code, output }
}

/// The exit code, or none once the program says that it listens; then it is ended.
fn finish(child: &mut Child, stdout: &Path) -> Option<i32> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        let listens = std::fs::read_to_string(stdout).unwrap_or_default().contains("] listening ");
        if listens || start.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(listens, "neither serving nor ended after 30 s");
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The options that a text names, as flags, whether it calls them by flag, key or variable. The option `provider` is left
/// out: the recorded texts use the word.
fn named(text: &str, names: &BTreeMap<String, String>) -> BTreeSet<String> {
    let text = text.replace("OAUTH2_PROXY_", "").to_lowercase();
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_')
        .filter_map(|word| names.get(word.trim_start_matches('-')).cloned())
        .filter(|flag| flag != "provider")
        .collect()
}

/// The unsupported option that a vector sets, if any: then it must be refused by that name.
fn unsupported(vector: &Json, options: &Options) -> Option<String> {
    let flags = arguments(vector).into_iter().filter_map(|argument| {
        let name = argument.strip_prefix("--")?.split('=').next()?.to_owned();
        options.unsupported.get(&name).cloned()
    });
    let variables = vector["env"].as_object().unwrap().keys().filter_map(|name| {
        options.unsupported.get(&name.strip_prefix("OAUTH2_PROXY_")?.to_lowercase()).cloned()
    });
    let files =
        vector["files"].as_object().unwrap().iter().filter(|(name, _)| name.ends_with("toml"));
    let keys = files
        .flat_map(|(_, content)| content.as_str().unwrap_or_default().lines())
        .filter_map(|line| options.unsupported.get(line.split('=').next()?.trim()).cloned());
    let type_given =
        arguments(vector).iter().any(|a| a.starts_with("--provider=") && a != "--provider=oidc");
    let all: Vec<_> = flags.chain(variables).chain(keys.collect::<Vec<_>>()).collect();
    all.into_iter().next().or_else(|| type_given.then(|| "provider".to_owned()))
}

/// Whether a text names an option by flag, key or variable.
fn names(text: &str, flag: &str) -> bool {
    text.to_lowercase().replace('_', "-").contains(flag)
}

/// What is wrong with our outcome; none if it is the recorded one.
fn judge(vector: &Json, outcome: &Outcome, options: &Options) -> Option<String> {
    let recorded = vector["exit_code"].as_i64().map(|code| i32::try_from(code).unwrap());
    if outcome.code != recorded {
        return Some(format!("exit code {:?}, recorded {recorded:?}", outcome.code));
    }
    let recorded = vector["stderr"].as_str().unwrap();
    let blamed = recorded.split_once("invalid configuration:").map_or(recorded, |(_, rest)| rest);
    let ours = named(&outcome.output, &options.supported);
    let mut theirs =
        named(blamed, &options.supported).into_iter().filter(|_| outcome.code != Some(0));
    if let Some(missing) =
        theirs.find(|flag| !ours.iter().any(|ours| ours.starts_with(flag.as_str())))
    {
        return Some(format!("{missing} is not named"));
    }
    let problems = |text: &str| {
        let after = text.split_once("invalid configuration:\n").map(|(_, rest)| rest.to_owned());
        after.map_or(0, |rest| {
            rest.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")).count()
        })
    };
    let (theirs, ours) = (problems(recorded), problems(&outcome.output));
    (ours < theirs).then(|| format!("{ours} problems, recorded {theirs}"))
}

#[test]
fn recorded_configurations_get_the_recorded_verdicts() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/validation.json");
    let file: Json = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (options, different) = (Options::known(), differences::reasons());
    let (mut same, mut refused, mut differ, mut failures) = (0, 0, BTreeSet::new(), Vec::new());
    for vector in file["vectors"].as_array().unwrap() {
        let name = vector["name"].as_str().unwrap();
        let outcome = run(vector);
        let report = |what: &str| {
            format!("{name}: {what}\n    {}", outcome.output.trim_end().replace('\n', "\n    "))
        };
        let wanted = if vector["kind"] == "alpha" {
            Some("alpha-config".to_owned())
        } else {
            unsupported(vector, &options)
        };
        if let Some(reason) = different.get(name) {
            assert!(!reason.is_empty());
            differ.insert(name);
            if judge(vector, &outcome, &options).is_none() && wanted.is_none() {
                failures.push(report("listed as different, but it is the same"));
            }
        } else if let Some(option) = wanted {
            if matches!(outcome.code, Some(1 | 2)) && names(&outcome.output, &option) {
                refused += 1;
            } else {
                failures
                    .push(report(&format!("{option} is not refused by name ({:?})", outcome.code)));
            }
        } else {
            match judge(vector, &outcome, &options) {
                None => same += 1,
                Some(what) => failures.push(report(&what)),
            }
        }
    }
    assert!(failures.is_empty(), "{} of 368:\n{}", failures.len(), failures.join("\n"));
    let unknown: Vec<_> = different.keys().filter(|name| !differ.contains(**name)).collect();
    assert!(unknown.is_empty(), "no recorded configuration has these names: {unknown:?}");
    assert_eq!((same, refused, differ.len()), (191, 158, 19));
}
