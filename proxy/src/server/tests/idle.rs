//! Connections on which nothing, or too little, happens.

use super::hello;
use super::support::{Running, eventually};
use crate::body::Body;
use crate::metrics::Event;
use http::Response;
use proxy_config::{Duration, Limits};
use std::time::Duration as Std;

const ASK: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn milliseconds(count: u64) -> Duration {
    Std::from_millis(count).into()
}

#[test]
fn an_idle_connection_is_parked_and_serves_again() {
    // A quarter of it is how often a connection is looked after.
    let limits = Limits { workers: 1, header_timeout: milliseconds(2000), ..Limits::default() };
    let running = Running::start(&limits, |_, _, request| hello(request));
    let workers = running.server.as_ref().unwrap().workers();
    let mut client = running.connect();
    for _ in 0..2 {
        assert_eq!(client.ask(ASK).status, 200);
        eventually("the connection is parked", || {
            workers.iter().all(|worker| worker.busy.count() == 0)
        });
    }
    client.send(b"GET / HTTP/1.1\r\nHo");
    eventually("the connection is awake", || workers.iter().any(|worker| worker.busy.count() == 1));
    assert_eq!(client.ask("st: a\r\n\r\n").status, 200);
}

#[test]
fn in_a_crowd_a_connection_is_parked_at_once() {
    let running =
        Running::start(&Limits { workers: 1, ..Limits::default() }, |_, _, request| hello(request));
    let mut clients: Vec<_> = (0..320).map(|_| running.connect()).collect();
    let workers = running.server.as_ref().unwrap().workers();
    for _ in 0..2 {
        for client in &mut clients {
            assert_eq!(client.ask(ASK).status, 200);
        }
    }
    eventually("all connections are parked", || {
        workers.iter().all(|worker| worker.busy.count() == 0)
    });
    for client in &mut clients {
        client.send(ASK.repeat(2).as_bytes());
    }
    for client in &mut clients {
        assert_eq!((client.answer().status, client.answer().status), (200, 200));
    }
}

#[test]
fn a_connection_that_stays_idle_is_closed() {
    let limits = Limits { idle_timeout: milliseconds(300), ..Limits::default() };
    let running = Running::start(&limits, |_, _, request| hello(request));
    let mut client = running.connect();
    assert_eq!(client.ask(ASK).status, 200);
    assert!(client.is_closed());
}

#[test]
fn a_head_that_trickles_in_is_cut_off() {
    let limits = Limits { header_timeout: milliseconds(400), ..Limits::default() };
    let running = Running::start(&limits, |_, _, request| hello(request));
    for warm_up in [false, true] {
        let mut client = running.connect();
        if warm_up {
            assert_eq!(client.ask(ASK).status, 200);
        }
        client.send(b"GET / HTTP/1.1\r\nX: ");
        client.stream.set_read_timeout(Some(Std::from_millis(20))).unwrap();
        eventually("the connection is closed", || {
            use std::io::Write;
            client.stream.write_all(b"y").is_err() || client.is_closed()
        });
    }
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    let limits = Limits { header_timeout: milliseconds(200), ..Limits::default() };
    let running = Running::start(&limits, |_, _, request| hello(request));
    assert!(running.connect().is_closed());
}

fn impatient() -> Limits {
    Limits {
        header_timeout: milliseconds(200),
        stall_timeout: milliseconds(400),
        ..Limits::default()
    }
}

#[test]
fn a_body_that_the_client_does_not_send_is_cut_off() {
    let running = Running::start(&impatient(), |_, _, request| hello(request));
    let mut client = running.connect();
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n123");
    assert!(client.is_closed());
}

#[test]
fn a_client_that_takes_nothing_of_its_answers_is_cut_off() {
    let running = Running::start(&Limits { workers: 1, ..impatient() }, |_, _, _| async {
        Response::new(Body::full(vec![b'a'; 16 << 20]))
    });
    let mut clients: Vec<_> = (0..20).map(|_| running.connect()).collect();
    for client in &mut clients {
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    eventually("all are gone", || running.counted(Event::ConnectionClosed) == 20);
}

#[test]
fn while_only_the_upstream_is_silent_an_answer_may_take_its_time() {
    let running = Running::start(&impatient(), |_, _, _| async {
        tokio::time::sleep(Std::from_millis(1500)).await;
        Response::new(Body::from("late"))
    });
    assert_eq!(running.connect().ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").body, "late");
    let limits = Limits { stream_idle_timeout: milliseconds(400), ..impatient() };
    let running = Running::start(&limits, |_, _, _| std::future::pending::<Response<Body>>());
    let mut client = running.connect();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.is_closed());
}
