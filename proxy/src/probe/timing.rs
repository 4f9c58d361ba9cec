//! Parts of the request path, for `cargo bench` to time one by one.

use crate::cookie::OwnCookies;
use crate::routing::{NormalPath, Normalised, RouteTable};
use crate::server::Framing;
use crate::session::{KeyRing, Purpose};
use crate::upstream::{Forwarded, IdentityLines, Injection, Names, Outgoing};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use proxy_config::{Problems, Target, Upstream};
use std::hint::black_box;

/// A name, and what to do again and again.
pub type Part = (&'static str, Box<dyn FnMut()>);

/// The head of a request as a browser sends it, with a session cookie of the usual size.
fn head() -> String {
    format!(
        "GET /app/page?x=1 HTTP/1.1\r\nHost: app.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\
         Accept: text/html,application/xhtml+xml\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, br\r\n\
         Connection: keep-alive\r\nReferer: https://app.example/\r\nCookie: theme=dark; _oauth2_proxy={}; lang=en\r\n\
         Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\n\r\n",
        "c".repeat(1200)
    )
}

/// Everything there is to time.
#[must_use]
pub fn parts() -> Vec<Part> {
    vec![
        ("framing of a head of 1.6 KB", framing()),
        ("head of the upstream's request written", headers()),
        ("path normalised and routed among 20", routing()),
        ("session cookie of 1.2 KB opened", opening()),
    ]
}

fn framing() -> Box<dyn FnMut()> {
    let (bytes, mut framing) = (head(), Framing::new(64 * 1024));
    Box::new(move || {
        let _ = black_box(framing.feed(black_box(bytes.as_bytes())));
    })
}

fn headers() -> Box<dyn FnMut()> {
    let mut map = HeaderMap::new();
    for (name, value) in head().lines().skip(1).filter_map(|line| line.split_once(": ")) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            map.append(name, value);
        }
    }
    let names = Names::compile(["X-Forwarded-User"], None);
    let cookies = OwnCookies::new("_oauth2_proxy");
    let injected = ["x-forwarded-user", "x-forwarded-email", "x-forwarded-groups"].map(|name| {
        (HeaderName::from_static(name), HeaderValue::from_static("someone@app.example"))
    });
    let (ready, host) = (IdentityLines::new(&injected), HeaderValue::from_static("app.example"));
    let mut request = Request::new(());
    *request.headers_mut() = map;
    Box::new(move || {
        let forwarded = Forwarded::Replace { https: false, host: None };
        let injection = Injection {
            names: &names,
            headers: Some(&ready),
            cookies: &cookies,
            forwarded,
            other_method: true,
            stranger: false,
        };
        let outgoing = Outgoing::of(black_box(&request), &host);
        black_box(outgoing.write(&injection));
    })
}

fn routing() -> Box<dyn FnMut()> {
    let upstream = |n: usize| Upstream {
        id: n.to_string(),
        path: if n == 0 { "/".to_owned() } else { format!("/service-{n}/") },
        rewrite_target: None,
        reuse_after_body: true,
        target: Target::Static { code: 200 },
    };
    let upstreams: Vec<Upstream> = (0..20).map(upstream).collect();
    let table = RouteTable::compile(&upstreams, &mut Problems::default());
    let target = PathAndQuery::from_static("/app/some/deeper/page?x=1&y=2");
    Box::new(move || {
        if let Ok(Normalised::Path(path)) = NormalPath::of(black_box(&target)) {
            let _ = black_box(table.find(&path));
        }
    })
}

fn opening() -> Box<dyn FnMut()> {
    let ring = KeyRing::new(&["0123456789abcdef0123456789abcdef"]);
    let name = "_oauth2_proxy";
    let text =
        ring.as_ref().map(|ring| ring.seal(Purpose::Session, name, &[7; 850])).unwrap_or_default();
    Box::new(move || {
        let opened = ring
            .as_ref()
            .map(|ring| ring.open(Purpose::Session, name, black_box(&text), 64 * 1024));
        let _ = black_box(opened.is_ok());
    })
}
