//! The sign-in page, the page after a sign-out, and the error page.
//!
//! Every value is escaped by the templates, which are checked when the crate is compiled; nothing is loaded from outside;
//! the policy allows the one style sheet and the one script by their hashes and nothing else. A page never shows a token,
//! a cookie or the text of an internal error: what it says is chosen by whoever asks for it.

use askama::Template;
use aws_lc_rs::digest;
use base64_simd::STANDARD;
use http::{HeaderName, HeaderValue, StatusCode, header};
use std::sync::LazyLock;

const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/fragment.js");

/// A rendered page.
pub(crate) struct Page {
    /// HTML text.
    pub(crate) html: String,
    /// Headers that belong to it; each replaces one of its name.
    pub(crate) headers: [(HeaderName, HeaderValue); 5],
}

/// What the sign-in page shows.
pub(crate) struct SignIn<'a> {
    /// Name of the provider on the button.
    pub(crate) provider: &'a str,
    /// Where the login is to lead back to; the browser's script adds the fragment of its address, which no server sees.
    pub(crate) redirect: &'a str,
    /// Path of the own endpoints, such as `/oauth2`.
    pub(crate) prefix: &'a str,
    /// A sentence above the button; empty: none.
    pub(crate) message: &'a str,
}

/// What the page shows that a sign-out at the provider leads back to.
pub(crate) struct SignedOut<'a> {
    /// Path of the own endpoints, such as `/oauth2`.
    pub(crate) prefix: &'a str,
    /// The sign-out was begun in this browser, whose session has ended with it. Otherwise there may still be one.
    pub(crate) certain: bool,
}

/// What the error page shows.
pub(crate) struct ErrorPage<'a> {
    /// Status of the response; also chooses the title and, if there is no message, a stock sentence.
    pub(crate) status: StatusCode,
    /// What the person should know; empty: the stock sentence.
    pub(crate) message: &'a str,
    /// By which the request is found in the log; empty: not shown.
    pub(crate) request_id: &'a str,
    /// Where "go back" leads and a new login leads back to: a path or an `http(s)` URL. Otherwise there are no buttons.
    pub(crate) redirect: &'a str,
    /// Path of the own endpoints, such as `/oauth2`.
    pub(crate) prefix: &'a str,
    /// A new login asks for another account.
    pub(crate) another_account: bool,
}

impl SignIn<'_> {
    /// The page.
    pub(crate) fn render(&self) -> Page {
        let Self { provider, redirect, prefix, message } = *self;
        let template =
            SignInTemplate { style: STYLE, script: SCRIPT, provider, redirect, prefix, message };
        page(&template, &SIGN_IN_POLICY)
    }
}

impl SignedOut<'_> {
    /// The page.
    pub(crate) fn render(&self) -> Page {
        let Self { prefix, certain } = *self;
        page(&SignedOutTemplate { style: STYLE, prefix, certain }, &PLAIN_POLICY)
    }
}

impl ErrorPage<'_> {
    /// The page.
    pub(crate) fn render(&self) -> Page {
        let Self { status, message, request_id, redirect, prefix, another_account } = *self;
        let navigable =
            ["/", "http://", "https://"].iter().any(|start| redirect.starts_with(start));
        let template = ErrorTemplate {
            style: STYLE,
            code: status.as_u16(),
            title: status.canonical_reason().unwrap_or("Error"),
            message: if message.is_empty() { stock_message(status) } else { message },
            request_id,
            redirect: if navigable { redirect } else { "" },
            prefix,
            another_account,
        };
        page(&template, &PLAIN_POLICY)
    }
}

#[derive(Template)]
#[template(path = "sign_in.html", config = ".askama.toml")]
struct SignInTemplate<'a> {
    style: &'static str,
    script: &'static str,
    provider: &'a str,
    redirect: &'a str,
    prefix: &'a str,
    message: &'a str,
}

#[derive(Template)]
#[template(path = "signed_out.html", config = ".askama.toml")]
struct SignedOutTemplate<'a> {
    style: &'static str,
    prefix: &'a str,
    certain: bool,
}

#[derive(Template)]
#[template(path = "error.html", config = ".askama.toml")]
struct ErrorTemplate<'a> {
    style: &'static str,
    code: u16,
    title: &'a str,
    message: &'a str,
    request_id: &'a str,
    redirect: &'a str,
    prefix: &'a str,
    another_account: bool,
}

fn stock_message(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "This request could not be understood.",
        StatusCode::UNAUTHORIZED => "You need to sign in to see this page.",
        StatusCode::FORBIDDEN => "You do not have permission to see this page.",
        StatusCode::NOT_FOUND => "There is nothing at this address.",
        StatusCode::INTERNAL_SERVER_ERROR => {
            "Something went wrong on our side. Please try again later."
        }
        StatusCode::BAD_GATEWAY => {
            "The application does not answer at the moment. Please try again later."
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            "Signing in is not possible at the moment. Please try again in a minute."
        }
        _ => "Something unexpected happened.",
    }
}

static SIGN_IN_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    policy(&format!("script-src {}; style-src {}", source(SCRIPT), source(STYLE)))
});
static PLAIN_POLICY: LazyLock<HeaderValue> =
    LazyLock::new(|| policy(&format!("style-src {}", source(STYLE))));

/// Forms may lead anywhere over HTTP: browsers apply `form-action` to redirects too, and a login is redirected to the
/// provider and from there to hosts that nobody here knows.
fn policy(sources: &str) -> HeaderValue {
    const REST: &str = "base-uri 'none'; form-action 'self' https: http:; frame-ancestors 'none'";
    let text = format!("default-src 'none'; {sources}; {REST}");
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

fn source(inline: &str) -> String {
    let hash = digest::digest(&digest::SHA256, inline.as_bytes());
    format!("'sha256-{}'", STANDARD.encode_to_string(hash.as_ref()))
}

fn page(template: &impl Template, policy: &LazyLock<HeaderValue>) -> Page {
    Page {
        // Writing to a String can not fail, and the values are plain texts and numbers.
        html: template.render().unwrap_or_default(),
        headers: [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
            (header::CONTENT_SECURITY_POLICY, HeaderValue::clone(policy)),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        ],
    }
}

#[cfg(test)]
mod tests;
