//! Servers that leave bodies unread and take them for the next request: nobody may get another's answer, and no request that
//! this proxy did not make may say who asks.

use super::{ASK, OK, Setup, Side, handler, setup, target};
use crate::metrics::Event;
use crate::server::tests::support::{Client, Running, eventually};
use proxy_config::{Limits, Upstream};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How a server that leaves bodies unread answers. All of them close when they are asked to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// A handler that does not need the body.
    Handler,
    Files,
    Redirect,
    ErrorPage,
    /// Answers as soon as it has the first line.
    Early,
    /// Keeps the connection for a while after its last answer.
    Late,
}

const KINDS: [Kind; 6] =
    [Kind::Handler, Kind::Files, Kind::Redirect, Kind::ErrorPage, Kind::Early, Kind::Late];

/// First lines and heads, as they were taken for requests.
type Seen = Arc<Mutex<Vec<String>>>;

fn serve(kind: Kind) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let seen = Seen::default();
    let all = Arc::clone(&seen);
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let seen = Arc::clone(&all);
            // A client that leaves is the end of it.
            std::thread::spawn(move || drop(converse(kind, stream, &seen)));
        }
    });
    (address, seen)
}

fn converse(kind: Kind, stream: TcpStream, seen: &Seen) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while head.trim().is_empty() {
            head.clear();
            if stream.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let path = head.split_whitespace().nth(1).unwrap_or("nothing").to_owned();
        if kind == Kind::Early {
            answer(kind, &path, stream.get_mut())?;
        }
        while !head.ends_with("\n\r\n") {
            if stream.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        note(seen, &head);
        // What any real handler takes: so the next request may already wait when its answer comes.
        if path.starts_with("/admin") {
            std::thread::sleep(Duration::from_millis(30));
        }
        if kind != Kind::Early {
            answer(kind, &path, stream.get_mut())?;
        }
        if head.to_ascii_lowercase().contains("\r\nconnection: close\r\n") {
            if kind == Kind::Late {
                std::thread::sleep(Duration::from_millis(300));
            }
            return Ok(());
        }
    }
}

fn note(seen: &Seen, head: &str) {
    seen.lock().unwrap().push(head.to_owned());
}

fn answer(kind: Kind, path: &str, stream: &mut TcpStream) -> std::io::Result<()> {
    let status = match kind {
        Kind::Redirect => "302 Found\r\nLocation: /elsewhere",
        Kind::ErrorPage => "404 Not Found",
        _ => "200 OK",
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{path}", path.len())
}

fn proxy(address: &str, stranger: bool, reuse_after_body: bool) -> Running {
    let (id, path) = ("app".to_owned(), "/".to_owned());
    let target = target(address.to_owned());
    let upstream = Upstream { id, path, rewrite_target: None, reuse_after_body, target };
    Running::start(&Limits { workers: 1, ..Limits::default() }, handler(&upstream, stranger))
}

fn post(method: &str, body: &str) -> (String, String) {
    let head =
        format!("{method} /form HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    (head, body.to_owned())
}

const FORGED: &str =
    "/admin HTTP/1.1\r\nHost: a\r\nX-Forwarded-User: root\r\nContent-Length: 0\r\n\r\n";

/// Somebody posts `body` in the given pieces, then others ask: each gets the own answer.
fn attacked(running: &Running, seen: &Seen, pieces: &[&str], what: &str) {
    let mut attacker = running.connect();
    let before = seen.lock().unwrap().len();
    for (index, piece) in pieces.iter().enumerate() {
        if index > 0 {
            // However the proxy waits for more, the upstream has the head by then.
            eventually("the head has gone", || seen.lock().unwrap().len() > before);
        }
        attacker.send(piece.as_bytes());
    }
    for round in 0..3 {
        let mut victim = running.connect();
        let answer = victim.ask("GET /me HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(answer.body, "/me", "{what}, round {round}");
    }
    for head in seen.lock().unwrap().iter() {
        assert!(!head.contains("/admin"), "{what}: {head}");
        assert!(head.contains("\r\nX-Forwarded-User: ann\r\n"), "{what}: {head}");
    }
}

#[test]
fn a_request_in_a_body_reaches_nobody_and_its_answer_neither() {
    for kind in KINDS {
        let (address, seen) = serve(kind);
        let running = proxy(&address, false, true);
        for start in ["GET ", "get ", "\r\n\r\n  POST\t", "{}\r\nGET "] {
            let (head, body) = post("POST", &format!("{start}{FORGED}"));
            attacked(&running, &seen, &[&format!("{head}{body}")], &format!("{kind:?} {start:?}"));
            attacked(&running, &seen, &[&head, &body], &format!("{kind:?} {start:?}, late"));
        }
        let (head, body) = post("POST", &format!("GET {FORGED}"));
        let (begun, rest) = body.split_at(2);
        attacked(&running, &seen, &[&format!("{head}{begun}"), rest], &format!("{kind:?}, cut"));
        let chunked = format!(
            "POST /form HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        );
        attacked(&running, &seen, &[&chunked], &format!("{kind:?}, chunked"));
    }
}

#[test]
fn bodies_of_strangers_and_of_methods_without_any_leave_nothing_behind() {
    // A first line that is none, then a request: what a server that reads a line or a part of a body leaves over.
    let body = format!("{}\r\nGET {FORGED}", "x=".repeat(20_000));
    for kind in KINDS {
        let (address, seen) = serve(kind);
        let strangers = proxy(&address, true, true);
        let (head, body) = post("PUT", &body);
        attacked(&strangers, &seen, &[&format!("{head}{body}")], &format!("{kind:?} stranger"));
        let people = proxy(&address, false, true);
        for method in ["GET", "DELETE", "OPTIONS", "TRACE"] {
            let (head, body) = post(method, &body);
            attacked(&people, &seen, &[&format!("{head}{body}")], &format!("{kind:?} {method}"));
        }
        let known = proxy(&address, false, false);
        let (head, body) = post("POST", &body);
        attacked(&known, &seen, &[&format!("{head}{body}")], &format!("{kind:?} known"));
    }
}

/// The head with which `request` goes out on a new connection, which is answered.
fn head_of(setup: &Setup, client: &mut Client, request: &str) -> (String, Side) {
    client.send(request.as_bytes());
    let mut side = Side::accept(&setup.listener);
    let head = side.head();
    side.write(OK);
    assert_eq!(client.answer().body, "ok");
    (head, side)
}

const FORM: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na=1";

#[test]
fn an_ordinary_body_costs_no_connection() {
    let setup = setup();
    let mut client = setup.running.connect();
    let (head, mut side) = head_of(&setup, &mut client, FORM);
    assert!(!head.contains("Connection"), "{head}");
    for _ in 0..3 {
        assert_eq!(side.exactly(3), b"a=1");
        client.send(FORM.as_bytes());
        side.head();
        side.write(OK);
        assert_eq!(client.answer().body, "ok");
    }
    assert_eq!(setup.running.counted(Event::UpstreamConnected), 1);
}

#[test]
fn a_server_that_was_seen_to_answer_a_body_is_not_trusted_with_another() {
    let setup = setup();
    let mut client = setup.running.connect();
    let (_, mut side) = head_of(&setup, &mut client, FORM);
    assert_eq!(side.exactly(3), b"a=1");
    // Somebody else's request lies between; the connection has carried a body all the same.
    client.send(ASK.as_bytes());
    side.head();
    side.write(OK);
    assert_eq!(client.answer().body, "ok");
    side.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    // Until it is seen to have come, the connection may be used.
    std::thread::sleep(Duration::from_millis(100));
    let (_, fresh) = head_of(&setup, &mut client, ASK);
    assert!(side.is_closed());
    assert_eq!(setup.running.counted(Event::UpstreamUnasked), 1);
    drop(fresh);
    std::thread::sleep(Duration::from_millis(100));
    for _ in 0..2 {
        let (head, mut side) = head_of(&setup, &mut client, FORM);
        assert!(head.contains("\r\nConnection: close\r\n"), "{head}");
        assert_eq!(side.exactly(3), b"a=1");
        assert!(side.is_closed());
    }
    let (head, mut side) = head_of(&setup, &mut client, ASK);
    assert!(!head.contains("Connection"), "{head}");
    client.send(ASK.as_bytes());
    side.head();
}

#[test]
fn a_server_that_says_that_its_idle_time_is_over_is_trusted() {
    let setup = setup();
    let mut client = setup.running.connect();
    let (_, mut side) = head_of(&setup, &mut client, FORM);
    assert_eq!(side.exactly(3), b"a=1");
    side.write(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    drop(side);
    std::thread::sleep(Duration::from_millis(100));
    let (head, _side) = head_of(&setup, &mut client, FORM);
    assert!(!head.contains("Connection"), "{head}");
    assert_eq!(setup.running.counted(Event::UpstreamUnasked), 0);
}

#[test]
fn a_connection_that_is_bound_to_somebody_is_nobody_elses() {
    let setup = setup();
    let mut client = setup.running.connect();
    for (request, answer) in [
        (ASK, "401 Unauthorized\r\nWWW-Authenticate: Basic\r\nWWW-Authenticate: NTLM"),
        (ASK, "401 Unauthorized\r\nWWW-Authenticate: Negotiate"),
        (ASK, "407 Proxy Authentication Required\r\nProxy-Authenticate: negotiate x"),
        ("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: negotiate x\r\n\r\n", "200 OK"),
        ("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: NTLM x\r\n\r\n", "200 OK"),
    ] {
        client.send(request.as_bytes());
        let mut side = Side::accept(&setup.listener);
        side.head();
        side.write(format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n").as_bytes());
        client.answer();
        assert!(side.is_closed(), "{answer}");
    }
    for (request, answer) in [
        ("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic x\r\n\r\n", "200 OK"),
        (ASK, "401 Unauthorized\r\nWWW-Authenticate: Basic"),
        (ASK, "200 OK\r\nWWW-Authenticate: Negotiate"),
    ] {
        client.send(request.as_bytes());
        let mut side = Side::accept(&setup.listener);
        side.head();
        side.write(format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n").as_bytes());
        client.answer();
        client.send(ASK.as_bytes());
        side.head();
        side.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        client.answer();
    }
}
