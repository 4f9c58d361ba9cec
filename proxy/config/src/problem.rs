//! Checks of values: everything that is wrong, at once, each with its field and what to do.

use crate::Config;
use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field, as a path such as `session.cookie.name`.
    pub field: String,
    /// What is wrong with it and what would be right; a lower-case fragment.
    pub message: String,
}

/// Everything that is wrong; never empty when returned as an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Notes a problem with `field`.
    pub fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { field: field.into(), message: message.into() });
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid configuration:")?;
        for Problem { field, message } in &self.0 {
            write!(f, "\n  {field}: {message}")?;
        }
        Ok(())
    }
}

impl Config {
    /// Checks all values that can be checked without reading another file or compiling a regular expression.
    ///
    /// # Errors
    /// All problems found.
    pub fn problems(&self) -> Result<(), Problems> {
        let mut problems = Problems::default();
        if self.listeners.http.is_none() && self.listeners.https.is_none() {
            problems.add("listeners", "one of http and https is needed");
        }
        if self.providers.len() != 1 {
            problems.add(
                "providers",
                format!("exactly one is needed, there are {}", self.providers.len()),
            );
        }
        if problems.0.is_empty() { Ok(()) } else { Err(problems) }
    }
}
