use super::{Framing, Violation};
use proptest::prelude::*;

fn fed(bytes: &[u8]) -> Result<bool, Violation> {
    let mut framing = Framing::new(1024);
    framing.feed(bytes)?;
    Ok(framing.at_start())
}

#[test]
fn whole_requests_end_where_the_next_begins() {
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nab\ncd",
        "POST / HTTP/1.1\r\nHOST:a\r\nContent-Length:0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\na\nb\r\nA;x=\"y\"\r\n0123456789\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n",
        "GET / HTTP/1.1\r\nHostile: x\r\nHost: a\r\nTransfer-Encoding-X: y\r\nContent-Lengthy: 3\r\n\r\n",
    ] {
        assert_eq!(fed(request.as_bytes()), Ok(true), "{request:?}");
        assert_eq!(fed(request.repeat(3).as_bytes()), Ok(true), "three of {request:?}");
    }
}

#[test]
fn a_target_with_a_fragment_is_refused() {
    for target in ["/health#/../admin", "/#", "#", "http://a/x#y", "/x?y#z"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(fed(request.as_bytes()), Err(Violation::Fragment), "{target}");
    }
    assert_eq!(fed(b"M#D / HTTP/1.1\r\nHost: a\r\nX: #\r\n\r\n"), Ok(true));
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    use Violation::{
        BadName, BareLineFeed, Chunk, Folded, Host, Length, TooLarge, TransferEncoding,
    };
    let long = format!("Host: a\r\nX: {}\r\n", "y".repeat(1024));
    for (head, violation) in [
        ("Host: a\nX: y\r\n", BareLineFeed),
        ("Host: a\r\nX: y\r\n z\r\n", Folded),
        ("Host: a\r\nX: y\r\n\tz\r\n", Folded),
        ("Host : a\r\n", BadName),
        ("Host: a\r\nContent-Length : 3\r\n", BadName),
        ("Host: a\r\nTransfer-Encoding\t: chunked\r\n", BadName),
        ("Host: a\r\n: x\r\n", BadName),
        ("Host: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n", Length),
        ("Host: a\r\nContent-Length: 3, 3\r\n", Length),
        ("Host: a\r\nContent-Length: +3\r\n", Length),
        ("Host: a\r\nContent-Length: 0x3\r\n", Length),
        ("Host: a\r\nContent-Length:\r\n", Length),
        ("Host: a\r\nContent-Length: 99999999999999999999\r\n", Length),
        ("Host: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n", TransferEncoding),
        ("Host: a\r\nTransfer-Encoding: chunked\r\ncontent-length: 3\r\n", TransferEncoding),
        (
            "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            TransferEncoding,
        ),
        ("Host: a\r\nTransfer-Encoding: gzip, chunked\r\n", TransferEncoding),
        ("Host: a\r\nTransfer-Encoding: xchunked\r\n", TransferEncoding),
        ("Host: a\r\nTransfer-Encoding: identity\r\n", TransferEncoding),
        ("Host: a\r\nTransfer-Encoding: \"chunked\"\r\n", TransferEncoding),
        ("Host: a\r\nhost: b\r\n", Host),
        ("X: y\r\n", Host),
        (&long, TooLarge),
    ] {
        let request = format!("POST / HTTP/1.1\r\n{head}\r\n");
        assert_eq!(fed(request.as_bytes()), Err(violation), "{request:?}");
    }
    for (body, violation) in [
        ("3 \r\nabc\r\n", Chunk),
        ("0x3\r\nabc\r\n", Chunk),
        ("-3\r\n", Chunk),
        ("\r\n", Chunk),
        (";x\r\n", Chunk),
        ("3\nabc\r\n", BareLineFeed),
        ("3\r\nabcd\r\n", Chunk),
        ("3\r\nabc\n0\r\n", BareLineFeed),
        ("ffffffffffffffff\r\n", Chunk),
        ("3;a\rb\r\n", Chunk),
        ("0\r\n X: y\r\n", Folded),
        ("0\r\nX: y\n\r\n", BareLineFeed),
    ] {
        let request =
            format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        assert_eq!(fed(request.as_bytes()), Err(violation), "{request:?}");
    }
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(fed(old.as_bytes()), Err(TransferEncoding));
}

#[test]
fn trailers_that_are_no_fields_or_too_many_are_refused() {
    let ended = |trailers: &str| {
        fed(format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{trailers}\r\n"
        )
        .as_bytes())
    };
    for trailer in ["X : y", "X Y: z", "X", ": y", "X: a\rb", "X: a\0b"] {
        assert_eq!(ended(&format!("{trailer}\r\n")), Err(Violation::BadName), "{trailer:?}");
    }
    assert_eq!(ended(&"X: y\r\n".repeat(100)), Ok(true));
    assert_eq!(ended(&"X: y\r\n".repeat(101)), Err(Violation::TooLarge));
}

#[test]
fn a_head_that_never_ends_is_bounded() {
    let mut framing = Framing::new(1024);
    let outcome = (0..2000).try_for_each(|_| framing.feed(b"x").map(drop));
    assert_eq!(outcome, Err(Violation::TooLarge));
}

#[test]
fn what_is_bounded_may_have_its_bound_and_not_a_byte_more() {
    let verdict = |text: &str| Framing::new(1024).feed(text.as_bytes()).map(drop);
    let head = |length: usize| {
        let rest = " HTTP/1.1\r\nHost: a\r\n\r\n";
        format!("GET /{}{rest}", "x".repeat(length - 5 - rest.len()))
    };
    assert_eq!(verdict(&head(1024)), Ok(()));
    assert_eq!(verdict(&head(1025)), Err(Violation::TooLarge));
    assert_eq!(verdict(&"x".repeat(1024)), Ok(()));
    assert_eq!(verdict(&"x".repeat(1025)), Err(Violation::TooLarge));
    assert_eq!(verdict(&"x".repeat(2000)), Err(Violation::TooLarge));
    let chunked = |text: &str| {
        format!("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{text}")
    };
    let size = |length: usize| chunked(&format!("1;{}\r\n", "x".repeat(length - 4)));
    assert_eq!(verdict(&size(4096)), Ok(()));
    assert_eq!(verdict(&size(4096 + 1)), Err(Violation::Chunk));
    let unfinished = |length: usize| chunked(&format!("1;{}", "x".repeat(length - 2)));
    assert_eq!(verdict(&unfinished(4096)), Ok(()));
    assert_eq!(verdict(&unfinished(4096 + 1)), Err(Violation::Chunk));
    assert_eq!(verdict(&chunked("1\r\na\r")), Ok(()));
    assert_eq!(verdict(&chunked("1\r\nabcd")), Err(Violation::Chunk));
    let trailers = |length: usize| chunked(&format!("0\r\nA: {}\r\n\r\n", "x".repeat(length - 7)));
    assert_eq!(verdict(&trailers(16 * 1024)), Ok(()));
    assert_eq!(verdict(&trailers(16 * 1024 + 1)), Err(Violation::TooLarge));
}

#[test]
fn what_came_whole_before_a_violation_is_told() {
    let good = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (first, count) in [("", 0), (good, 1), (&good.repeat(2), 2)] {
        let mut framing = Framing::new(1024);
        let bytes = format!("{first}GET / HTTP/1.1\nHost: a\r\n\r\n");
        assert_eq!(framing.feed(bytes.as_bytes()), Err(Violation::BareLineFeed));
        assert_eq!(
            (framing.whole(), framing.requests()),
            (count * good.len(), u32::try_from(count).unwrap())
        );
    }
}

#[test]
fn what_stands_behind_a_wish_for_another_protocol_is_read_when_that_is_not_granted() {
    let wish = "GET / HTTP/1.1\r\nHost: a\r\nuPGRADE:x\r\n\r\n";
    let mut framing = Framing::new(1024);
    let bytes = [wish, "\n"].concat();
    assert_eq!(framing.feed(bytes.as_bytes()), Ok(wish.len()));
    assert_eq!((framing.asks(), framing.requests()), (true, 1));
    assert_eq!(framing.feed(b"\n"), Ok(0));
    framing.go_on();
    assert_eq!(framing.feed(b"\n"), Err(Violation::BareLineFeed));
    for other in [
        "GET / HTTP/1.0\r\nHost: a\r\nUpgrade: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgraded: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nContent-Length: 1\r\n\r\nx",
    ] {
        let mut framing = Framing::new(1024);
        assert_eq!(framing.feed(other.repeat(2).as_bytes()), Ok(2 * other.len()), "{other:?}");
        assert_eq!((framing.asks(), framing.requests()), (false, 2), "{other:?}");
    }
}

#[test]
fn a_line_that_does_not_end_is_not_kept_and_is_judged_all_the_same() {
    let target = "x".repeat(2000);
    let head = |target: &str, version: &str, line: &str| {
        format!("GET /{target} HTTP/{version}\r\n{line}\r\nHost: a\r\n\r\n")
    };
    let long = |line: &str| head("", "1.1", line);
    for (request, verdict) in [
        (head(&target, "1.1", "A: b"), Ok(true)),
        (head(&target, "1.0", "Transfer-Encoding: chunked"), Err(Violation::TransferEncoding)),
        (head(&format!("{target}#{target}"), "1.1", "A: b"), Err(Violation::Fragment)),
        (long(&format!("A: {target}#{target}")), Ok(true)),
        (long(&format!("Content-Length: {}0", " ".repeat(2000))), Err(Violation::Length)),
        (long(&format!("Content-Length: 0{}", " ".repeat(2000))), Err(Violation::Length)),
        (
            long(&format!("Transfer-Encoding: chunked{}", " ".repeat(2000))),
            Err(Violation::TransferEncoding),
        ),
        (long(&format!("A: {target}\n{target}")), Err(Violation::BareLineFeed)),
        (long(&format!("A: {}", "y".repeat(60_000))), Err(Violation::TooLarge)),
    ] {
        for size in [1, 7, 600, request.len()] {
            let mut framing = Framing::new(60_000);
            let outcome = request.as_bytes().chunks(size).try_for_each(|piece| {
                let fed = framing.feed(piece).map(drop);
                assert!(framing.partial.text().len() < 600, "{size}");
                fed
            });
            let outcome = outcome.map(|()| framing.at_start());
            assert_eq!(outcome, verdict, "in pieces of {size}: {request:.60}");
        }
    }
}

proptest! {
    #[test]
    fn how_bytes_are_cut_into_reads_makes_no_difference(
        cuts in proptest::collection::vec(1_usize..40, 1..40),
        bad in proptest::option::of((0_usize..400, any::<u8>())),
    ) {
        let mut bytes = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123\r\n\r\n89GET / HTTP/1.1\r\nHost: b\r\n\r\n\
            PUT /c HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: chunked\r\n\r\n5;q=1\r\nab\r\nc\r\n1f\r\n\
            0123456789012345678901234567890\r\n0\r\nTrailer: x\r\n\r\nGET /d HTTP/1.0\r\n\r\n".to_vec();
        if let Some((at, byte)) = bad {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let mut whole = Framing::new(1024);
        let expected = whole.feed(&bytes).map(drop);
        let mut pieces = Framing::new(1024);
        let mut outcome = Ok(());
        let mut rest = &bytes[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() || outcome.is_err() {
                break;
            }
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            outcome = pieces.feed(now).map(drop);
            rest = later;
        }
        prop_assert_eq!(outcome, expected);
        if expected.is_ok() {
            prop_assert_eq!(whole.at_start(), pieces.at_start());
        }
    }
}
