//! Whose e-mail address may pass: an exact domain or address, once it is the text of one.
//!
//! Only ASCII letters lose their case: a fold of more would make other characters equal to letters (U+212A to `k`).

use crate::secrets::read_named;
use proxy_config::{Access, Problems};
use std::collections::HashSet;
use std::path::Path;

/// The rules of one configuration. The file of addresses is read when they are compiled; a change of it is a reload.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct EmailRules {
    anybody: bool,
    /// Lower case, ASCII.
    domains: HashSet<String>,
    /// Lower case, beginning with a dot.
    below: Vec<String>,
    /// Lower case.
    addresses: HashSet<String>,
}

impl EmailRules {
    /// Compiles the rules and reads the file of addresses; a file that can not be read is noted.
    pub(crate) fn compile(access: &Access, problems: &mut Problems) -> Self {
        let mut rules = Self::default();
        for domain in &access.email_domains {
            let domain = domain.to_ascii_lowercase();
            match domain.strip_prefix('*').unwrap_or(&domain) {
                "" if domain == "*" => rules.anybody = true,
                below if below.starts_with('.') => rules.below.push(below.to_owned()),
                _ => {
                    rules.domains.insert(domain);
                }
            }
        }
        if let Some(path) = &access.emails_file {
            match read(path) {
                Ok(addresses) => rules.addresses = addresses,
                Err(what) => problems.add("access.emailsFile", what),
            }
        }
        rules
    }

    /// Whether a person with this address may pass. Without an address only where every address may.
    pub(crate) fn allow(&self, email: Option<&str>) -> bool {
        if self.anybody {
            return true;
        }
        let Some(email) = email.map(str::to_ascii_lowercase) else { return false };
        let Some(host) = domain_of(&email) else { return false };
        self.addresses.contains(&email)
            || self.domains.contains(host)
            || self.below.iter().any(|below| host.ends_with(below.as_str()))
    }
}

/// The domain of an address: something before exactly one `@` and something behind it, and nowhere a character that does not
/// show, or makes others show in another order. `None`: it is no address, and no rule covers it.
pub(super) fn domain_of(email: &str) -> Option<&str> {
    let (local, host) = email.split_once('@')?;
    let whole = !local.is_empty() && !host.is_empty() && !host.contains('@');
    (whole && !email.contains(is_unseen)).then_some(host)
}

/// Blanks, controls, and the marks of Unicode that have no width or turn the direction of writing.
fn is_unseen(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The first column of each line, lower-cased; lines that begin with `#` are comments.
fn read(path: &Path) -> Result<HashSet<String>, String> {
    let text = String::from_utf8(read_named(path)?)
        .map_err(|error| format!("the file {} is not UTF-8 text: {error}", path.display()))?;
    let first = |line: &str| {
        line.split(',')
            .next()
            .unwrap_or_default()
            .trim()
            .trim_matches('"')
            .trim()
            .to_ascii_lowercase()
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    Ok(lines.map(first).filter(|address| !address.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn rules(domains: &[&str]) -> EmailRules {
        let email_domains = domains.iter().map(|domain| (*domain).to_owned()).collect();
        EmailRules::compile(
            &Access { email_domains, ..Access::default() },
            &mut Problems::default(),
        )
    }

    #[test]
    fn a_domain_allows_its_own_addresses_only() {
        let rules = rules(&["Good.example"]);
        assert!(rules.allow(Some("a@good.example")) && rules.allow(Some("A@GOOD.example")));
        for email in [
            "a@sub.good.example",
            "a@evilgood.example",
            "a@good.example.evil",
            "a@evil@good.example",
            "good.example",
            "",
            "@",
        ] {
            assert!(!rules.allow(Some(email)), "{email}");
        }
        assert!(!rules.allow(None));
    }

    #[test]
    fn what_is_no_address_or_does_not_show_passes_under_no_domain() {
        let rules = rules(&["company.com", ".below.example"]);
        for email in [
            "@company.com",
            " a@company.com",
            "a @company.com",
            "a@company.com ",
            "a\r\nb@company.com",
            "a\u{a0}b@company.com",
            "a\0@company.com",
            "a@\u{212a}ompany.com",
            "a@\u{212a}ompany.com.below.example\u{200b}",
            "\u{202e}a@company.com",
            "a\u{200f}@company.com",
            "\u{2066}a\u{2069}@company.com",
            "a\u{ad}b@company.com",
            "a\u{e0020}@company.com",
            "\u{feff}a@company.com",
            "a\n@x.below.example",
            "a@x\r\n.below.example",
            "a@b@company.com",
            "a@\u{ff43}ompany.com",
        ] {
            assert!(!rules.allow(Some(email)), "{email:?}");
        }
        for email in
            ["A.b+c@COMPANY.com", "m\u{e4}ra@company.com", "'@company.com", "a@x.below.example"]
        {
            assert!(rules.allow(Some(email)), "{email:?}");
        }
    }

    #[test]
    fn an_address_is_compared_without_the_case_of_ascii_letters_alone() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        writeln!(file, "kim@One.example\n\u{c4}nne@one.example").expect("written");
        let access = Access { emails_file: Some(file.path().to_owned()), ..Access::default() };
        let rules = EmailRules::compile(&access, &mut Problems::default());
        assert!(rules.allow(Some("KIM@one.example")) && rules.allow(Some("\u{c4}nne@one.example")));
        for email in ["\u{212a}im@one.example", "\u{e4}nne@one.example", " kim@one.example"] {
            assert!(!rules.allow(Some(email)), "{email:?}");
        }
    }

    #[test]
    fn a_dot_or_a_star_allows_what_is_below() {
        for rule in [".good.example", "*.good.example"] {
            let rules = rules(&[rule]);
            assert!(rules.allow(Some("a@x.good.example")), "{rule}");
            assert!(
                !rules.allow(Some("a@good.example")) && !rules.allow(Some("a@xgood.example")),
                "{rule}"
            );
        }
    }

    #[test]
    fn a_star_allows_everybody_and_nothing_allows_nobody() {
        assert!(rules(&["*"]).allow(Some("x")) && rules(&["*"]).allow(None));
        assert!(!rules(&[]).allow(Some("a@good.example")));
        assert!(!rules(&[""]).allow(Some("a@good.example")), "an empty entry is no star");
    }

    #[test]
    fn addresses_of_the_file_pass() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        writeln!(file, "# people\n Mara@One.example ,x\n\"b@two.example\",y\n\n").expect("written");
        let access = Access { emails_file: Some(file.path().to_owned()), ..Access::default() };
        let rules = EmailRules::compile(&access, &mut Problems::default());
        assert!(rules.allow(Some("mara@one.EXAMPLE")) && rules.allow(Some("b@two.example")));
        assert!(!rules.allow(Some("c@one.example")) && !rules.allow(Some("# people")));
    }

    #[test]
    fn a_file_that_can_not_be_used_is_named() {
        let (long, odd) =
            (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
        long.as_file().set_len((16 << 20) + 1).unwrap();
        odd.as_file().write_all(b"a@one.example\n\xff\n").unwrap();
        for path in [Path::new("/nowhere/emails"), long.path(), odd.path()] {
            let access = Access { emails_file: Some(path.to_owned()), ..Access::default() };
            let mut problems = Problems::default();
            let rules = EmailRules::compile(&access, &mut problems);
            assert_eq!(problems.0.len(), 1);
            assert!(problems.0[0].message.contains(path.to_str().unwrap()), "{problems}");
            assert_eq!(rules, EmailRules::default());
        }
    }
}
