use super::{Answer, Connection, Error, ROOM, Silence, Unanswered, Upload, ask, take};
use crate::stream::Stream;
use bytes::BytesMut;
use http::{Method, Request};
use http_body_util::BodyExt;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::Instant;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn pair() -> (Box<Connection>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Box::new(Connection::new(Stream::Unix(ours), Arc::default())), theirs)
}

/// What comes of a request to which the other side says `answer` and then goes away.
async fn asked(method: Method, answer: &str) -> Result<Answer, Box<Unanswered>> {
    let (connection, mut theirs) = pair();
    theirs.write_all(answer.as_bytes()).await.unwrap();
    theirs.shutdown().await.unwrap();
    let request = Request::builder().method(method).body(()).unwrap();
    let answer = ask(connection, Box::new(Upload::plain(&request))).await;
    theirs.read_buf(&mut Vec::new()).await.unwrap();
    answer
}

#[tokio::test]
async fn only_a_connection_that_gave_no_answer_is_tried_anew() {
    let again = async |answer| asked(Method::GET, answer).await.err().unwrap().again().map(drop);
    for answer in ["", "rest of another", "\r\nHTTP/1.1 200 OK\r\n\r\n"] {
        assert!(again(answer).await.is_ok(), "{answer:?}");
    }
    let broken = ["H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n"];
    for answer in broken {
        assert!(matches!(again(answer).await, Err(Error::Broken(_))), "{answer:?}");
    }
    let wrong = ["HTTP/1.1 200 OK\r\nA B: 1\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\nnonsense"];
    for answer in wrong {
        assert!(matches!(again(answer).await, Err(Error::NotHttp(_))), "{answer:?}");
    }
    let posted = asked(Method::POST, "").await.err().unwrap();
    assert!(matches!(posted.again(), Err(Error::Closed(_))));
}

#[tokio::test]
async fn interim_answers_are_skipped_and_a_switch_is_final() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    let answer = asked(Method::GET, &format!("{interim}{OK}")).await.ok().unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers().get("link").is_none());
    let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nearly";
    let answer = asked(Method::GET, switch).await.ok().unwrap();
    assert_eq!(answer.status(), 101);
    assert_eq!(answer.into_switched().1.early, "early");
}

#[tokio::test]
async fn an_answer_to_nothing_is_not_this_requests() {
    let (connection, mut theirs) = pair();
    theirs.write_all(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    drop(theirs);
    let request = Request::post("/").body(()).unwrap();
    let answer = ask(connection, Box::new(Upload::plain(&request))).await.ok().unwrap();
    assert!(!answer.was_asked_for());
    let mut sent = Vec::new();
    let mut request = answer.into_request();
    poll_fn(|cx| request.poll(cx, &mut sent)).await.unwrap();
    assert_eq!(sent, b"POST / HTTP/1.1\r\n\r\n");
    assert!(asked(Method::GET, OK).await.ok().unwrap().was_asked_for());
}

#[test]
fn a_short_piece_does_not_keep_a_large_buffer() {
    for (count, kept) in [(125, false), (126, true)] {
        let mut buffer = BytesMut::with_capacity(1000);
        buffer.extend_from_slice(&[b'a'; 500]);
        let start = buffer.as_ptr();
        assert_eq!(take(&mut buffer, count).as_ptr() == start, kept, "{count}");
    }
    let mut buffer = BytesMut::with_capacity(1000);
    buffer.extend_from_slice(&[b'a'; 500]);
    let start = buffer.as_ptr();
    let (short, long) = (take(&mut buffer, 10), take(&mut buffer, 1000));
    assert_eq!((short.len(), long.len(), buffer.len()), (10, 490, 0));
    assert_ne!(short.as_ptr(), start);
    assert_eq!(long.as_ptr(), start.wrapping_add(10));
}

#[tokio::test]
async fn an_idle_connection_keeps_the_space_of_a_usual_answer_and_no_more() {
    for (room, kept) in [(ROOM, ROOM), (2 * ROOM, 2 * ROOM), (2 * ROOM + 1, 0), (8 * ROOM, 0)] {
        let (mut connection, mut theirs) = pair();
        let empty = connection.weight();
        assert_eq!(empty, 512);
        theirs.write_all(b"x").await.unwrap();
        assert_eq!(poll_fn(|cx| connection.poll_fill(cx, room)).await.unwrap(), 1);
        assert_eq!(connection.weight(), empty + room);
        connection.rest();
        assert_eq!(connection.weight(), empty + kept, "{room}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_expires_when_the_other_side_said_so_and_not_before() {
    let (mut connection, _theirs) = pair();
    let idle_since = Instant::now();
    tokio::time::advance(Duration::from_hours(1)).await;
    assert!(!connection.has_expired(idle_since), "nothing was said");
    connection.past.kept_for = Some(Duration::from_secs(5));
    let idle_since = Instant::now();
    tokio::time::advance(Duration::from_secs(4)).await;
    assert!(!connection.has_expired(idle_since));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(connection.has_expired(idle_since));
}

#[tokio::test]
async fn a_connection_is_suspect_that_carried_a_body_to_whoever_leaves_them_unread() {
    let (mut connection, _theirs) = pair();
    for (body, unread) in [(false, false), (true, false), (false, true), (true, true)] {
        connection.past.body = body;
        if unread {
            connection.past.origin.note_ignored_body();
        }
        assert_eq!(connection.is_suspect(), body && unread, "{body} {unread}");
    }
}

#[tokio::test]
async fn interim_answers_have_an_end() {
    let flood = "HTTP/1.1 102 Processing\r\n\r\n".repeat(11_000);
    let (connection, mut theirs) = pair();
    let flooding = tokio::spawn(async move { theirs.write_all(flood.as_bytes()).await });
    let request = Request::new(());
    let unanswered = ask(connection, Box::new(Upload::plain(&request))).await.err().unwrap();
    assert!(matches!(unanswered.into_error(), Error::TooLarge));
    let _ = flooding.await;
}

#[tokio::test]
async fn a_connection_is_used_again_only_if_nothing_is_left_over() {
    for (method, answer, body, again) in [
        (Method::GET, OK, "ok", true),
        (
            Method::GET,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "ok",
            true,
        ),
        (Method::GET, "HTTP/1.1 204 No Content\r\n\r\n", "", true),
        (Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "", true),
        (Method::GET, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!", "ok", false),
        (
            Method::GET,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n!",
            "ok",
            false,
        ),
        (Method::GET, "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", "", false),
        (Method::HEAD, OK, "", false),
        (
            Method::GET,
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
            "ok",
            false,
        ),
        (Method::GET, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", false),
        (Method::GET, "HTTP/1.1 200 OK\r\n\r\nok", "ok", false),
    ] {
        let (_, mut download, upload) = asked(method, answer).await.ok().unwrap().into_parts();
        assert!(upload.is_none());
        let read = (&mut download).collect().await.unwrap().to_bytes();
        assert_eq!(read, body, "{answer:?}");
        assert_eq!(download.into_idle().is_some(), again, "{answer:?}");
    }
}

#[tokio::test]
async fn a_body_that_came_with_its_head_is_taken_at_once() {
    for (answer, body) in [
        (OK, Some("ok")),
        ("HTTP/1.1 204 No Content\r\n\r\n", Some("")),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", None),
        ("HTTP/1.1 200 OK\r\n\r\nok", None),
    ] {
        let (_, mut download, _) = asked(Method::GET, answer).await.ok().unwrap().into_parts();
        let whole = download.take_whole();
        assert_eq!(whole.as_deref(), body.map(str::as_bytes), "{answer:?}");
        assert_eq!(download.into_idle().is_some(), body.is_some(), "{answer:?}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_end() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n",
    ] {
        let (_, download, _) = asked(Method::GET, answer).await.ok().unwrap().into_parts();
        assert!(matches!(download.collect().await, Err(Error::Broken(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_or_speaks_unasked_is_not_idle() {
    let cases = [
        (OK, false, Silence::Broken, false),
        (OK, true, Silence::Broken, true),
        ("x", true, Silence::Broken, true),
        ("HTTP/1.1 408 Request Timeout\r\n\r\n", true, Silence::Ended, false),
        ("", true, Silence::Ended, false),
    ];
    for (said, body, silence, ignores_bodies) in cases {
        let (mut connection, mut theirs) = pair();
        connection.past.body = body;
        assert_eq!(connection.silence(), Silence::Kept);
        theirs.write_all(said.as_bytes()).await.unwrap();
        theirs.shutdown().await.unwrap();
        connection.stream.ready_to_read().await;
        assert_eq!(connection.silence(), silence, "{said:?}");
        assert_eq!(connection.past.origin.ignores_bodies(), ignores_bodies, "{said:?}");
    }
}

impl Stream {
    async fn ready_to_read(&self) {
        poll_fn(|cx| self.poll_read_ready(cx)).await.unwrap();
    }
}
