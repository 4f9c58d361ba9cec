use super::{Coding, Error, Head, MOST_LINES, take, usual};
use bytes::BytesMut;
use http::HeaderName;
use proptest::prelude::*;

fn taken(text: &[u8], to_head: bool) -> Result<Option<Head>, Error> {
    take(&mut BytesMut::from(text), &mut 0, to_head)
}

fn head(text: &str) -> Head {
    taken(text.as_bytes(), false).unwrap().unwrap()
}

fn refused(text: &str) -> Error {
    taken(text.as_bytes(), false).err().unwrap_or_else(|| panic!("{text:?} was taken"))
}

/// `length`, `chunked` or `close`, and what the next reader is told.
fn told(head: &Head) -> (String, Option<&str>) {
    let coding = match head.coding {
        Coding::Length(length) => length.to_string(),
        Coding::Chunked(_) => "chunked".to_owned(),
        Coding::UntilClose => "close".to_owned(),
    };
    (coding, head.headers.get("content-length").map(|length| length.to_str().unwrap()))
}

#[test]
fn the_end_of_the_body_is_found_and_only_one_can_be_read() {
    for (lines, coding, length) in [
        ("", "close", None),
        ("Content-Length: 0\r\n", "0", Some("0")),
        ("content-length:   12  \r\n", "12", Some("12")),
        ("Content-Length: 3, 3\r\n", "3", Some("3")),
        ("Content-Length: 3\r\nContent-Length: 3\r\n", "3", Some("3")),
        ("Transfer-Encoding: chunked\r\n", "chunked", None),
        ("Transfer-Encoding: CHUNKED\r\nContent-Length: 5\r\n", "chunked", None),
    ] {
        let head = head(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n"));
        assert_eq!(told(&head), (coding.to_owned(), length), "{lines:?}");
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    for value in ["", "+3", "-1", "3 4", "0x3", "3,4", "3,", "99999999999999999999"] {
        let error = refused(&format!("HTTP/1.1 200 OK\r\nContent-Length: {value}\r\n\r\n"));
        assert!(matches!(error, Error::Length), "{value:?}: {error}");
    }
    let error = refused("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n");
    assert!(matches!(error, Error::Length), "{error}");
    for head in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        let error = refused(head);
        assert!(matches!(error, Error::Coding | Error::NotHttp(_)), "{head:?}: {error}");
    }
    for head in [
        "HTTP/1.1 200 OK\r\n folded: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : \0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA b: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: \0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: 1\rContent-Length: 3\r\n\r\n",
        "HTTP/1.1 99 Low\r\n\r\n",
        "HTTP/1.1 2000 High\r\n\r\n",
        "HTTP/1.1 OK\r\n\r\n",
        "HTTP/1.2 200 OK\r\n\r\n",
    ] {
        let error = refused(head);
        assert!(matches!(error, Error::NotHttp(_)), "{head:?}: {error}");
    }
}

#[test]
fn blanks_before_a_colon_are_taken_out_before_framing_is_judged() {
    let head = head("HTTP/1.1 200 OK\r\nX-Odd : v\r\nContent-Length\t : 3\r\n\r\n");
    assert_eq!(head.headers["x-odd"], "v");
    assert_eq!(told(&head), ("3".to_owned(), Some("3")));
    for line in ["Transfer-Encoding : gzip", "Content-Length : 3\r\nContent-Length: 4"] {
        let error = refused(&format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n"));
        assert!(matches!(error, Error::Coding | Error::Length), "{line:?}: {error}");
    }
    assert!(
        !take(&mut BytesMut::from("HTTP/1.1 200 OK\r\nConnection : close\r\n\r\n"), &mut 0, false)
            .unwrap()
            .unwrap()
            .keep_alive
    );
}

#[test]
fn folded_lines_become_one() {
    let folded = head(
        "HTTP/1.1 200 OK\r\nA: 1 \r\n\t 2\r\n  3\r\nB:\r\n 4\r\nContent-Length:\r\n 5\r\n\r\n",
    );
    assert_eq!(
        (&folded.headers["a"], &folded.headers["b"]),
        (&"1 2 3".parse().unwrap(), &"4".parse().unwrap())
    );
    assert_eq!(told(&folded), ("5".to_owned(), Some("5")));
    for line in ["Content-Length: 1\r\n 2", "Transfer-Encoding: chunked,\r\n chunked"] {
        let error = refused(&format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n"));
        assert!(matches!(error, Error::Coding | Error::Length), "{line:?}: {error}");
    }
}

#[test]
fn an_idle_connection_is_kept_a_little_less_long_than_the_other_side_says() {
    for (value, kept) in [
        ("timeout=5", Some(4000)),
        ("max=100, Timeout=60", Some(59_000)),
        ("timeout=1", Some(500)),
        ("timeout=0", Some(0)),
        ("timeout=x", None),
        ("max=1", None),
    ] {
        let head = head(&format!("HTTP/1.1 200 OK\r\nKeep-Alive: {value}\r\n\r\n"));
        assert_eq!(head.kept_for.map(|kept| kept.as_millis()), kept, "{value}");
    }
}

#[test]
fn some_answers_have_no_body_whatever_their_headers_say() {
    for (status, length) in [(101, Some("5")), (103, Some("5")), (204, None), (304, Some("5"))] {
        let head = head(&format!("HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\n"));
        assert_eq!(told(&head), ("0".to_owned(), length), "{status}");
    }
    for lines in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", ""] {
        let text = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
        let head = taken(text.as_bytes(), true).unwrap().unwrap();
        assert_eq!(told(&head).0, "0", "{lines:?}");
    }
}

#[test]
fn a_connection_stays_open_unless_the_answer_says_otherwise() {
    for (head_text, keep_alive) in [
        ("HTTP/1.1 200 OK\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nConnection: x, Close\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nConnection: x\r\nConnection: close\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n", false),
        ("HTTP/1.0 200 OK\r\n\r\n", false),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", false),
    ] {
        assert_eq!(head(head_text).keep_alive, keep_alive, "{head_text:?}");
    }
}

#[test]
fn a_head_has_its_bounds() {
    let lines = |count: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: 1\r\n".repeat(count));
    assert_eq!(head(&lines(MOST_LINES)).headers.len(), MOST_LINES);
    assert!(matches!(refused(&lines(MOST_LINES + 1)), Error::TooLarge));
    let large = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "x".repeat(256 * 1024 - 24));
    assert_eq!((large.len(), head(&large).headers.len()), (256 * 1024, 1));
    for end in ["", "\r\n\r\n"] {
        let long = format!("HTTP/1.1 200 OK\r\na: {}{end}", "x".repeat(256 * 1024));
        assert!(matches!(refused(&long), Error::TooLarge));
    }
}

#[test]
fn what_can_not_become_an_answer_is_not_waited_for() {
    for text in ["SSH-2.0", "H2", "HTTP/2", "\n", "\x16\x03", "http/1.1 200", "\r\nHTTP/1.1 200"] {
        assert!(matches!(refused(text), Error::Foreign), "{text:?}");
    }
    for text in ["", "H", "HTTP/1.", "HTTP/1.1 200 OK\r\nA: 1\r\n"] {
        assert!(taken(text.as_bytes(), false).unwrap().is_none(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn a_head_is_the_same_however_it_arrives(
        lines in proptest::collection::vec(("[a-z]{1,8}", "[ -~]{0,12}"), 0..6),
        line_end in prop_oneof![Just("\r\n"), Just("\n")],
        cuts in proptest::collection::vec(0_usize..200, 0..6),
        rest in "[ -~\r\n]{0,20}",
    ) {
        let lines: Vec<String> = lines.iter().map(|(name, value)| format!("{name}: {value}{line_end}")).collect();
        let text = format!("HTTP/1.1 200 OK{line_end}{}{line_end}", lines.concat());
        let whole = format!("{text}{rest}");
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(whole.len())).chain([whole.len()]).collect();
        cuts.sort_unstable();
        let (mut buffer, mut scanned, mut fed, mut found) = (BytesMut::new(), 0, 0, None);
        for cut in cuts {
            buffer.extend_from_slice(&whole.as_bytes()[fed..cut]);
            fed = cut;
            if found.is_none() {
                found = take(&mut buffer, &mut scanned, false).unwrap();
                prop_assert_eq!(found.is_some(), cut >= text.len());
            }
        }
        prop_assert_eq!(&buffer[..], rest.as_bytes());
        prop_assert_eq!(found.unwrap().headers, head(&text).headers);
    }
}

#[test]
fn usual_names_are_the_same_as_when_they_are_read_letter_by_letter() {
    for name in [
        "Age",
        "Cache-Control",
        "Connection",
        "Content-Encoding",
        "Content-Length",
        "Content-Type",
        "Date",
        "ETag",
        "Etag",
        "Expires",
        "Last-Modified",
        "Location",
        "Server",
        "Set-Cookie",
        "Transfer-Encoding",
        "Vary",
    ] {
        assert_eq!(usual(name), HeaderName::from_bytes(name.as_bytes()).ok(), "{name}");
    }
    assert_eq!(usual("content-length"), None);
    for [one, other] in [["Content-Length", "content-length"], ["ETag", "etag"]] {
        let text = |name| format!("HTTP/1.1 200 OK\r\n{name}: 3\r\n\r\n");
        assert_eq!(head(&text(one)).headers, head(&text(other)).headers);
    }
}
