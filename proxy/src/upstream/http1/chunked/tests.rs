use super::{Chunked, Error, Step};
use bytes::BytesMut;
use http::HeaderMap;
use proptest::prelude::*;

/// A body, its trailers, and what is left over.
type Whole = (Vec<u8>, HeaderMap, Vec<u8>);

/// What came in the given pieces, if it has ended.
fn read(pieces: &[&[u8]]) -> Result<Option<Whole>, Error> {
    let (mut chunked, mut buffer) = (Chunked::default(), BytesMut::new());
    let (mut body, mut trailers) = (Vec::new(), HeaderMap::new());
    let mut ended = false;
    for piece in pieces {
        buffer.extend_from_slice(piece);
        while !ended {
            match chunked.step(&mut buffer)? {
                Step::Data(data) => body.extend_from_slice(&data),
                Step::Trailers(fields) => trailers = fields,
                Step::End => ended = true,
                Step::More => break,
            }
        }
    }
    Ok(ended.then(|| (body, trailers, buffer.to_vec())))
}

#[test]
fn chunks_become_one_body() {
    for (text, body) in [
        ("0\r\n\r\n", ""),
        ("3\r\nabc\r\n0\r\n\r\n", "abc"),
        ("00A;x=\"y\"\r\n0123456789\r\n1  \r\na\r\n000\r\n\r\n", "0123456789a"),
    ] {
        let (read, trailers, rest) = read(&[text.as_bytes(), b"next"]).unwrap().unwrap();
        assert_eq!((read, rest), (body.into(), b"next".to_vec()), "{text:?}");
        assert!(trailers.is_empty());
    }
}

#[test]
fn trailers_come_after_the_body() {
    let (body, trailers, _) =
        read(&[b"1\r\na\r\n0\r\nX-Sum: 1\r\nx-sum: 2\r\n\r\n"]).unwrap().unwrap();
    assert_eq!(body, b"a");
    assert_eq!(trailers.get_all("x-sum").iter().collect::<Vec<_>>(), ["1", "2"]);
}

#[test]
fn a_body_that_stops_has_not_ended() {
    let text = b"3\r\nabc\r\n0\r\nA: 1\r\n\r\n";
    for end in 0..text.len() {
        assert!(read(&[&text[..end]]).unwrap().is_none(), "{end}");
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    for text in [
        "0\r\n\n",
        "0\r\n\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "0\r\n\n\r\n",
        "\r\n",
        "x\r\n",
        " 1\r\n",
        "+1\r\n",
        "-1\r\n",
        "0x1\r\n",
        "1 2\r\n",
        "1 ;x\r\n",
        "1\n",
        "1;a\nb\r\n",
        "1\r\r\n",
        "1;\r\r\n",
        "1 \x0c\r\n",
        "1;\0\r\n",
        "1234567890123456\r\n",
        "1\r\nab\r\n",
        "1\r\na\n0",
        "1\r\na0\r\n\r\n",
        "0\r\nA\r\n\r\n",
        "0\r\nA: 1\n\r\n",
        "0\r\nA: 1\r\n\n",
        "0\r\nA: 1\nB: 2\r\n\r\n",
        "0\r\n: 1\r\n\r\n",
        "0\r\n A: 1\r\n\r\n",
        "0\r\nA : 1\r\n\r\n",
        "0\r\nA: 1\r\n B: 2\r\n\r\n",
    ] {
        let outcome = read(&[text.as_bytes()]);
        assert!(matches!(outcome, Err(Error::Chunk)), "{text:?} gives {outcome:?}");
    }
}

#[test]
fn lines_and_trailers_have_their_bounds() {
    let long = format!("1;{}", "x".repeat(4096));
    assert!(matches!(read(&[long.as_bytes()]), Err(Error::Chunk)));
    let long = format!("0\r\nA: {}", "x".repeat(16 * 1024));
    assert!(matches!(read(&[long.as_bytes()]), Err(Error::TooLarge)));
    let trailers = |length: usize| format!("0\r\nA: {}\r\n\r\n", "x".repeat(length - 7));
    assert!(read(&[trailers(16 * 1024).as_bytes()]).unwrap().is_some());
    let long = trailers(16 * 1024 + 1);
    assert!(matches!(read(&[long.as_bytes()]), Err(Error::TooLarge)));
    let many = format!("0\r\n{}\r\n", "A: 1\r\n".repeat(super::TRAILER_LINES + 1));
    assert!(matches!(read(&[many.as_bytes()]), Err(Error::Chunk)));
}

proptest! {
    #[test]
    fn a_body_is_the_same_however_it_arrives(
        chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..6),
        cuts in proptest::collection::vec(0_usize..300, 0..8),
    ) {
        let mut text = Vec::new();
        for chunk in &chunks {
            text.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            text.extend_from_slice(chunk);
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(b"0\r\n\r\nHTTP/1.1");
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([0, text.len()]).collect();
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
        let (body, _, rest) = read(&pieces).unwrap().unwrap();
        prop_assert_eq!(body, chunks.concat());
        prop_assert_eq!(rest, b"HTTP/1.1");
    }

    #[test]
    fn no_bytes_make_it_panic(text in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'0'), Just(b'1'), any::<u8>()], 0..60)) {
        let _ = read(&[&text]);
    }
}
