//! What goes upstream.

use super::*;
use proptest::prelude::*;

fn strip(line: &str) -> Stripped {
    OwnCookies::new("sid").strip(&HeaderValue::from_bytes(line.as_bytes()).unwrap())
}

fn rest(line: &str) -> Stripped {
    Stripped::Rest(HeaderValue::from_str(line).unwrap())
}

#[test]
fn headers_without_our_cookies_are_untouched() {
    assert_eq!(strip("a=1;b=2"), Stripped::Untouched);
    assert_eq!(strip("SID=1"), Stripped::Untouched);
    assert_eq!(strip(""), Stripped::Untouched);
}

#[test]
fn our_cookies_are_taken_out_and_the_others_stay_in_order() {
    assert_eq!(strip("a=1; sid=x; b=2"), rest("a=1; b=2"));
    assert_eq!(strip("sid_0=x; sid_17=y; a=1"), rest("a=1"));
    assert_eq!(strip("a=1; sid_csrf=x; sid_AbC-_x12_csrf=y"), rest("a=1"));
    assert_eq!(strip("sid_sign_out=x; a=1"), rest("a=1"));
    assert_eq!(strip("sid=x"), Stripped::Nothing);
    assert_eq!(strip("sid=x; sid_1=y;;"), Stripped::Nothing);
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
        if let Stripped::Rest(left) = strip(&line) {
            prop_assert_eq!(OwnCookies::new("zzz").strip(&left), Stripped::Untouched);
            for pair in left.to_str().unwrap().split(';') {
                let name = pair.split('=').next().unwrap().trim();
                prop_assert!(!OwnCookies::new("sid").owns(name.as_bytes()), "{}", name);
            }
        }
    }
}
