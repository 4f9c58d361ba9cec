use super::{chunk_size, end_of_block, first_blank, is_blank, may_be_request, plain_number};

#[test]
fn a_block_ends_behind_its_first_empty_line_however_it_comes() {
    for (text, end) in [
        ("a: b\r\n\r\nrest", Some(8)),
        ("a: b\n\nrest", Some(6)),
        ("a: b\r\n\nrest", Some(7)),
        ("a\r\nb\r\n\r\n", Some(8)),
        ("a: b\r\n", None),
        ("a: b\r\n\r", None),
        ("a: b\r\n\rx\n", None),
        ("no line", None),
        ("", None),
    ] {
        let bytes = text.as_bytes();
        assert_eq!(end_of_block(bytes, &mut 0), end, "{text:?}");
        // Byte after byte, nothing is looked at twice and nothing is passed over.
        let mut scanned = 0;
        let found = (0..=bytes.len()).find_map(|come| {
            let end = end_of_block(&bytes[..come], &mut scanned);
            assert!(scanned <= come, "{text:?}");
            end
        });
        assert_eq!(found, end, "{text:?}");
    }
    let mut scanned = 0;
    assert_eq!(end_of_block(b"long line", &mut scanned), None);
    assert_eq!(scanned, 9);
    assert_eq!(end_of_block(b"long line\r\n\r", &mut scanned), None);
    assert_eq!(scanned, 10, "the end of the line is looked at again");
}

#[test]
fn a_number_is_digits_and_as_many_as_fit() {
    let cases =
        [("0", 0), ("42", 42), ("007", 7), ("9999999999999999999", 9_999_999_999_999_999_999)];
    for (text, number) in cases {
        assert_eq!(plain_number(text.as_bytes()), Some(number), "{text}");
    }
    for text in ["", "+1", "-1", " 1", "1 ", "1_0", "0x1", "1,1", "10000000000000000000"] {
        assert_eq!(plain_number(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn the_size_of_a_chunk_has_fifteen_digits_at_most() {
    assert_eq!(chunk_size(b"fffffffffffffff"), Some(0x0fff_ffff_ffff_ffff));
    assert_eq!(chunk_size(b"00000000000000a;x=\"\ty\""), Some(10));
    assert_eq!(chunk_size(b"000000000000000a"), None);
    assert_eq!(chunk_size(b""), None);
}

#[test]
fn what_any_reader_could_take_for_a_request_is_seen() {
    for body in [
        "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n",
        "get /admin HTTP/1.1\r\n",
        "GET /admin\r\n",
        "\r\n\n\r\nGET /admin HTTP/1.1\r\n",
        " \t GET /admin HTTP/1.1\r\n",
        "GET\t/admin\tHTTP/1.1\r\n",
        "GET\x0b/admin\x0cHTTP/1.1\r\n",
        "GET\r/admin\rHTTP/1.1\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "VERSION-CONTROL /admin HTTP/1.1\r\n",
        "X http://a/ HTTP/1.1\r\n",
        "a=1&b=2GET /admin HTTP/1.1\r\n",
        "{\"a\": 1}\r\nGET /admin HTTP/1.1\r\n",
    ] {
        assert!(may_be_request(body.as_bytes(), true), "{body:?}");
    }
    for body in [&b"GET\xa0/admin\xa0HTTP/1.1\r\n"[..], b"GET\x85/admin", b"GET\x1c/admin"] {
        assert!(may_be_request(body, true), "{body:?}");
    }
}

#[test]
fn what_may_still_become_one_is_none_when_nothing_follows() {
    for body in ["", "\r\n", "G", "GET", "\r\nGET", "GET\r"] {
        assert!(may_be_request(body.as_bytes(), false), "{body:?}");
        assert!(!may_be_request(body.as_bytes(), true), "{body:?}");
    }
}

#[test]
fn forms_and_documents_are_none() {
    for body in [
        "a=1&b=x+y",
        "{\"method\": \"GET /admin\"}",
        "[1, 2]",
        "<a>GET / of</a>",
        "--boundary\r\nContent-Disposition: form-data; name=a\r\n\r\nGET me\r\n--boundary--\r\n",
        "\0\0\0\x05hello",
        "\x1f\u{8b}",
        "PK\x03\x04",
        "eyJhbGciOiJub25lIn0=",
        "word\r\nword\r\n",
    ] {
        assert!(!may_be_request(body.as_bytes(), false), "{body:?}");
    }
}

#[test]
fn a_blank_is_found_wherever_it_is() {
    for before in [0, 1, 63, 64, 65, 127, 128, 1000] {
        for byte in 0..=u8::MAX {
            let mut text = vec![b'a'; before];
            text.push(byte);
            let blank = is_blank(byte).then_some(before);
            assert_eq!(first_blank(&text), blank, "{byte} at {before}");
            text.resize(before + 200, b'Z');
            assert_eq!(first_blank(&text), blank, "{byte} at {before}, and more");
        }
    }
}

#[test]
fn a_word_of_any_length_may_be_a_method() {
    for length in [1, 63, 64, 100, 100_000] {
        let word = "x".repeat(length);
        // What follows the word; whether it may be a request if nothing follows, and if more does.
        for (after, whole, part) in [
            ("", false, true),
            ("=", false, false),
            ("\r", false, true),
            ("\r\n", false, false),
            ("= /", false, false),
            (" ", true, true),
            ("\t/", true, true),
        ] {
            let body = format!("{word}{after}");
            assert_eq!(may_be_request(body.as_bytes(), true), whole, "{length} {after:?}");
            assert_eq!(may_be_request(body.as_bytes(), false), part, "{length} {after:?}");
        }
    }
}

#[test]
fn a_request_in_the_middle_is_looked_for_in_the_first_sixteen_kibibytes() {
    let body = |before: usize| format!("{{{}GET / HTTP/1.1\r\n", "x".repeat(before));
    assert!(may_be_request(body(16 * 1024 - 12).as_bytes(), true));
    assert!(!may_be_request(body(16 * 1024 - 11).as_bytes(), true));
}
