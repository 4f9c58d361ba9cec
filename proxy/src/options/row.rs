//! One row per option: its names, type, default, meaning, and whether it is supported.
//!
//! The rows are the only definition of an option: parsing, help, documentation, completions and the refusal of what is
//! not supported yet are all derived from them.

use super::value::{GoDuration, Value};
use zeroize::Zeroizing;

/// One option.
pub(crate) struct Row {
    /// Long flag without dashes; list flags are singular.
    pub(crate) flag: &'static str,
    /// Key in the TOML file; upper-cased and prefixed it is the environment variable.
    pub(crate) key: &'static str,
    /// Type of its value.
    pub(crate) kind: Kind,
    /// Default in the syntax of the environment variable; empty: none.
    pub(crate) default: &'static str,
    /// Lines of meaning, as doc comments leave them: each may start with a blank.
    pub(crate) help: &'static [&'static str],
    /// Section of help and documentation.
    pub(crate) group: Group,
    /// What happens when it is set.
    pub(crate) support: Support,
}

impl Row {
    /// The environment variable.
    pub(crate) fn variable(&self) -> String {
        format!("OAUTH2_PROXY_{}", self.key.to_uppercase())
    }

    /// The meaning as one line.
    pub(crate) fn meaning(&self) -> String {
        self.help.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }
}

/// Types of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// A text that is never printed.
    Secret,
    /// A boolean; as a flag it needs no value.
    Switch,
    /// A boolean whose flag takes a value all the same.
    TextSwitch,
    /// A whole number.
    Int,
    /// A duration in Go's syntax.
    Span,
    /// Several texts.
    List,
}

impl Kind {
    /// What stands for the value in help texts; none for switches.
    pub(crate) fn placeholder(self) -> Option<&'static str> {
        match self {
            Self::Text | Self::Secret => Some("TEXT"),
            Self::Switch => None,
            Self::TextSwitch => Some("BOOL"),
            Self::Int => Some("NUMBER"),
            Self::Span => Some("DURATION"),
            Self::List => Some("TEXT,..."),
        }
    }
}

/// What happens when an option is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Support {
    /// It goes into this field of the configuration.
    Field(&'static str),
    /// Refused unless it is set to its default: the parts that it needs are not there yet.
    Later,
    /// Refused unless it is set to its default, for this reason.
    Never(&'static str),
}

/// Sections of help and documentation; their titles say what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Provider,
    Session,
    Access,
    Upstream,
    Headers,
    Http,
    Listeners,
    Logging,
    Own,
    Later,
}

impl Group {
    /// All, in the order of help and documentation.
    pub(crate) const ALL: [Self; 9] = [
        Self::Provider,
        Self::Session,
        Self::Access,
        Self::Upstream,
        Self::Headers,
        Self::Http,
        Self::Listeners,
        Self::Logging,
        Self::Own,
    ];

    /// Heading.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Provider => "Identity provider",
            Self::Session => "Sessions and cookies",
            Self::Access => "Who may pass",
            Self::Upstream => "Upstreams",
            Self::Headers => "Identity headers",
            Self::Http => "Own endpoints, redirects, forwarded headers",
            Self::Listeners => "Listeners",
            Self::Logging => "Logging",
            Self::Own => "Beyond oauth2-proxy",
            Self::Later => "Not supported yet",
        }
    }
}

/// Maps a kind to the type of the field in `Options`; used by the `options!` macro.
pub(crate) trait FromValue {
    /// Takes the value, which the parsers made of the right kind.
    fn from_value(value: Value) -> Self;
}

macro_rules! from_value {
    ($($type:ty: $($variant:ident)|+),*) => {$(
        impl FromValue for $type {
            fn from_value(value: Value) -> Self {
                match value {
                    $(Value::$variant(inner) => inner,)+
                    _ => Self::default(),
                }
            }
        }
    )*};
}
from_value!(String: Text, Zeroizing<String>: Secret, bool: Switch, i64: Int, GoDuration: Span, Vec<String>: List);

/// The Rust type of a kind.
macro_rules! kind_type {
    (Text) => { String };
    (Secret) => { zeroize::Zeroizing<String> };
    (Switch) => { bool };
    (Int) => { i64 };
    (Span) => { $crate::options::value::GoDuration };
    (List) => { Vec<String> };
}
pub(crate) use kind_type;

/// Defines `Options`, the supported options as typed fields, and `SUPPORTED`, their rows.
macro_rules! options {
    ($($group:ident { $($(#[doc = $help:literal])+ $key:ident: $kind:ident = $default:literal, $flag:literal => $field:literal;)+ })+) => {
        /// The supported options with their final values: flags over environment over file over defaults.
        pub(crate) struct Options {
            $($(pub(crate) $key: $crate::options::row::kind_type!($kind),)+)+
        }

        impl Options {
            /// Takes the values of all supported options out of `values`.
            pub(crate) fn take(values: &mut $crate::options::values::Values) -> Self {
                use $crate::options::row::FromValue as _;
                Self { $($($key: <$crate::options::row::kind_type!($kind)>::from_value(values.take(stringify!($key))),)+)+ }
            }
        }

        /// The rows of the supported options.
        pub(crate) static SUPPORTED: &[$crate::options::row::Row] = &[$($($crate::options::row::Row {
            flag: $flag,
            key: stringify!($key),
            kind: $crate::options::row::Kind::$kind,
            default: $default,
            help: &[$($help),+],
            group: $crate::options::row::Group::$group,
            support: $crate::options::row::Support::Field($field),
        },)+)+];
    };
}
pub(crate) use options;
