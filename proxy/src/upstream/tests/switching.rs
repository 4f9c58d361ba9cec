//! Upgrades.

use super::{ASK, OK, Side, setup, setup_with};
use crate::metrics::Event;
use crate::server::Drain;
use crate::server::tests::support::eventually;
use proxy_config::Target;
use std::time::Duration;

const WISH: &[u8] =
    b"GET /socket HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n";
const SWITCH: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: y\r\n\r\n";

#[test]
fn bytes_go_both_ways_after_an_upgrade() {
    let setup = setup();
    let mut client = setup.running.connect();
    client.send(WISH);
    let mut side = Side::accept(&setup.listener);
    let head = side.head();
    assert!(
        head.contains("Connection: upgrade\r\n") && head.contains("Upgrade: websocket\r\n"),
        "{head}"
    );
    assert!(head.contains("Sec-Websocket-Key: x\r\n"), "{head}");
    // What the upstream sends along with its answer must not be lost.
    side.write(&[SWITCH, b"\n\x00first"].concat());
    let head = String::from_utf8(client.until(b"\r\n\r\n")).unwrap();
    assert!(
        head.starts_with("HTTP/1.1 101") && head.contains("Sec-Websocket-Accept: y\r\n"),
        "{head}"
    );
    assert_eq!(client.exactly(7), b"\n\x00first");
    for round in 0..100_u8 {
        client.send(&[round, b'\n', b'\r']);
        assert_eq!(side.exactly(3), [round, b'\n', b'\r']);
        side.write(&[round]);
        assert_eq!(client.exactly(1), [round]);
    }
    drop(client);
    assert!(side.is_closed());
}

#[test]
fn an_upgrade_is_not_asked_for_where_it_is_not_allowed() {
    let setup = setup_with(|uri| Target::Http {
        uri,
        insecure_skip_tls_verify: false,
        pass_host_header: true,
        proxy_web_sockets: false,
        timeout: proxy_config::Duration::from_secs(30),
    });
    let mut client = setup.running.connect();
    client.send(WISH);
    let mut side = Side::accept(&setup.listener);
    let head = side.head();
    assert!(!head.contains("Upgrade"), "{head}");
    side.write(SWITCH);
    let answer = client.answer();
    assert_eq!((answer.status, answer.body.as_str()), (502, "upgrade"));
}

#[test]
fn other_versions_of_http_are_never_asked_for() {
    let setup = setup();
    for protocol in ["h2c", "websocket, H2C", "HTTP/2.0", "TLS/1.3"] {
        let mut client = setup.running.connect();
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: x\r\nUpgrade: {protocol}\r\n\r\n").as_bytes());
        let mut side = Side::accept(&setup.listener);
        let head = side.head();
        assert!(
            !head.contains("Upgrade") && !head.contains("Http2-Settings"),
            "{protocol}: {head}"
        );
        drop(client);
        assert!(side.is_closed());
    }
}

#[test]
fn an_upstream_that_switches_to_something_else_is_an_error() {
    let setup = setup();
    let mut client = setup.running.connect();
    client.send(WISH);
    let mut side = Side::accept(&setup.listener);
    side.head();
    side.write(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n",
    );
    let answer = client.answer();
    assert_eq!((answer.status, answer.body.as_str()), (502, "upgrade"));
}

#[test]
fn an_upgrade_that_is_turned_down_is_an_ordinary_answer() {
    let setup = setup();
    let mut client = setup.running.connect();
    client.send(WISH);
    let mut side = Side::accept(&setup.listener);
    side.head();
    side.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 4\r\n\r\nno!\n");
    assert_eq!(client.answer().body, "no!\n");
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    side.head();
}

/// Such bytes are no HTTP, whatever stands in them, if the other protocol is granted.
#[test]
fn what_a_client_sends_before_the_switch_reaches_the_upstream_and_nothing_stays_behind() {
    const EARLY: &[u8] = b"\x81\x01x\n\n";
    let setup = setup();
    for round in 1..=2 {
        let mut client = setup.running.connect();
        let at_once = round == 1;
        client.send(&if at_once { [WISH, EARLY].concat() } else { WISH.to_vec() });
        let mut side = Side::accept(&setup.listener);
        side.head();
        if !at_once {
            client.send(EARLY);
        }
        side.write(SWITCH);
        client.until(b"\r\n\r\n");
        client.send(b"\nlater");
        assert_eq!(side.exactly(EARLY.len() + 6), [EARLY, b"\nlater"].concat());
        side.write(b"answer");
        assert_eq!(client.exactly(6), b"answer");
        drop(client);
        assert!(side.is_closed());
        drop(side);
        eventually("the connection is given back", || {
            setup.running.counted(Event::ConnectionClosed) == round
        });
    }
    assert_eq!(setup.running.counted(Event::FramingRefused), 0);
}

#[test]
fn what_a_client_sends_behind_a_wish_that_is_turned_down_is_judged_as_http() {
    let setup = setup();
    let ask = |behind: &[u8]| {
        let mut client = setup.running.connect();
        // Twice, because the second stands in what is held back behind the first.
        client.send(&[WISH, WISH, behind].concat());
        let mut side = Side::accept(&setup.listener);
        for _ in 0..2 {
            side.head();
            side.write(OK);
            assert_eq!(client.answer().body, "ok");
        }
        (client, side)
    };
    let (mut client, mut side) = ask(ASK.as_bytes());
    assert!(side.head().starts_with("GET /x "));
    side.write(OK);
    assert_eq!(client.answer().body, "ok");
    drop((client, side));
    for behind in [
        "\n\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /smuggled HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    ] {
        let (mut client, side) = ask(behind.as_bytes());
        assert_eq!(client.answer().status, 400, "{behind:?}");
        assert!(client.is_closed());
        drop(side);
    }
    assert_eq!(setup.running.counted(Event::FramingRefused), 2);
}

#[test]
fn an_upgraded_connection_is_cut_off_when_the_drain_is_over() {
    let mut setup = setup();
    let mut client = setup.running.connect();
    client.send(WISH);
    let mut side = Side::accept(&setup.listener);
    side.head();
    side.write(SWITCH);
    client.until(b"\r\n\r\n");
    let server = setup.running.server.take().unwrap();
    let worker = server.workers().remove(0);
    let draining = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(
            server.drain(Drain { linger: Duration::ZERO, timeout: Duration::from_millis(500) }),
        );
    });
    eventually("it is stopping", || worker.busy.is_stopping());
    client.send(b"still there");
    assert_eq!(side.exactly(11), b"still there");
    draining.join().unwrap();
    assert!(client.is_closed());
}

#[test]
fn an_upgrade_is_not_asked_for_together_with_a_body() {
    let setup = setup();
    let mut client = setup.running.connect();
    client.send(&[&WISH[..WISH.len() - 2], b"Content-Length: 4\r\n\r\nhalf"].concat());
    let mut side = Side::accept(&setup.listener);
    let head = side.head();
    assert!(!head.contains("Upgrade") && head.contains("Connection: close\r\n"), "{head}");
    assert_eq!(side.exactly(4), b"half");
    side.write(SWITCH);
    let answer = client.answer();
    assert_eq!((answer.status, answer.body.as_str()), (502, "upgrade"));
    assert!(side.is_closed());
}
