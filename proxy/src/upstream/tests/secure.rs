//! Upstreams that speak TLS.

use super::{ASK, proxy_to};
use crate::body::Body;
use crate::metrics::Event;
use crate::server::tests::support::Running;
use http::Response;
use http_body_util::BodyExt;
use proxy_config::{Limits, Target};

#[test]
fn an_https_upstream_must_prove_itself_unless_told_otherwise() {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let certificate = crate::server::Certificate::new(
        made.cert.pem().as_bytes(),
        made.signing_key.serialize_pem().as_bytes(),
    );
    let app = Running::start_tls(
        &certificate.unwrap(),
        proxy_config::TlsVersion::Tls13,
        &Limits::default(),
        |_, _, request| async move {
            let version = request.version();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            Response::new(Body::full(format!("{version:?} {}", body.len())))
        },
    );
    let https = |insecure_skip_tls_verify| Target::Http {
        uri: format!("https://{}", app.address.unwrap()),
        insecure_skip_tls_verify,
        pass_host_header: true,
        proxy_web_sockets: true,
        timeout: proxy_config::Duration::from_secs(30),
    };
    let proxy = proxy_to(https(true));
    let mut client = proxy.connect();
    for size in [0, 1000, 3 << 20] {
        client.send(
            format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n").as_bytes(),
        );
        client.send(&vec![b'x'; size]);
        let answer = client.answer();
        assert_eq!((answer.status, answer.body), (200, format!("HTTP/1.1 {size}")));
    }
    assert_eq!(proxy.counted(Event::UpstreamConnected), 1);
    let answer = proxy_to(https(false)).connect().ask(ASK);
    assert_eq!((answer.status, answer.body.as_str()), (502, "connect"));
}
