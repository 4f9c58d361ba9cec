//! Who somebody is, as plain data. Where it came from and what it allows is decided elsewhere.

/// A person or a service, as an identity provider described it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Subject, or the configured user claim; never empty in a session.
    pub(crate) user: String,
    /// E-mail address, as the provider wrote it.
    pub(crate) email: Option<String>,
    /// Groups, in the provider's order.
    pub(crate) groups: Vec<String>,
    /// `preferred_username`.
    pub(crate) preferred_username: Option<String>,
}

impl Identity {
    /// What logs and the `GAP-Auth` header show: the e-mail address, else the user.
    pub(crate) fn shown(&self) -> &str {
        self.email.as_deref().filter(|email| !email.is_empty()).unwrap_or(&self.user)
    }
}
