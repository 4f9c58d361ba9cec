//! Whose e-mail address may pass (`reference/endpoints.md` section 9): exactly one `@`, and an exact domain or address.

use proxy_config::{Access, Problems};
use std::collections::HashSet;
use std::path::Path;

/// The rules of one configuration. The file of addresses is read when they are compiled; a change of it is a reload.
#[derive(Debug, Default)]
pub(crate) struct EmailRules {
    anybody: bool,
    /// Lower case.
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
            let domain = domain.to_lowercase();
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
                Err(error) => problems.add(
                    "access.emailsFile",
                    format!("the file {} can not be read: {error}", path.display()),
                ),
            }
        }
        rules
    }

    /// Whether a person with this address may pass. Without an address only where every address may.
    pub(crate) fn allow(&self, email: Option<&str>) -> bool {
        if self.anybody {
            return true;
        }
        let Some(email) = email.map(str::to_lowercase) else { return false };
        if self.addresses.contains(&email) {
            return true;
        }
        let Some((_, host)) = email.split_once('@').filter(|(_, host)| !host.contains('@')) else {
            return false;
        };
        self.domains.contains(host) || self.below.iter().any(|below| host.ends_with(below.as_str()))
    }
}

/// The first column of each line, lower-cased; lines that begin with `#` are comments.
fn read(path: &Path) -> std::io::Result<HashSet<String>> {
    let text = std::fs::read_to_string(path)?;
    let first = |line: &str| {
        line.split(',').next().unwrap_or_default().trim().trim_matches('"').trim().to_lowercase()
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
    fn a_missing_file_is_named() {
        let access = Access { emails_file: Some("/nowhere/emails".into()), ..Access::default() };
        let mut problems = Problems::default();
        EmailRules::compile(&access, &mut problems);
        assert_eq!(problems.0.len(), 1);
        assert!(problems.0[0].message.contains("/nowhere/emails"), "{problems}");
    }
}
