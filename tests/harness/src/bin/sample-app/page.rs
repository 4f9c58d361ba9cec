//! The greeting: who the headers say is there.

use hyper::Response;
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderValue};

use crate::{Body, full, with_type};

const STYLE: &str = "\
:root{color-scheme:light dark;font:1.125rem/1.5 system-ui,sans-serif}\
body{margin:0;display:grid;min-height:100vh;place-items:center}\
main{box-sizing:border-box;width:100%;max-width:34rem;padding:1.5rem}\
h1{font-size:1.75rem;line-height:1.2;margin:0 0 1rem;overflow-wrap:anywhere}\
ul{padding:0;margin:.5rem 0 1.5rem;list-style:none;display:flex;flex-wrap:wrap;gap:.5rem}\
li{border:1px solid;border-radius:1rem;padding:.1rem .8rem;overflow-wrap:anywhere}\
a{display:inline-block;padding:.4rem 0;margin-right:1.5rem}";

/// The page for the person whom `X-Forwarded-*` names, or for nobody.
pub(crate) fn greeting(headers: &HeaderMap) -> Response<Body> {
    let mut response = with_type(Response::new(full(render(headers))), "text/html; charset=utf-8");
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'";
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn render(headers: &HeaderMap) -> String {
    let named = ["x-forwarded-preferred-username", "x-forwarded-email", "x-forwarded-user"];
    let name = named.iter().find_map(|header| value(headers, header));
    let (title, body) = match name {
        Some(name) => (format!("Hello, {}", escape(&name)), person(headers)),
        None => (
            "Nobody is signed in".to_owned(),
            "<p>This request carries no <code>X-Forwarded-User</code>: there is no login in front of this app.</p>"
                .to_owned(),
        ),
    };
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head>\
         <body><main><h1>{title}</h1>{body}</main></body></html>\n"
    )
}

fn person(headers: &HeaderMap) -> String {
    let email = value(headers, "x-forwarded-email").map_or_else(String::new, |email| {
        format!("<p>You are signed in as {}.</p>", escape(&email))
    });
    format!(
        "{email}{}<nav aria-label=\"Further\"><a href=\"/headers\">What this app received</a>\
         <a href=\"/oauth2/sign_out\">Sign out</a></nav>",
        groups(headers)
    )
}

fn groups(headers: &HeaderMap) -> String {
    let groups = value(headers, "x-forwarded-groups").unwrap_or_default();
    let items = groups
        .split(',')
        .map(str::trim)
        .filter(|group| !group.is_empty())
        .fold(String::new(), |items, group| items + "<li>" + &escape(group) + "</li>");
    if items.is_empty() {
        return "<p>You are in no groups.</p>".to_owned();
    }
    format!("<h2 id=\"groups\">Your groups</h2><ul aria-labelledby=\"groups\">{items}</ul>")
}

fn value(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?;
    let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
    (!text.is_empty()).then_some(text)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(pairs: &[(&'static str, &'static str)]) -> String {
        let headers = pairs.iter().map(|(name, value)| {
            (hyper::header::HeaderName::from_static(name), HeaderValue::from_static(value))
        });
        render(&headers.collect())
    }

    #[test]
    fn person_is_greeted_by_name_and_groups() {
        let page = page(&[
            ("x-forwarded-user", "7f3a"),
            ("x-forwarded-preferred-username", "alice"),
            ("x-forwarded-groups", "staff, ops"),
        ]);
        assert!(page.contains("<h1>Hello, alice</h1>"), "{page}");
        assert!(page.contains("<li>staff</li><li>ops</li>"), "{page}");
    }

    #[test]
    fn request_without_a_person_says_so() {
        assert!(page(&[]).contains("<h1>Nobody is signed in</h1>"));
    }

    #[test]
    fn markup_in_a_name_is_shown_not_run() {
        let page = page(&[("x-forwarded-user", "<script>alert(1)</script>")]);
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"), "{page}");
    }
}
