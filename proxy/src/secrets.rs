//! The secrets of one configuration, read from the files it names.
//!
//! A secret that is missing, empty or unreadable is a problem that names its field and file. Values are wiped when
//! dropped, and nothing here can be printed.

use proxy_config::{Config, Problems, Provider, Secret, Store};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use zeroize::Zeroizing;

/// A secret is never longer; a larger file is a mistake, and reading it whole would be another.
const MAX_BYTES: u64 = 1 << 20;

/// No list of addresses or certificates is longer.
const MAX_NAMED: u64 = 16 << 20;

/// The text of a secret; wiped when dropped.
pub(crate) type SecretText = Zeroizing<String>;

/// A secret that need not be text; wiped when dropped.
pub(crate) type SecretBytes = Zeroizing<Vec<u8>>;

/// All secrets of a [`Config`], in its own order.
#[derive(Clone, PartialEq)]
pub(crate) struct Secrets {
    /// `session.keys`: the first seals, all open. Random bytes are as good as text, and oauth2-proxy takes them.
    pub(crate) session_keys: Vec<SecretBytes>,
    /// `providers`, with their secrets by value.
    pub(crate) providers: Vec<Provider>,
    /// `session.store.redis.url`; none for the cookie store.
    pub(crate) redis_url: Option<SecretText>,
    /// `session.store.redis.password`.
    pub(crate) redis_password: Option<SecretText>,
    /// `listeners.https.key`: a PEM private key.
    pub(crate) tls_key: Option<SecretText>,
}

impl Secrets {
    /// Reads every secret that `config` names; what can not be read is left out and noted.
    pub(crate) fn read(config: &Config, problems: &mut Problems) -> Self {
        let redis = match &config.session.store {
            Store::Redis(redis) => Some(redis),
            Store::Cookie => None,
        };
        let mut optional =
            |secret: Option<&Secret>, field: &str| secret.and_then(|s| text(s, field, problems));
        Self {
            redis_url: optional(redis.map(|r| &r.url), "session.store.redis.url"),
            redis_password: optional(
                redis.and_then(|r| r.password.as_ref()),
                "session.store.redis.password",
            ),
            tls_key: optional(
                config.listeners.https.as_ref().map(|l| &l.key),
                "listeners.https.key",
            ),
            providers: providers(&config.providers, problems),
            session_keys: session_keys(&config.session.keys, problems),
        }
    }
}

fn providers(providers: &[Provider], problems: &mut Problems) -> Vec<Provider> {
    let mut providers = providers.to_vec();
    for (i, provider) in providers.iter_mut().enumerate() {
        for (name, secret) in provider.secrets_mut() {
            let field = format!("providers[{i}].{name}");
            let read = secret.take().and_then(|secret| text(&secret, &field, problems));
            *secret = read.map(Secret::Value);
        }
    }
    providers
}

fn session_keys(keys: &[Secret], problems: &mut Problems) -> Vec<SecretBytes> {
    keys.iter()
        .enumerate()
        .filter_map(|(i, key)| read(key, &format!("session.keys[{i}]"), problems))
        .collect()
}

fn text(secret: &Secret, field: &str, problems: &mut Problems) -> Option<SecretText> {
    let bytes = read(secret, field, problems)?;
    let text = utf8(&bytes);
    text.map_err(|error| problems.add(field, unreadable(secret, &error))).ok()
}

fn read(secret: &Secret, field: &str, problems: &mut Problems) -> Option<SecretBytes> {
    let bytes = match secret {
        Secret::Value(text) => Zeroizing::new(text.as_bytes().to_vec()),
        Secret::File(path) => match read_file_bytes(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                problems.add(field, unreadable(secret, &error));
                return None;
            }
        },
    };
    if bytes.is_empty() {
        problems.add(field, format!("{} is empty: put the secret there", place(secret)));
        return None;
    }
    Some(bytes)
}

fn unreadable(secret: &Secret, error: &io::Error) -> String {
    format!("{} can not be read: {error}", place(secret))
}

fn place(secret: &Secret) -> String {
    secret.file().map_or_else(|| "the value".to_owned(), |p| format!("the file {}", p.display()))
}

fn utf8(bytes: &[u8]) -> io::Result<SecretText> {
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text");
    Ok(Zeroizing::new(std::str::from_utf8(bytes).map_err(not_text)?.to_owned()))
}

/// The text of a secret file without one line break at its end.
pub(crate) fn read_file(path: &Path) -> io::Result<SecretText> {
    utf8(&read_file_bytes(path)?)
}

/// The bytes of a secret file without one line break at its end.
pub(crate) fn read_file_bytes(path: &Path) -> io::Result<SecretBytes> {
    let mut bytes = Zeroizing::new(read_bytes(path, MAX_BYTES)?);
    let trimmed = bytes
        .strip_suffix(b"\n")
        .map_or(bytes.len(), |rest| rest.strip_suffix(b"\r").unwrap_or(rest).len());
    bytes.truncate(trimmed);
    Ok(bytes)
}

/// The bytes of a file of addresses or of certificates that a configuration names. Everybody who reads one does it here, so
/// that nobody reads what another has refused.
///
/// # Errors
/// A text that names the file.
pub(crate) fn read_named(path: &Path) -> Result<Vec<u8>, String> {
    read_bytes(path, MAX_NAMED)
        .map_err(|error| format!("the file {} can not be read: {error}", path.display()))
}

/// The bytes of a file of at most `max` bytes.
pub(crate) fn read_bytes(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let expected = file.metadata()?.len().min(max);
    // Whole from the start: a buffer that grows would leave copies of a secret behind.
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or_default() + 1);
    file.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        let limit = format!("it is larger than {max} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, limit));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_longer_than_any_is_refused_by_its_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (length, refused) in [(MAX_NAMED, false), (MAX_NAMED + 1, true)] {
            file.as_file().set_len(length).unwrap();
            let read = read_named(file.path());
            assert_eq!(read.as_ref().is_ok_and(|text| text.len() as u64 == length), !refused);
            let name = file.path().display().to_string();
            assert!(!refused || read.is_err_and(|error| error.contains(&name)));
        }
    }

    fn file(content: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    fn read_one(secret: &Secret) -> Result<String, String> {
        let mut problems = Problems::default();
        let text = text(secret, "session.keys[0]", &mut problems);
        text.map(|t| t.to_string()).ok_or_else(|| problems.to_string())
    }

    #[test]
    fn one_line_break_at_the_end_is_no_part_of_a_secret() {
        for (content, text) in [
            ("abc\n", "abc"),
            ("abc\r\n", "abc"),
            ("abc\n\n", "abc\n"),
            ("abc", "abc"),
            (" a ", " a "),
        ] {
            let file = file(content);
            assert_eq!(read_one(&Secret::File(file.path().into())), Ok(text.to_owned()));
        }
    }

    #[test]
    fn a_key_may_be_random_bytes_and_a_password_may_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [0xff; 32]).unwrap();
        let secret = Secret::File(file.path().into());
        let mut problems = Problems::default();
        let keys = session_keys(std::slice::from_ref(&secret), &mut problems);
        assert_eq!(keys.first().map(|key| key.len()), Some(32), "{problems}");
        assert!(read_one(&secret).unwrap_err().contains("it is not UTF-8 text"));
    }

    #[test]
    fn a_missing_or_empty_file_is_named_with_its_field() {
        let missing = read_one(&Secret::File("/nowhere/key".into())).unwrap_err();
        assert!(
            missing.contains("session.keys[0]: the file /nowhere/key can not be read"),
            "{missing}"
        );
        let empty = file("\n");
        let message = read_one(&Secret::File(empty.path().into())).unwrap_err();
        assert!(
            message.contains("is empty") && message.contains(&*empty.path().to_string_lossy()),
            "{message}"
        );
    }

    #[test]
    fn the_secret_of_each_generation_is_read_and_a_missing_one_named() {
        let present = file("new");
        let mut provider: Provider = serde_json::from_value(serde_json::json!({
            "id": "main", "clientId": "app", "issuerUrl": "https://id.example",
            "clientSecret": {"file": present.path()}, "credentialsGeneration": 1,
            "previousCredentials": [{"clientId": "app", "clientSecret": {"file": "/nowhere/old"}}],
        }))
        .unwrap();
        let mut problems = Problems::default();
        let read = providers(std::slice::from_ref(&provider), &mut problems);
        assert!(read[0].client_secret == Some(Secret::value("new")));
        let text = problems.to_string();
        let field = "providers[0].previousCredentials[0].clientSecret: the file /nowhere/old";
        assert!(text.contains(field), "{text}");
        let old = file("old");
        provider.previous_credentials[0].client_secret = Some(Secret::File(old.path().into()));
        let read = providers(&[provider], &mut Problems::default());
        assert!(read[0].previous_credentials[0].client_secret == Some(Secret::value("old")));
    }

    #[test]
    fn an_enormous_file_is_refused_without_reading_it_all() {
        let big = tempfile::NamedTempFile::new().unwrap();
        big.as_file().set_len(1 << 40).unwrap();
        assert!(
            read_one(&Secret::File(big.path().into()))
                .unwrap_err()
                .contains("larger than 1048576 bytes")
        );
    }
}
