//! Checks of values: everything that is wrong, at once, each with its field and what to do.
//!
//! No file is opened here, and of regular expressions only those of login parameters are compiled; the rest is for the
//! proxy, when it compiles the configuration.

mod access;
mod header;
mod http;
mod listener;
mod provider;
mod session;
mod text;
mod upstream;
mod warning;

pub use text::escapes_are_whole;

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
    /// Notes a problem with `field`; once, though two parts may find it.
    pub fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        let problem = Problem { field: field.into(), message: message.into() };
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    /// Notes `message` for `field` if `wrong`.
    pub(crate) fn add_if(&mut self, wrong: bool, field: &str, message: &str) {
        if wrong {
            self.add(field, message);
        }
    }

    /// Takes over the problems of `other`.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// An error if there is any problem.
    ///
    /// # Errors
    /// The problems themselves.
    pub fn into_result(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
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
    /// Checks all values that can be checked without reading another file; see the module for regular expressions.
    ///
    /// # Errors
    /// All problems found.
    pub fn problems(&self) -> Result<(), Problems> {
        let mut problems = Problems::default();
        session::check(&self.session, &mut problems);
        header::check(self, &mut problems);
        provider::check_all(&self.providers, &mut problems);
        access::check(&self.access, &mut problems);
        upstream::check(&self.upstreams, &mut problems);
        http::check(&self.http, &mut problems);
        http::check_logging(&self.logging, &mut problems);
        http::check_limits(&self.limits, &mut problems);
        listener::check(&self.listeners, self.http.force_https, &mut problems);
        problems.into_result()
    }

    /// Settings that are valid and weaken security; each says how.
    #[must_use]
    pub fn warnings(&self) -> Vec<Problem> {
        warning::all(self).0
    }
}

#[cfg(test)]
mod tests;
