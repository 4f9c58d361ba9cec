//! Reading cookies.

use super::*;
use proptest::prelude::*;

fn headers(lines: &[&[u8]]) -> HeaderMap {
    lines.iter().map(|line| (COOKIE, HeaderValue::from_bytes(line).unwrap())).collect()
}

fn get(line: &[u8], name: &str) -> Option<String> {
    RequestCookies::of(&headers(&[line])).get(name).map(str::to_owned)
}

#[test]
fn the_first_cookie_of_a_name_wins_over_all_headers() {
    let headers = headers(&[b"a=1; sid=first", b"sid=second; b=2"]);
    let cookies = RequestCookies::of(&headers);
    assert_eq!(cookies.get("sid"), Some("first"));
    assert_eq!(cookies.get("b"), Some("2"));
    assert_eq!(cookies.get("c"), None);
}

#[test]
fn a_name_is_found_only_as_a_whole_name() {
    for line in
        ["xsid=1", "sidx=1", "sid_0=1", "a=sid", "a=sid=1", "a=b sid=1", "SID=1", "a=\"; x\"sid=1"]
    {
        assert_eq!(get(line.as_bytes(), "sid"), None, "{line}");
    }
    for line in ["sid=v", "sid = v", "a;sid=v", "a=1;\tsid=v ", " sid=v;", "sid_0=1; xsid=2; sid=v"]
    {
        assert_eq!(get(line.as_bytes(), "sid").as_deref().map(str::trim), Some("v"), "{line}");
    }
    assert_eq!(get(b"a; sid; b", "sid").as_deref(), Some(""), "a name alone is an empty cookie");
}

#[test]
fn what_stands_behind_a_name_is_told_byte_by_byte_or_not_at_all() {
    for (line, raw) in [
        (&b"sid=v"[..], Some(&b"v"[..])),
        (b"a=sid=1; sid=v w ;b", Some(b"v w ")),
        (b"xsid=1;sid=\"v\"; sid=later", Some(b"\"v\"")),
        (b"sid_0=1; sid=", Some(b"")),
        (b"sid=\xff", Some(b"\xff")),
        (b"sid =v; sid=later", None),
        (b"a; sid; sid=later", None),
        (b"sid", None),
        (b"SID=v; a=sid", None),
    ] {
        let headers = headers(&[line]);
        let found = RequestCookies::of(&headers).find_raw(&memmem::Finder::new("sid"));
        assert_eq!(found, raw, "{}", line.escape_ascii());
    }
}

#[test]
fn quotes_around_a_value_are_dropped() {
    assert_eq!(get(b"sid=\"v w\"", "sid").as_deref(), Some("v w"));
    assert_eq!(get(b"sid=\"\"", "sid").as_deref(), Some(""));
}

#[test]
fn a_value_with_a_forbidden_byte_is_not_a_cookie_so_a_later_one_counts() {
    for bad in [&b"a\"b"[..], b"a\\b", b"a\xc3\xa9", b"\"", b"a\tb", b"a\xff"] {
        let line = [b"sid=", bad, b"; sid=good"].concat();
        assert_eq!(get(&line, "sid").as_deref(), Some("good"), "{}", bad.escape_ascii());
    }
}

proptest! {
    #[test]
    fn looking_up_agrees_with_reading_all(
        lines in proptest::collection::vec("[sid_0=; \t\"x\\\\]{0,40}", 0..3),
    ) {
        let headers: HeaderMap =
            lines.iter().map(|line| (COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap())).collect();
        let cookies = RequestCookies::of(&headers);
        for name in ["sid", "sid_0", "s", "x"] {
            let slow = cookies.iter().find(|(candidate, _)| *candidate == name).map(|(_, value)| value);
            prop_assert_eq!(cookies.get(name), slow);
        }
    }

    #[test]
    fn no_header_makes_reading_panic(line in proptest::collection::vec(any::<u8>(), 0..200), name in "[a-z_0-9=; ]{0,5}") {
        let Ok(value) = HeaderValue::from_bytes(&line) else { return Ok(()) };
        let headers: HeaderMap = [(COOKIE, value)].into_iter().collect();
        let cookies = RequestCookies::of(&headers);
        let _ = (cookies.get(&name), cookies.iter().count());
    }
}
