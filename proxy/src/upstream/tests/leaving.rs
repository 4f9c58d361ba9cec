//! Clients that leave, and what that costs the upstream.

use super::{ASK, Event, OK, Setup, Side, TcpListener, proxy_to, setup, target, to};
use crate::server::tests::support::{Client, Running, eventually};
use proxy_config::{Limits, Target};
use std::time::Duration;

#[test]
fn a_client_that_leaves_costs_one_connection_and_is_counted() {
    let setup = setup();
    let beginning = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbeginning";
    let early = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n";
    let upload = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\npart";
    for (count, (ask, answer)) in
        [(ASK, &b""[..]), (ASK, beginning), (upload, early), (upload, b"")].into_iter().enumerate()
    {
        let mut client = setup.running.connect();
        client.send(ask.as_bytes());
        let mut side = Side::accept(&setup.listener);
        side.head();
        side.write(answer);
        if !answer.is_empty() {
            client.until(b"begin");
        }
        assert_eq!(setup.running.counted(Event::UpstreamAbandoned), count as u64);
        drop(client);
        eventually(&format!("case {count} is counted"), || {
            setup.running.counted(Event::UpstreamAbandoned) == count as u64 + 1
        });
        side.until_closed();
    }
    assert_eq!(setup.running.counted(Event::UpstreamFailed), 0);
}

#[test]
fn answers_that_end_by_themselves_are_not_counted_as_left() {
    let setup = setup();
    let mut client = setup.running.connect();
    client.send(ASK.as_bytes());
    let mut side = Side::accept(&setup.listener);
    let answers: [&[u8]; 3] = [
        OK,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ];
    for answer in answers {
        side.head();
        side.write(answer);
        client.answer();
        client.send(ASK.as_bytes());
    }
    // One that the upstream breaks off, and none at all.
    side.head();
    side.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbeginning");
    client.until(b"beginning");
    drop(side);
    assert!(client.is_closed());
    let mut client = setup.running.connect();
    client.send(ASK.as_bytes());
    drop(Side::accept(&setup.listener));
    assert_eq!(client.answer().status, 502);
    assert_eq!(setup.running.counted(Event::UpstreamAbandoned), 0);
}

/// How often the proxies of these tests look whether a client is there.
const LOOKS: Duration = Duration::from_millis(100);

/// A proxy that looks after its clients more often than usual, so that nobody has to wait for it.
fn looking() -> Setup {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = target(format!("http://{}", listener.local_addr().unwrap()));
    let limits = Limits { workers: 1, header_timeout: (LOOKS * 4).into(), ..Limits::default() };
    Setup { running: Running::start(&limits, to(target)), listener }
}

/// The parser reads no further then, and would not see the end of the connection.
#[test]
fn a_client_that_leaves_is_missed_whatever_stands_behind_its_request() {
    let setup = looking();
    let wish = "GET /x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let begun = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n";
    for (ask, behind) in [
        (ASK, ""),
        (ASK, "\n"),
        (ASK, ASK),
        (ASK, "GET /y HTTP/1.1\r\nHo"),
        (ASK, "POST /y HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\npart"),
        ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", ASK),
        (wish, "early\n"),
    ] {
        for (answer, at_once) in [(&b""[..], true), (begun, true), (begun, false)] {
            let mut client = setup.running.connect();
            client.send([ask, if at_once { behind } else { "" }].concat().as_bytes());
            let mut side = Side::accept(&setup.listener);
            side.head();
            side.write(answer);
            if !answer.is_empty() {
                client.until(b"begin");
            }
            if !at_once {
                client.send(behind.as_bytes());
            }
            drop(client);
            side.until_closed();
        }
    }
    assert_eq!(setup.running.counted(Event::UpstreamFailed), 0);
}

/// As without anything behind the request: who says that nothing more comes is taken to have left.
#[test]
fn a_client_that_stays_gets_its_answers_whatever_stands_behind_its_request() {
    let setup = looking();
    let mut client = setup.running.connect();
    client.send([ASK, ASK, "\n"].concat().as_bytes());
    let mut side = Side::accept(&setup.listener);
    for _ in 0..2 {
        side.head();
        // Longer than it takes until somebody looks whether the client is there.
        std::thread::sleep(LOOKS * 5);
        side.write(OK);
        assert_eq!(client.answer().body, "ok");
    }
    assert_eq!(client.answer().status, 400);
}

/// Connections that wait for their handshake are being opened.
#[test]
fn a_worker_opens_only_so_many_connections_to_an_upstream_at_a_time() {
    const OPENING: usize = 64;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("https://{}", listener.local_addr().unwrap());
    let running = proxy_to(match target(uri) {
        Target::Http { uri, pass_host_header, proxy_web_sockets, timeout, .. } => Target::Http {
            uri,
            insecure_skip_tls_verify: true,
            pass_host_header,
            proxy_web_sockets,
            timeout,
        },
        other => other,
    });
    let clients: Vec<Client> = (0..OPENING + 20)
        .map(|_| {
            let mut client = running.connect();
            client.send(ASK.as_bytes());
            client
        })
        .collect();
    listener.set_nonblocking(true).unwrap();
    let mut sides = Vec::new();
    let accept = |sides: &mut Vec<_>, wanted: usize| {
        eventually("the connections come", || {
            sides.extend(listener.accept().ok());
            sides.len() == wanted
        });
        std::thread::sleep(Duration::from_millis(200));
        assert!(listener.accept().is_err(), "more than {wanted} at a time");
    };
    accept(&mut sides, OPENING);
    // Some fail, and as many others get their turn.
    sides.truncate(OPENING - 10);
    accept(&mut sides, OPENING);
    drop(sides);
    eventually("those that are left come", || {
        let _ = listener.accept();
        running.counted(Event::UpstreamFailed) == OPENING as u64 + 20
    });
    drop(clients);
}
