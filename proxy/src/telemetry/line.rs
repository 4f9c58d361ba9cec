//! One event as one line. Whatever its values hold, the line has one line break, at its end, and no escape code.

use super::AUTH;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::borrow::Cow;
use std::fmt::{self, Write as _};
use tracing::field::{Field, Visit};
use tracing::{Level, Metadata};

/// The parts of an event, cleaned.
pub(super) struct EventLine {
    level: Level,
    target: &'static str,
    time: Timestamp,
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl EventLine {
    /// An empty line for an event with this metadata.
    pub(super) fn new(metadata: &'static Metadata<'static>, time: Timestamp) -> Self {
        Self {
            level: *metadata.level(),
            target: metadata.target(),
            time,
            message: String::new(),
            fields: Vec::new(),
        }
    }

    /// A line with nothing but a message.
    pub(super) fn plain(level: Level, target: &'static str, time: Timestamp, text: &str) -> Self {
        Self { level, target, time, message: cleaned(text), fields: Vec::new() }
    }

    /// The form of oauth2-proxy's lines, followed by what fields are left.
    pub(super) fn text(&self, zone: &TimeZone) -> String {
        let time = self.time.to_zoned(zone.clone()).strftime("%Y/%m/%d %H:%M:%S");
        let mut line = if self.target == AUTH {
            let [client, id, user, status] =
                ["client", "request_id", "user", "status"].map(|name| self.value(name));
            let time = time.to_string();
            [&client, " - ", &id, " - ", &user, " [", &time, "] [", &status, "] ", &self.message]
                .concat()
        } else {
            let level = match self.level {
                Level::ERROR => "ERROR: ",
                Level::WARN => "WARNING: ",
                _ => "",
            };
            format!("[{time}] [{}] {level}{}", self.target, self.message)
        };
        for (name, value) in
            self.fields.iter().filter(|(name, _)| self.target != AUTH || !placed(name))
        {
            let quote = if value.is_empty() || value.contains([' ', '"', '=']) { "\"" } else { "" };
            // A backslash too: before a quote, or at the end, it would make text of what ends the value.
            let value = match quote {
                "" => value.clone(),
                _ => value.replace('\\', "\\\\").replace('"', "\\\""),
            };
            let _ = write!(line, " {name}={quote}{value}{quote}");
        }
        line.push('\n');
        line
    }

    /// `time`, `level`, `target`, `message`, then the fields by name.
    pub(super) fn json(&self) -> String {
        let mut object = serde_json::Map::new();
        object.insert("time".to_owned(), self.time.to_string().into());
        object.insert("level".to_owned(), self.level.as_str().to_lowercase().into());
        object.insert("target".to_owned(), self.target.into());
        object.insert("message".to_owned(), self.message.clone().into());
        for (name, value) in &self.fields {
            object.entry(*name).or_insert_with(|| value.clone().into());
        }
        let mut line = serde_json::Value::Object(object).to_string();
        line.push('\n');
        line
    }

    /// A field that has its place by the blanks around it, and so none of its own: an address may have some.
    fn value(&self, name: &str) -> Cow<'_, str> {
        match self.fields.iter().find(|(field, value)| *field == name && !value.is_empty()) {
            Some((_, value)) if value.contains(' ') => value.replace(' ', "\\x20").into(),
            Some((_, value)) => value.into(),
            None => "-".into(),
        }
    }

    fn add(&mut self, name: &'static str, value: &str) {
        let value = cleaned(value);
        if name == "message" { self.message = value } else { self.fields.push((name, value)) }
    }
}

impl Visit for EventLine {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field.name(), &format!("{value:?}"));
    }
}

fn placed(name: &str) -> bool {
    matches!(name, "client" | "request_id" | "user" | "status")
}

/// Control characters, line separators and the marks that reorder text become escapes.
fn cleaned(text: &str) -> String {
    // Most texts need nothing, which their bytes tell.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let forging = c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if forging => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(target: &'static str, fields: &[(&'static str, &str)]) -> EventLine {
        let time = "2026-11-23T03:54:20Z".parse().unwrap();
        let mut line = EventLine {
            level: Level::WARN,
            target,
            time,
            message: String::new(),
            fields: Vec::new(),
        };
        for (name, value) in fields {
            line.add(name, value);
        }
        line
    }

    #[test]
    fn a_line_has_the_form_of_oauth2_proxys() {
        let standard = line(
            "proxy::reload",
            &[("message", "kept the old one"), ("error", "no such file"), ("n", "3")],
        );
        assert_eq!(
            standard.text(&TimeZone::UTC),
            "[2026/11/23 03:54:20] [proxy::reload] WARNING: kept the old one error=\"no such file\" n=3\n"
        );
        let auth = line(
            AUTH,
            &[
                ("message", "signed in"),
                ("client", "192.0.2.1"),
                ("user", "u@x"),
                ("status", "AuthSuccess"),
            ],
        );
        assert_eq!(
            auth.text(&TimeZone::UTC),
            "192.0.2.1 - - - u@x [2026/11/23 03:54:20] [AuthSuccess] signed in\n"
        );
    }

    #[test]
    fn no_address_makes_a_line_that_reads_as_the_success_of_another() {
        let refused = line(
            AUTH,
            &[
                ("message", "not allowed"),
                ("user", "root@x [2026/11/23 03:54:20] [AuthSuccess] signed in"),
                ("status", "AuthFailure"),
            ],
        );
        assert_eq!(
            refused.text(&TimeZone::UTC),
            "- - - - root@x\\x20[2026/11/23\\x2003:54:20]\\x20[AuthSuccess]\\x20signed\\x20in [2026/11/23 03:54:20] [AuthFailure] not allowed\n"
        );
    }

    /// What a reader of such lines makes of the value of the first field.
    fn read_back(text: &str) -> (String, &str) {
        let Some(quoted) = text.strip_prefix('"') else {
            let (value, rest) = text.split_once(' ').unwrap();
            return (value.to_owned(), rest);
        };
        let (mut value, mut escaped) = (String::new(), false);
        for (at, c) in quoted.char_indices() {
            match c {
                '\\' if !escaped => escaped = true,
                '"' if !escaped => return (value, quoted.get(at + 2..).unwrap()),
                _ => {
                    escaped = false;
                    value.push(c);
                }
            }
        }
        panic!("no end: {text}");
    }

    #[test]
    fn a_value_with_quotes_and_backslashes_is_read_as_it_was_and_makes_no_other_field() {
        for value in [
            "plain",
            r"CORP\mara",
            "say \"hi\"",
            "x\" user=\"root\"",
            "x\\\" user=\"root\"",
            "x\\\\\" user=\"root\"",
            "ends with a blank and a backslash \\",
            "\"",
            "\\\"",
            "a=b",
            "",
        ] {
            let fields = [("message", "m"), ("error", value), ("n", "3")];
            let text = line("proxy", &fields).text(&TimeZone::UTC);
            let (_, fields) = text.split_once(" error=").unwrap();
            assert_eq!(read_back(fields), (value.to_owned(), "n=3\n"), "{text}");
        }
    }

    #[test]
    fn no_value_can_end_a_line_or_start_an_escape_code() {
        let hostile = "x\r\n[2026/11/23 00:00:00] forged \u{1b}[31m \u{9b}1m \u{2028} \u{202e}";
        for text in [
            line("proxy", &[("message", hostile)]).text(&TimeZone::UTC),
            line("proxy", &[("user", hostile)]).json(),
        ] {
            let (body, end) = text.split_at(text.len() - 1);
            assert_eq!(end, "\n");
            assert!(
                !body.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{202e}')),
                "{text:?}"
            );
        }
    }

    #[test]
    fn json_lines_have_stable_names_that_a_field_can_not_replace() {
        let text = line("proxy::x", &[("message", "m"), ("level", "forged"), ("user", "u")]).json();
        let object: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object["time"], "2026-11-23T03:54:20Z");
        assert_eq!(object["level"], "warn");
        assert_eq!(object["target"], "proxy::x");
        assert_eq!((&object["message"], &object["user"]), (&"m".into(), &"u".into()));
    }
}
