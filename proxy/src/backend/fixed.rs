//! An upstream that is only a status: for `auth_request` set-ups without a server behind us.

use crate::body::Body;
use http::{HeaderValue, Response, StatusCode, header};

/// Answers every request with the same status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fixed {
    status: StatusCode,
}

impl Fixed {
    /// `None` if the code is no final HTTP status.
    pub(crate) fn new(code: u16) -> Option<Self> {
        let status = StatusCode::from_u16(code)
            .ok()
            .filter(|status| (200..=599).contains(&status.as_u16()))?;
        Some(Self { status })
    }

    /// The response, with the body `Authenticated` unless the status forbids one (RFC 9110 section 6.4.1).
    pub(crate) fn respond(self) -> Response<Body> {
        let bodyless = matches!(
            self.status,
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
        );
        let mut response =
            Response::new(if bodyless { Body::empty() } else { Body::from("Authenticated") });
        *response.status_mut() = self.status;
        if !bodyless {
            let plain = HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, plain);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_the_configured_one_and_the_body_says_authenticated() {
        let response = Fixed::new(202).unwrap().respond();
        assert_eq!(response.status(), 202);
        assert_eq!(http_body::Body::size_hint(response.body()).exact(), Some(13));
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    }

    #[test]
    fn a_status_without_body_has_none() {
        for code in [204, 205, 304] {
            let response = Fixed::new(code).unwrap().respond();
            assert_eq!(http_body::Body::size_hint(response.body()).exact(), Some(0), "{code}");
        }
    }

    #[test]
    fn codes_that_are_no_final_status_are_refused() {
        for code in [0, 99, 100, 101, 199, 600, 1000] {
            assert_eq!(Fixed::new(code), None, "{code}");
        }
    }
}
