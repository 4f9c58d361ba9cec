//! Answers that begin before their request has ended.

use super::{ASK, OK, Side, setup};
use std::io::{Read, Write};

const SIZE: usize = 16 << 20;

fn post(length: usize) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}

#[test]
fn neither_waits_for_the_other() {
    let setup = setup();
    let mut client = setup.running.connect();
    client.send(post(SIZE).as_bytes());
    let mut side = Side::accept(&setup.listener);
    side.head();
    // The client sends all before it reads a byte, and the upstream answers while it reads.
    let (mut reader, mut writer) = (side.stream.get_ref().try_clone().unwrap(), side);
    let answering = std::thread::spawn(move || {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
        writer.write(head.as_bytes());
        writer.write(&vec![b'd'; SIZE]);
    });
    let reading = std::thread::spawn(move || {
        let mut body = vec![0; SIZE];
        reader.read_exact(&mut body).unwrap();
        body.iter().all(|byte| *byte == b'u')
    });
    client.stream.write_all(&vec![b'u'; SIZE]).unwrap();
    assert!(reading.join().unwrap());
    let answer = client.answer();
    answering.join().unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.body.len() == SIZE && answer.body.bytes().all(|byte| byte == b'd'));
}

#[test]
fn nothing_is_sent_upstream_after_the_answer_and_the_client_may_send_on() {
    let chunks = format!("{SIZE:x}\r\n{}\r\n0\r\n\r\n", "u".repeat(SIZE));
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (head, body) in [(post(SIZE), "u".repeat(SIZE)), (chunked.to_owned(), chunks)] {
        let setup = setup();
        let mut client = setup.running.connect();
        client.send(head.as_bytes());
        let mut side = Side::accept(&setup.listener);
        side.head();
        side.write(OK);
        assert_eq!(client.answer().body, "ok");
        // Above all no end that could be taken for the request's own.
        assert!(side.is_closed());
        client.send(body.as_bytes());
        client.send(ASK.as_bytes());
        let mut side = Side::accept(&setup.listener);
        side.head();
        side.write(OK);
        assert_eq!(client.answer().body, "ok");
    }
}

#[test]
fn an_upstream_that_takes_no_more_is_still_heard() {
    let setup = setup();
    let mut client = setup.running.connect();
    client.send(post(SIZE).as_bytes());
    let mut side = Side::accept(&setup.listener);
    side.head();
    side.write(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 4\r\n\r\nno!\n");
    // Closing with unread bytes is a reset.
    client.send(&[b'u'; 1000]);
    std::thread::sleep(std::time::Duration::from_millis(100));
    drop(side);
    let answer = client.answer();
    assert_eq!((answer.status, answer.body.as_str()), (413, "no!\n"));
}

#[test]
fn a_client_that_leaves_ends_both() {
    let setup = setup();
    let mut client = setup.running.connect();
    client.send(post(SIZE).as_bytes());
    let mut side = Side::accept(&setup.listener);
    side.head();
    side.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nstart");
    client.until(b"start");
    drop(client);
    assert!(side.is_closed());
}
