//! Options from the TOML file of `--config`, weakly typed as oauth2-proxy reads it.
//!
//! Keys are case-insensitive; an unknown key is a problem, because an option that is ignored in front of an application
//! is a silent weakening.

use super::row::{Kind, Row};
use super::value::{GoDuration, Value, boolean, integer, separated};
use super::values::{Values, rows};
use proxy_config::Problems;
use toml::Value as Toml;
use zeroize::Zeroizing;

/// Reads the text of the file; problems name the key.
///
/// # Errors
/// Not TOML; says where and what.
pub(crate) fn parse(text: &str, problems: &mut Problems) -> Result<Values, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| place(text, &error))?;
    let mut values = Values::default();
    for (name, value) in &table {
        let key = name.to_lowercase();
        let Some(row) = rows().find(|row| row.key == key) else {
            problems.add(name, "no option has this key");
            continue;
        };
        if values.get(row.key).is_some() {
            problems.add(name, "the key occurs twice, in different case");
        }
        match convert(row, value) {
            Ok(value) => values.set(row, value),
            Err(what) => problems.add(name, what),
        }
    }
    Ok(values)
}

/// The message with its line, and the key if it is about one. The line itself is not shown: it may hold a secret.
fn place(text: &str, error: &toml::de::Error) -> String {
    let span = error.span().unwrap_or_default();
    let before = text.get(..span.start).unwrap_or_default();
    let key = text.get(span).filter(|text| rows().any(|row| row.key == *text));
    let key = key.map(|key| format!(" {key}")).unwrap_or_default();
    format!("line {}: {}{key}", before.matches('\n').count() + 1, error.message())
}

fn convert(row: &Row, value: &Toml) -> Result<Value, String> {
    Ok(match row.kind {
        Kind::Text => Value::Text(text(value).ok_or("not a text")?),
        Kind::Secret => Value::Secret(Zeroizing::new(text(value).ok_or("not a text")?)),
        Kind::Switch | Kind::TextSwitch => {
            Value::Switch(switch(value).ok_or("not a boolean: write true or false")?)
        }
        Kind::Int => Value::Int(int(value).ok_or("not a whole number")?),
        Kind::Span => Value::Span(span(value).ok_or(GoDuration::SYNTAX)?),
        Kind::List => Value::List(list(value)?),
    })
}

fn text(value: &Toml) -> Option<String> {
    match value {
        Toml::String(text) => Some(text.clone()),
        Toml::Integer(number) => Some(number.to_string()),
        Toml::Float(number) => Some(number.to_string()),
        Toml::Boolean(on) => Some(u8::from(*on).to_string()),
        Toml::Datetime(_) | Toml::Array(_) | Toml::Table(_) => None,
    }
}

fn switch(value: &Toml) -> Option<bool> {
    match value {
        Toml::Boolean(on) => Some(*on),
        Toml::Integer(number) => Some(*number != 0),
        Toml::Float(number) => Some(*number != 0.0),
        Toml::String(text) if text.is_empty() => Some(false),
        Toml::String(text) => boolean(text),
        Toml::Datetime(_) | Toml::Array(_) | Toml::Table(_) => None,
    }
}

fn int(value: &Toml) -> Option<i64> {
    match value {
        Toml::Integer(number) => Some(*number),
        Toml::Float(number) => Some(truncated(*number)),
        Toml::Boolean(on) => Some(i64::from(*on)),
        Toml::String(text) if text.is_empty() => Some(0),
        Toml::String(text) => integer(text),
        Toml::Datetime(_) | Toml::Array(_) | Toml::Table(_) => None,
    }
}

fn span(value: &Toml) -> Option<GoDuration> {
    match value {
        Toml::String(text) => GoDuration::parse(text),
        number => int(number).map(GoDuration),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "oauth2-proxy cuts the fraction off")]
fn truncated(number: f64) -> i64 {
    number as i64
}

fn list(value: &Toml) -> Result<Vec<String>, String> {
    match value {
        Toml::String(text) => Ok(separated(text)),
        Toml::Array(items) => items
            .iter()
            .enumerate()
            .map(|(i, item)| text(item).ok_or_else(|| format!("item {i} is not a text")))
            .collect(),
        Toml::Table(table) if table.is_empty() => Ok(Vec::new()),
        single => {
            text(single).map(|text| vec![text]).ok_or_else(|| "not a list of texts".to_owned())
        }
    }
}
