//! Values recorded from oauth2-proxy v7.15.3: flags, environment and TOML file, and what it made of them.

mod conversion;

use super::flags::{self, FlagError};
use super::value::Value;
use super::values::rows;
use super::{OptionSource, ReadError, Source};
use proxy_config::Problems;
use serde_json::{Map, Value as Json};
use std::path::Path;

fn vectors(file: &str) -> Vec<Map<String, Json>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    let file: Json = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    file["vectors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|vector| vector.as_object().unwrap().clone())
        .collect()
}

/// The exit code and, for 0, the source.
enum Outcome {
    Loaded(OptionSource),
    Refused(i64, String),
}

fn run(vector: &Map<String, Json>, folder: &Path) -> Outcome {
    for (name, content) in vector["files"].as_object().unwrap() {
        match content.as_str() {
            Some(text) => std::fs::write(folder.join(name), text).unwrap(),
            None => std::fs::create_dir(folder.join(name)).unwrap(),
        }
    }
    let arguments: Vec<String> = vector["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap().to_owned())
        .collect();
    let environment = vector["env"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned()))
        .collect();
    let file = flags::control(&arguments).config.map(|name| folder.join(name));
    match Source::from_flags(&arguments, environment, file) {
        Ok(Source::Options(source)) => match source.values() {
            Ok(_) => Outcome::Loaded(source),
            Err(error) => Outcome::Refused(1, error.to_string()),
        },
        Ok(Source::Generated(..)) => unreachable!("no generated file is asked for"),
        Err(FlagError::Usage(message)) => Outcome::Refused(2, message),
        Err(FlagError::Help) => Outcome::Refused(0, String::new()),
    }
}

fn json(value: &Value) -> Json {
    match value {
        Value::Text(text) => text.clone().into(),
        Value::Secret(text) => text.as_str().into(),
        Value::Switch(on) => (*on).into(),
        Value::Int(number) => (*number).into(),
        Value::Span(span) => span.to_string().into(),
        Value::List(items) => items.clone().into(),
    }
}

/// The option that a refusal is about: what stands in quotes or after two dashes in the recorded message.
fn blamed(message: &str) -> Vec<&'static str> {
    rows()
        .filter(|row| {
            message.contains(&format!("--{}\"", row.flag))
                || message.contains(&format!("'{}", row.key))
        })
        .map(|row| row.key)
        .collect()
}

#[test]
fn flags_environment_and_file_give_the_values_that_were_recorded() {
    let (mut same, mut refused, mut failures) = (0, 0, Vec::new());
    for vector in vectors("env-and-precedence.json") {
        let name = vector["name"].as_str().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let code = vector["exit_code"].as_i64().unwrap();
        match run(&vector, folder.path()) {
            Outcome::Refused(ours, message) if ours == code && names(&message, &vector) => {
                refused += 1;
            }
            Outcome::Refused(ours, message) => failures.push(format!("{name}: {ours} {message}")),
            Outcome::Loaded(_) if code != 0 => {
                failures.push(format!("{name}: oauth2-proxy refuses this"));
            }
            Outcome::Loaded(source) => {
                let wrong = wrong_values(&source, &vector);
                if wrong.is_empty() {
                    same += 1;
                } else {
                    failures.push(format!("{name}: {wrong:?}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!((same, refused), (195, 51));
}

/// Whether our refusal names the options that the recorded one names.
fn names(message: &str, vector: &Map<String, Json>) -> bool {
    blamed(vector["stderr"].as_str().unwrap()).iter().all(|key| {
        [(*key).to_owned(), key.replace('_', "-"), key.to_uppercase()]
            .iter()
            .any(|n| message.contains(n))
    })
}

fn wrong_values(source: &OptionSource, vector: &Map<String, Json>) -> Vec<String> {
    let mut values = source.values().unwrap_or_default();
    let mut wrong = Vec::new();
    for (key, expected) in vector["effective"].as_object().unwrap() {
        let ours = json(&values.take(key));
        let both_empty = ours == Json::Array(Vec::new()) && expected.is_null();
        if ours != *expected && !both_empty {
            wrong.push(format!("{key} is {ours}, not {expected}"));
        }
    }
    wrong
}

#[test]
fn an_option_that_is_not_supported_is_refused_by_name_and_never_ignored() {
    let mut refused = 0;
    for row in super::unsupported::UNSUPPORTED {
        let other = match row.kind {
            super::row::Kind::Switch | super::row::Kind::TextSwitch if row.default == "true" => {
                "false"
            }
            super::row::Kind::Switch | super::row::Kind::TextSwitch => "true",
            super::row::Kind::Int => "4711",
            super::row::Kind::Span => "4711s",
            _ => "s3cr3t-value",
        };
        for (value, named) in [(other, true), (row.default, false)] {
            let arguments = [format!("--{}={value}", row.flag)];
            let Ok(Source::Options(source)) = Source::from_flags(&arguments, Vec::new(), None)
            else {
                panic!("--{} does not take {value:?}", row.flag)
            };
            let found = source.load().map_or_else(problems_of, |loaded| loaded.problems);
            let message = found.0.iter().find(|problem| problem.field == row.flag);
            assert_eq!(message.is_some(), named, "--{}={value}", row.flag);
            assert!(!found.to_string().contains("s3cr3t-value"), "--{} shows its value", row.flag);
        }
        refused += 1;
    }
    assert_eq!(refused, 69);
}

fn problems_of(error: ReadError) -> Problems {
    match error {
        ReadError::Invalid(problems) => problems,
        other => panic!("{other}"),
    }
}
