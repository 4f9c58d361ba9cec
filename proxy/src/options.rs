//! The two front ends of the configuration: the generated file, and oauth2-proxy's flags, environment and TOML file.
//!
//! Both produce one [`Config`]; nothing behind this module knows which. A source can be read again, so that a reload sees
//! the files as they are then. Nothing here compiles or starts anything.

pub(crate) mod completions;
mod convert;
mod cookie_secret;
mod digest;
pub(crate) mod document;
mod environment;
mod file;
pub(crate) mod flags;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod generated;
mod pod;
mod row;
mod spelling;
mod supported;
mod unsupported;
mod value;
mod values;

#[cfg(test)]
mod golden;

pub(crate) use pod::PodPorts;

use crate::secrets;
use proxy_config::{Config, ParseError, Problems};
use std::io;
use std::path::{Path, PathBuf};
use supported::Options;
use values::Values;

/// A configuration file is never larger.
const MAX_BYTES: u64 = 8 << 20;

/// Where the configuration comes from.
#[derive(Clone)]
pub(crate) enum Source {
    /// The versioned JSON file of `--generated-config`, and the ports of the pod.
    Generated(PathBuf, PodPorts),
    /// Flags, environment and, if there is one, the TOML file.
    Options(OptionSource),
}

/// The front end that oauth2-proxy has.
#[derive(Clone)]
pub(crate) struct OptionSource {
    /// From the command line.
    flags: Values,
    /// All environment variables.
    environment: Vec<(String, String)>,
    /// `--config`.
    file: Option<PathBuf>,
}

/// A configuration that was read; its values are not checked yet.
pub(crate) struct Loaded {
    /// The configuration.
    pub(crate) config: Config,
    /// Lower-case hexadecimal SHA-256 of the generated file's bytes; none for the other front end.
    pub(crate) hash: Option<String>,
    /// What is wrong so far.
    pub(crate) problems: Problems,
    /// How the front end calls the fields of the configuration.
    spelling: spelling::Spelling,
    /// A newer file that is not for this pod.
    pub(crate) passed_over: Option<generated::PassedOver>,
}

/// Why no configuration could be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The file is missing or unreadable.
    #[error("the configuration file {path} can not be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The generated file is not what the schema says.
    #[error("the configuration file {path} is refused: {source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Field and reason.
        source: ParseError,
    },
    /// The TOML file is not TOML.
    #[error("the configuration file {path} is not TOML: {message}")]
    Toml {
        /// The file.
        path: PathBuf,
        /// Line and reason.
        message: String,
    },
    /// Values that could not be read, or options that are not supported.
    #[error(transparent)]
    Invalid(#[from] Problems),
}

impl Source {
    /// Reads a command line that has no `--generated-config`.
    pub(crate) fn from_flags(
        arguments: &[String],
        environment: Vec<(String, String)>,
        file: Option<PathBuf>,
    ) -> Result<Self, flags::FlagError> {
        Ok(Self::Options(OptionSource { flags: flags::parse(arguments)?, environment, file }))
    }

    /// A generated file; no other option may be set beside it, since it would be ignored.
    pub(crate) fn from_file(
        (path, ports): (PathBuf, PodPorts),
        arguments: &[String],
        environment: &[(String, String)],
    ) -> Result<Result<Self, Problems>, flags::FlagError> {
        let values = flags::parse(arguments)?;
        let mut problems = Problems::default();
        for row in values::rows().filter(|row| values.get(row.key).is_some()) {
            problems
                .add(row.flag, "this option has no effect with --generated-config: leave it out");
        }
        for name in environment::set(environment) {
            problems.add(name, "this variable has no effect with --generated-config: leave it out");
        }
        Ok(if problems.0.is_empty() { Ok(Self::Generated(path, ports)) } else { Err(problems) })
    }

    /// Reads the configuration as it is now.
    ///
    /// # Errors
    /// It can not be read at all. Wrong values are in [`Loaded::problems`].
    pub(crate) fn load(&self) -> Result<Loaded, ReadError> {
        match self {
            Self::Generated(path, ports) => generated::load(path, *ports),
            Self::Options(source) => source.load(),
        }
    }

    /// The files that may hold the configuration itself.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Generated(path, _) => generated::files(path),
            Self::Options(source) => source.file.iter().cloned().collect(),
        }
    }
}

impl Loaded {
    /// `problems` with fields spelled as the front end spells them.
    pub(crate) fn spell(&self, problems: Problems) -> Problems {
        self.spelling.apply(problems)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ReadError> {
    secrets::read_bytes(path, MAX_BYTES)
        .map_err(|source| ReadError::Read { path: path.to_owned(), source })
}

impl OptionSource {
    fn load(&self) -> Result<Loaded, ReadError> {
        let mut values = self.values()?;
        let mut problems = Problems::default();
        values.refuse_unsupported(&mut problems);
        let spelling = spelling::Spelling::of(&values);
        let options = Options::take(&mut values);
        let config = convert::convert(&options, &mut problems);
        Ok(Loaded { config, hash: None, problems, spelling, passed_over: None })
    }

    /// All values: flags over environment over file.
    fn values(&self) -> Result<Values, ReadError> {
        let mut problems = Problems::default();
        let file = match &self.file {
            None => Values::default(),
            Some(path) => {
                let bytes = read(path)?;
                let text = String::from_utf8_lossy(&bytes);
                file::parse(&text, &mut problems)
                    .map_err(|message| ReadError::Toml { path: path.clone(), message })?
            }
        };
        let environment = environment::parse(&self.environment, &mut problems);
        if problems.0.is_empty() {
            Ok(self.flags.clone().over(environment.over(file)))
        } else {
            Err(problems.into())
        }
    }
}
