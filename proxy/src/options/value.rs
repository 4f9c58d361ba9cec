//! Values of options and the syntaxes they are written in, which are those of Go's standard library and of the flag
//! library that oauth2-proxy uses.
//!
//! Nothing here knows an option.

use super::row::Kind;
use proxy_config::Duration;
use std::fmt;
use zeroize::Zeroizing;

/// The value of an option.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// A text.
    Text(String),
    /// A text that is never printed.
    Secret(Zeroizing<String>),
    /// A boolean.
    Switch(bool),
    /// A whole number.
    Int(i64),
    /// A duration.
    Span(GoDuration),
    /// Several texts.
    List(Vec<String>),
}

impl Value {
    /// Reads a flag's value or a variable; lists are not read here, because the two differ there.
    ///
    /// # Errors
    /// What is wrong, as a fragment that does not repeat the value.
    pub(crate) fn scalar(kind: Kind, text: &str) -> Result<Self, &'static str> {
        Ok(match kind {
            Kind::Text => Self::Text(text.to_owned()),
            Kind::Secret => Self::Secret(Zeroizing::new(text.to_owned())),
            Kind::TextSwitch if text.is_empty() => Self::Switch(false),
            Kind::Switch | Kind::TextSwitch => {
                Self::Switch(boolean(text).ok_or("not a boolean: write true or false")?)
            }
            Kind::Int => Self::Int(integer(text).ok_or("not a whole number")?),
            Kind::Span => Self::Span(GoDuration::parse(text).ok_or(GoDuration::SYNTAX)?),
            Kind::List => Self::List(separated(text)),
        })
    }
}

/// Splits at every comma, as variables and TOML texts have it: no quoting, no trimming.
pub(crate) fn separated(text: &str) -> Vec<String> {
    if text.is_empty() { Vec::new() } else { text.split(',').map(str::to_owned).collect() }
}

/// Go's `ParseBool`.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Go's `ParseInt` with base 0: decimal, `0x`, `0o`, `0b`, a leading 0 for octal, `_` between digits.
pub(crate) fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, rest, prefixed) =
        match (lower.strip_prefix("0x"), lower.strip_prefix("0o"), lower.strip_prefix("0b")) {
            (Some(rest), _, _) => (16, rest, true),
            (_, Some(rest), _) => (8, rest, true),
            (_, _, Some(rest)) => (2, rest, true),
            _ if lower.len() > 1 && lower.starts_with('0') => {
                (8, lower.strip_prefix('0').unwrap_or_default(), true)
            }
            _ => (10, lower.as_str(), false),
        };
    let body = if prefixed { rest.strip_prefix('_').unwrap_or(rest) } else { rest };
    if body.is_empty()
        || body.starts_with(['_', '+', '-'])
        || body.ends_with('_')
        || body.contains("__")
    {
        return None;
    }
    let magnitude = i128::from(u64::from_str_radix(&body.replace('_', ""), radix).ok()?);
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// One CSV record (RFC 4180 as Go reads it): what a list flag's value is.
///
/// An empty text is an empty list; what follows an unquoted line break is dropped.
pub(crate) fn csv_record(text: &str) -> Option<Vec<String>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    let text = text.replace("\r\n", "\n");
    let text = text.trim_start_matches('\n');
    let mut rest = text.strip_suffix('\r').unwrap_or(text);
    if rest.is_empty() {
        return None;
    }
    let mut fields = Vec::new();
    loop {
        let (field, tail) = csv_field(rest)?;
        fields.push(field);
        match tail.strip_prefix(',') {
            Some(next) => rest = next,
            None => return Some(fields),
        }
    }
}

/// A field and what follows it: nothing, a comma or a line break.
fn csv_field(text: &str) -> Option<(String, &str)> {
    let Some(mut quoted) = text.strip_prefix('"') else {
        let end = text.find([',', '\n']).unwrap_or(text.len());
        let (field, tail) = text.split_at(end);
        return if field.contains('"') { None } else { Some((field.to_owned(), tail)) };
    };
    let mut field = String::new();
    loop {
        let (part, tail) = quoted.split_once('"')?;
        field.push_str(part);
        match tail.strip_prefix('"') {
            Some(next) => {
                field.push('"');
                quoted = next;
            }
            None => {
                return (tail.is_empty() || tail.starts_with([',', '\n'])).then_some((field, tail));
            }
        }
    }
}

/// A duration as Go has it: nanoseconds, possibly negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct GoDuration(pub(crate) i64);

impl GoDuration {
    /// What to write, for error messages.
    pub(crate) const SYNTAX: &'static str =
        "not a duration: write numbers with units such as 1h30m, 45s or 300ms";

    /// Go's `ParseDuration`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, magnitude) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if magnitude.starts_with(['+', '-']) {
            return None;
        }
        let nanos = i64::try_from(magnitude.parse::<Duration>().ok()?.get().as_nanos()).ok()?;
        Some(Self(if negative { -nanos } else { nanos }))
    }

    /// The length of time, unless it is negative.
    pub(crate) fn positive(self) -> Option<Duration> {
        u64::try_from(self.0).ok().map(|nanos| std::time::Duration::from_nanos(nanos).into())
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_str("-")?;
        }
        write!(f, "{}", Duration::from(std::time::Duration::from_nanos(self.0.unsigned_abs())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_go_literals() {
        for (text, value) in [
            ("010", Some(8)),
            ("0x_1F", Some(31)),
            ("0b11", Some(3)),
            ("-0o17", Some(-15)),
            ("1_000", Some(1000)),
            ("0", Some(0)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("_1", None),
            ("1__0", None),
            ("08", None),
            ("", None),
            ("+-1", None),
        ] {
            assert_eq!(integer(text), value, "{text}");
        }
    }

    #[test]
    fn csv_records_follow_gos_reader() {
        let record = |text: &str| csv_record(text).map(|fields| fields.join("|"));
        for (text, fields) in [
            ("a,b", Some("a|b")),
            ("a, b ,", Some("a| b |")),
            ("\"a,b\",c", Some("a,b|c")),
            ("\"a\"\"b\"", Some("a\"b")),
            ("a\nb", Some("a")),
            ("a\"b", None),
            ("\"a", None),
            ("\"a\"b", None),
            ("\n", None),
        ] {
            assert_eq!(record(text).as_deref(), fields, "{text:?}");
        }
        assert_eq!(csv_record(""), Some(Vec::new()));
    }

    #[test]
    fn durations_may_be_negative_but_signed_only_once() {
        assert_eq!(GoDuration::parse("-1.5h").map(|d| d.to_string()).as_deref(), Some("-1h30m0s"));
        for text in ["--1s", "-+1s", "+-1s", "-", ""] {
            assert_eq!(GoDuration::parse(text), None, "{text}");
        }
    }
}
