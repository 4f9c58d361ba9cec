//! What goes upstream.

use super::*;
use proptest::prelude::*;

fn stripped(name: &str, line: &str) -> Option<String> {
    let mut rest = b"before".to_vec();
    let left = OwnCookies::new(name).strip(line.as_bytes(), &mut rest);
    let rest = String::from_utf8(rest.split_off(b"before".len())).unwrap();
    assert!(left || rest.is_empty());
    left.then_some(rest)
}

fn strip(line: &str) -> Option<String> {
    stripped("sid", line)
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with what may be nothing")]
fn rest(line: &str) -> Option<String> {
    Some(line.to_owned())
}

#[test]
fn headers_without_our_cookies_are_untouched() {
    assert_eq!(strip("a=1;b=2"), rest("a=1;b=2"));
    assert_eq!(strip("SID=1"), rest("SID=1"));
    assert_eq!(strip(""), rest(""));
}

#[test]
fn our_cookies_are_taken_out_and_the_others_stay_in_order() {
    assert_eq!(strip("a=1; sid=x; b=2"), rest("a=1; b=2"));
    assert_eq!(strip("sid_0=x; sid_17=y; a=1"), rest("a=1"));
    assert_eq!(strip("a=1; sid_csrf=x; sid_AbC-_x12_csrf=y"), rest("a=1"));
    assert_eq!(strip("sid_sign_out=x; a=1"), rest("a=1"));
    assert_eq!(strip("sid=x"), None);
    assert_eq!(strip("sid=x; sid_1=y;;"), None);
}

#[test]
fn pairs_that_another_reader_may_accept_are_taken_out_too() {
    assert_eq!(strip("sid = x; a=1"), rest("a=1"));
    assert_eq!(strip("a=1;sid=\"x\\\""), rest("a=1"));
    assert_eq!(strip("sid; a=1"), rest("a=1"));
}

#[test]
fn cookies_with_similar_names_stay() {
    for line in [
        "sidx=1",
        "xsid=1",
        "sid_x=1",
        "sid_=1",
        "sid-csrf=1",
        "sid_sign_out_=1",
        "sid_sign=1",
        "a=sid",
    ] {
        assert_eq!(strip(line), rest(line), "{line}");
    }
}

proptest! {
    #[test]
    fn nothing_of_ours_is_left_in_any_header(line in "[sid_0csrf=; \"]{0,60}") {
        if let Some(left) = strip(&line) {
            prop_assert_eq!(stripped("zzz", &left), rest(&left));
            for pair in left.split(';') {
                let name = pair.split('=').next().unwrap().trim();
                prop_assert!(!OwnCookies::new("sid").owns(name.as_bytes()), "{}", name);
            }
        }
    }
}
