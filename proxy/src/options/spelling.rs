//! Problems are found in fields of the configuration; a person reads about what they wrote. This translates.

use super::row::Support;
use super::supported::SUPPORTED;
use super::values::Values;
use proxy_config::{Problem, Problems};
use std::collections::BTreeSet;

/// How a front end calls the fields of the configuration.
pub(crate) enum Spelling {
    /// By their paths in the generated file.
    Fields,
    /// By flags; the set holds the keys that were set by hand.
    Flags(BTreeSet<&'static str>),
}

impl Spelling {
    /// The spelling of flags, for these values.
    pub(super) fn of(values: &Values) -> Self {
        Self::Flags(
            SUPPORTED
                .iter()
                .filter(|row| values.get(row.key).is_some())
                .map(|row| row.key)
                .collect(),
        )
    }

    /// `problems` in this spelling.
    pub(super) fn apply(&self, problems: Problems) -> Problems {
        match self {
            Self::Fields => problems,
            Self::Flags(set) => {
                Problems(problems.0.into_iter().map(|problem| spelled(problem, set)).collect())
            }
        }
    }
}

fn spelled(problem: Problem, set: &BTreeSet<&'static str>) -> Problem {
    let Some((field, rest)) = longest_field(&problem.field) else { return problem };
    let rows = || SUPPORTED.iter().filter(|row| row.support == Support::Field(field));
    let mut flags: Vec<_> =
        rows().filter(|row| set.contains(row.key)).map(|row| row.flag).collect();
    if flags.is_empty() {
        flags = rows().map(|row| row.flag).collect();
    }
    // An index counts in the list of one option; what is below it has no name there.
    let index = rest
        .split_once(']')
        .map(|(index, _)| format!("{index}]"))
        .filter(|_| rest.starts_with('['));
    let index = index.filter(|_| flags.len() == 1).unwrap_or_default();
    Problem { field: format!("{}{index}", flags.join(" or ")), message: problem.message }
}

/// The longest field of any option that `path` is or lies in, and what follows it.
fn longest_field(path: &str) -> Option<(&'static str, &str)> {
    SUPPORTED
        .iter()
        .filter_map(|row| match row.support {
            Support::Field(field) => path.strip_prefix(field).map(|rest| (field, rest)),
            Support::Later | Support::Never(_) => None,
        })
        .filter(|(_, rest)| rest.is_empty() || rest.starts_with(['.', '[']))
        .max_by_key(|(field, _)| field.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(field: &str, set: &[&'static str]) -> String {
        let mut problems = Problems::default();
        problems.add(field, "x");
        Spelling::Flags(set.iter().copied().collect()).apply(problems).0.remove(0).field
    }

    #[test]
    fn a_field_is_called_by_the_flag_that_sets_it() {
        assert_eq!(name("session.cookie.name", &[]), "cookie-name");
        assert_eq!(name("access.trustedIps[2]", &[]), "trusted-ip[2]");
        assert_eq!(name("upstreams[1].target.uri", &["upstreams"]), "upstream[1]");
        assert_eq!(name("nothing.like.it", &[]), "nothing.like.it");
    }

    #[test]
    fn of_several_flags_the_one_that_was_used_is_named() {
        assert_eq!(name("session.keys[0]", &["cookie_secret_file"]), "cookie-secret-file");
        assert_eq!(name("session.keys[0]", &[]), "cookie-secret or cookie-secret-file");
    }
}
