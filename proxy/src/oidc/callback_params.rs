//! The authorization response as it arrives in a query or a form (RFC 6749 section 4.1.2, RFC 9207), parsed strictly.

use percent_encoding::percent_decode;
use proxy_config::escapes_are_whole;
use zeroize::Zeroizing;

/// Parameters that may come once only (RFC 6749 section 3.1): a second one would let two readers see two things.
const ONCE: [&str; 12] = [
    "code",
    "state",
    "iss",
    "error",
    "error_description",
    "error_uri",
    "scope",
    "session_state",
    "id_token",
    "access_token",
    "token_type",
    "expires_in",
];

/// What the provider sent back. Nothing about it is trusted yet.
#[derive(Clone, Default)]
pub(crate) struct CallbackParams {
    pub(super) code: Option<Zeroizing<String>>,
    pub(super) state: Option<String>,
    pub(super) error: Option<String>,
    pub(super) error_description: Option<String>,
    /// Empty if it is there and empty: that is no issuer, and not the same as none.
    pub(super) issuer: Option<String>,
}

/// What only a reader looks at: a text that is broken there is shown as far as it can be read.
const WORDS: [&str; 2] = ["error_description", "error_uri"];

/// Why a text is no authorization response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParamsError {
    /// The same parameter twice.
    #[error("the parameter {0} is there twice")]
    Twice(&'static str),
    /// A `%` without two hexadecimal digits after it.
    #[error("a parameter has a broken percent escape")]
    Escape,
    /// Bytes that are no text.
    #[error("a parameter is not UTF-8")]
    Encoding,
}

impl CallbackParams {
    /// Parses `application/x-www-form-urlencoded` text: the query without its `?`, or the body of a `form_post`. Parameters
    /// that no response has are ignored; an empty value is as good as none (RFC 6749 section 3.1).
    ///
    /// # Errors
    /// See [`ParamsError`].
    pub(crate) fn parse(text: &str) -> Result<Self, ParamsError> {
        let mut params = Self::default();
        let mut seen = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name)?;
            let Some(name) = ONCE.into_iter().find(|known| *known == *name) else { continue };
            if seen.contains(&name) {
                return Err(ParamsError::Twice(name));
            }
            seen.push(name);
            if name == "iss" {
                params.issuer = Some(decode(value)?.to_string());
                continue;
            }
            let value = if WORDS.contains(&name) { lossy(value) } else { decode(value)? };
            let value = Some(value).filter(|value| !value.is_empty());
            match name {
                "code" => params.code = value,
                "state" => params.state = value.map(|v| v.to_string()),
                "error" => params.error = value.map(|v| v.to_string()),
                "error_description" => params.error_description = value.map(|v| v.to_string()),
                _ => {}
            }
        }
        Ok(params)
    }

    /// The `state`, to be compared with a [`super::LoginState`] before anything else is done.
    pub(crate) fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The error code, if the provider refused; untrusted text.
    pub(crate) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }
}

fn lossy(text: &str) -> Zeroizing<String> {
    let spaced = Zeroizing::new(text.replace('+', " "));
    Zeroizing::new(percent_decode(spaced.as_bytes()).decode_utf8_lossy().into_owned())
}

fn decode(text: &str) -> Result<Zeroizing<String>, ParamsError> {
    if !escapes_are_whole(text) {
        return Err(ParamsError::Escape);
    }
    if !text.contains(['%', '+']) {
        return Ok(Zeroizing::new(text.to_owned()));
    }
    let spaced = Zeroizing::new(text.replace('+', " "));
    let decoded: Vec<u8> = percent_decode(spaced.as_bytes()).collect();
    String::from_utf8(decoded).map(Zeroizing::new).map_err(|_| ParamsError::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_read_whatever_else_comes_with_it() {
        let params = CallbackParams::parse(
            "session_state=x&code=a%2Bb+c&state=h%3A%2Fpath&foo=1&foo=2&iss=https%3A%2F%2Fi",
        )
        .unwrap();
        assert_eq!(params.code.as_ref().map(|c| c.as_str()), Some("a+b c"));
        assert_eq!(params.state(), Some("h:/path"));
        assert_eq!(params.issuer.as_deref(), Some("https://i"));
        assert_eq!(params.error(), None);
    }

    #[test]
    fn a_parameter_twice_is_refused_even_under_escapes() {
        assert_eq!(
            CallbackParams::parse("code=a&state=s&code=a").err(),
            Some(ParamsError::Twice("code"))
        );
        assert_eq!(
            CallbackParams::parse("state=a&st%61te=b").err(),
            Some(ParamsError::Twice("state"))
        );
        assert_eq!(CallbackParams::parse("iss=a&iss=").err(), Some(ParamsError::Twice("iss")));
        assert_eq!(
            CallbackParams::parse("error=&error=x").err(),
            Some(ParamsError::Twice("error"))
        );
    }

    #[test]
    fn broken_text_is_refused() {
        for (text, error) in [
            ("code=%", ParamsError::Escape),
            ("code=%2", ParamsError::Escape),
            ("%zz=1", ParamsError::Escape),
        ] {
            assert_eq!(CallbackParams::parse(text).err(), Some(error), "{text}");
        }
        assert_eq!(CallbackParams::parse("state=%ff").err(), Some(ParamsError::Encoding));
    }

    #[test]
    fn words_for_the_reader_may_be_broken() {
        let params =
            CallbackParams::parse("error=access_denied&error_description=%E4%zz&error_uri=%")
                .unwrap();
        assert_eq!(params.error(), Some("access_denied"));
        assert_eq!(params.error_description.as_deref(), Some("\u{fffd}%zz"));
    }

    #[test]
    fn an_issuer_that_is_empty_is_there() {
        assert_eq!(CallbackParams::parse("code=c&iss=").unwrap().issuer.as_deref(), Some(""));
        assert_eq!(CallbackParams::parse("code=c").unwrap().issuer, None);
    }

    #[test]
    fn an_empty_value_is_no_value() {
        let params = CallbackParams::parse("&&code=&state&error=").unwrap();
        assert!(params.code.is_none() && params.state().is_none() && params.error().is_none());
    }
}
