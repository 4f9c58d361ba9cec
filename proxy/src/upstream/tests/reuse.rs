//! Which connections are used again.

use super::{ASK, OK, Setup, Side, setup};
use crate::metrics::Event;
use crate::server::tests::support::Client;
use std::time::Duration;

const NO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";

/// A client that has had one answer, and the idle connection on which it came.
fn used() -> (Setup, Client, Side) {
    let setup = setup();
    let mut client = setup.running.connect();
    client.send(ASK.as_bytes());
    let mut side = Side::accept(&setup.listener);
    side.head();
    side.write(OK);
    assert_eq!(client.answer().body, "ok");
    (setup, client, side)
}

fn settle() {
    std::thread::sleep(Duration::from_millis(100));
}

#[test]
fn a_connection_that_was_closed_while_idle_is_not_even_tried() {
    let (setup, mut client, side) = used();
    drop(side);
    settle();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    let mut side = Side::accept(&setup.listener);
    side.head();
    assert_eq!(side.exactly(2), b"hi");
    side.write(OK);
    assert_eq!(client.answer().body, "ok");
    assert_eq!(setup.running.counted(Event::UpstreamRetried), 0);
}

#[test]
fn an_answer_that_nobody_asked_for_answers_nobody() {
    let (setup, mut client, mut side) = used();
    side.write(NO.as_bytes());
    settle();
    client.send(ASK.as_bytes());
    let mut fresh = Side::accept(&setup.listener);
    fresh.head();
    fresh.write(OK);
    assert_eq!(client.answer().body, "ok");
    assert!(side.is_closed());
}

#[test]
fn what_follows_an_answer_answers_nobody() {
    for answer in [
        [OK, NO.as_bytes()].concat(),
        [&b"HTTP/1.1 204 No Content\r\nContent-Length: 63\r\n\r\n"[..], NO.as_bytes()].concat(),
        [&b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"[..], NO.as_bytes()]
            .concat(),
    ] {
        let setup = setup();
        let mut client = setup.running.connect();
        client.send(ASK.as_bytes());
        let mut side = Side::accept(&setup.listener);
        side.head();
        side.write(&answer);
        assert_ne!(client.answer().body, "evil");
        client.send(ASK.as_bytes());
        let mut fresh = Side::accept(&setup.listener);
        fresh.head();
        fresh.write(OK);
        assert_eq!(client.answer().body, "ok");
        assert!(side.is_closed());
    }
}

#[test]
fn an_answer_with_many_lines_passes() {
    let setup = setup();
    let mut client = setup.running.connect();
    client.send(ASK.as_bytes());
    let mut side = Side::accept(&setup.listener);
    side.head();
    let lines: Vec<String> = (0..300).map(|index| format!("X-{index}: {index}\r\n")).collect();
    side.write(
        format!("HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n", lines.concat()).as_bytes(),
    );
    let answer = client.answer();
    assert_eq!((answer.status, answer.header("x-299")), (200, Some("299")));
}
