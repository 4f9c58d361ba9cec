//! Parameters of an own endpoint, from its query and, for `POST`, `PUT` and `PATCH`, a form in its body. The
//! body counts before the query, as in Go's `FormValue`.

use super::visit::Visit;
use crate::percent;
use http::request::Parts;
use http::{Method, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// No form that we read is longer, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// No request of ours has more parameters.
const MAX_PARAMETERS: usize = 1000;

/// The texts of query and body, as received.
pub(super) struct Form {
    query: Zeroizing<String>,
    body: Zeroizing<String>,
}

/// Why there are no parameters. The text has nothing of what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormError {
    /// `%` without two hexadecimal digits, a semicolon, or no UTF-8.
    #[error("the parameters are not well-formed")]
    Malformed,
    /// More than we read.
    #[error("the form is longer than {MAX_BODY} bytes")]
    TooLong,
    /// More parameters than we read.
    #[error("there are more than {MAX_PARAMETERS} parameters")]
    TooMany,
    /// The client went away.
    #[error("the form did not arrive")]
    Broken,
    /// The client was silent, or sent byte by byte.
    #[error("the form did not arrive in time")]
    Late,
}

impl Form {
    /// Reads query and body. The whole of a body gets the time that the head of a request gets: it is no longer than one,
    /// and who sends it needs no session.
    ///
    /// # Errors
    /// See [`FormError`].
    pub(super) async fn read(visit: &mut Visit<'_>) -> Result<Self, FormError> {
        let head = &visit.from.head;
        let query = Zeroizing::new(head.uri.query().unwrap_or_default().to_owned());
        let has_form = matches!(head.method, Method::POST | Method::PUT | Method::PATCH)
            && head
                .headers
                .get(header::CONTENT_TYPE)
                .is_some_and(|value| is_form(value.as_bytes()));
        let Some(body) = visit.body.take().filter(|_| has_form) else {
            return Ok(Self { query, body: Zeroizing::default() });
        };
        let limit = visit.from.site.config.limits.header_timeout.get();
        let body = timeout(limit, read_body(body)).await.map_err(|_| FormError::Late)??;
        Ok(Self { query, body })
    }

    /// The query alone, of a request whose body belongs to the application.
    pub(super) fn of_query(head: &Parts) -> Self {
        let query = Zeroizing::new(head.uri.query().unwrap_or_default().to_owned());
        Self { query, body: Zeroizing::default() }
    }

    /// The first value of a parameter; those of the body come first.
    ///
    /// # Errors
    /// Any parameter is malformed.
    pub(super) fn get(&self, name: &str) -> Result<Option<String>, FormError> {
        Ok(self.pairs()?.into_iter().find(|(key, _)| key == name).map(|(_, value)| value))
    }

    /// All parameters; those of the body come first.
    ///
    /// # Errors
    /// Any parameter is malformed, or there are too many.
    pub(super) fn pairs(&self) -> Result<Vec<(String, String)>, FormError> {
        let pairs = self.body.split('&').chain(self.query.split('&'));
        let pairs = pairs.filter(|pair| !pair.is_empty()).enumerate().map(|(count, pair)| {
            if count == MAX_PARAMETERS {
                return Err(FormError::TooMany);
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(name)?, decoded(value)?))
        });
        pairs.collect()
    }

    /// The text that holds an authorization response. Body and query are read as one, so that a parameter that stands in both
    /// is there twice.
    pub(super) fn response(&self) -> Zeroizing<String> {
        Zeroizing::new([self.body.as_str(), "&", self.query.as_str()].concat())
    }
}

pub(super) fn decoded(text: &str) -> Result<String, FormError> {
    percent::decoded(text).ok_or(FormError::Malformed)
}

fn is_form(content_type: &[u8]) -> bool {
    let kind = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    kind.eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

async fn read_body(body: Incoming) -> Result<Zeroizing<String>, FormError> {
    let bytes = match Limited::new(body, MAX_BODY).collect().await {
        Ok(collected) => Zeroizing::new(collected.to_bytes().to_vec()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(FormError::TooLong);
        }
        Err(_) => return Err(FormError::Broken),
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| FormError::Malformed)?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(query: &str, body: &str) -> Form {
        Form { query: Zeroizing::new(query.to_owned()), body: Zeroizing::new(body.to_owned()) }
    }

    #[test]
    fn the_body_comes_first_and_the_first_value_counts() {
        let form = form("rd=%2Fquery&rd=x&a=b+c%20d", "rd=/body");
        assert_eq!(form.get("rd"), Ok(Some("/body".to_owned())));
        assert_eq!(form.get("a"), Ok(Some("b c d".to_owned())));
        assert_eq!(form.get("RD"), Ok(None));
    }

    #[test]
    fn more_parameters_than_anybody_sends_are_refused() {
        let query = "&a=b".repeat(MAX_PARAMETERS);
        assert_eq!(form(&query, "").get("a"), Ok(Some("b".to_owned())));
        assert_eq!(form(&query, "a=b").get("a"), Err(FormError::TooMany));
    }

    #[test]
    fn one_malformed_parameter_spoils_all() {
        for query in ["rd=%zz", "rd=/ok&x=%2", "rd=/ok;x=1", "%=1", "rd=%ff"] {
            assert_eq!(form(query, "").get("rd"), Err(FormError::Malformed), "{query}");
        }
    }
}
