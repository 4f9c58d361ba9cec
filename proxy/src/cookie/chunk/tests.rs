//! Setting, splitting, joining and clearing, against what oauth2-proxy v7.15.3 did (`tests/golden`).

use super::*;
use http::{HeaderMap, HeaderValue, header::COOKIE};
use proptest::prelude::*;
use proxy_config::{Cookie, CsrfCookie, Duration, SameSite};
use serde_json::Value;

fn vectors(list: &str) -> Vec<Value> {
    let text = include_str!("../../../tests/golden/session-cookies.json");
    let file: Value = serde_json::from_str(text).unwrap();
    file[list].as_array().unwrap().clone()
}

fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
    vector[field].as_str().unwrap_or_else(|| panic!("{field} of {}", vector["name"]))
}

fn lines(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
}

fn same_site(text: &str) -> Option<SameSite> {
    match text {
        "" => None,
        "lax" => Some(SameSite::Lax),
        "strict" => Some(SameSite::Strict),
        "none" => Some(SameSite::None),
        other => panic!("{other}"),
    }
}

fn config(vector: &Value) -> Cookie {
    Cookie {
        name: text(vector, "cookie_name").to_owned(),
        domains: lines(&vector["cookie_domains"]),
        path: text(vector, "cookie_path").to_owned(),
        secure: vector["cookie_secure"].as_bool().unwrap(),
        http_only: vector["cookie_httponly"].as_bool().unwrap(),
        same_site: same_site(text(vector, "cookie_samesite")),
        csrf: CsrfCookie::default(),
    }
}

fn cookie(vector: &Value) -> SessionCookie {
    let config = config(vector);
    let lifetime = seconds(&vector["cookie_expire_seconds"]);
    SessionCookie::new(&config.name, Attributes::session(&config, lifetime))
}

fn seconds(value: &Value) -> Duration {
    std::time::Duration::from_secs_f64(value.as_f64().unwrap().max(0.0)).into()
}

fn request(header: &str) -> HeaderMap {
    if header.is_empty() {
        return HeaderMap::new();
    }
    [(COOKIE, HeaderValue::from_bytes(header.as_bytes()).unwrap())].into_iter().collect()
}

fn texts(set: &[SetCookie]) -> Vec<String> {
    set.iter().map(|line| line.as_str().to_owned()).collect()
}

fn value_of(line: &str) -> &str {
    line.split_once('=').unwrap().1.split(';').next().unwrap()
}

#[test]
fn lines_and_parts_are_those_of_the_peer() {
    let vectors = vectors("saved");
    for vector in &vectors {
        let mut expected = lines(&vector["set_cookie"]);
        let value: String = expected.iter().map(|line| value_of(line)).collect();
        // Browsers would drop these: docs/differences.md.
        let (theirs, ours) = match text(vector, "name") {
            "Cookie attributes: no cookie domain matches." => ("; Domain=vectors.example", ""),
            "Cookie attributes: host with a port does not match the domain suffix, last domain is used." => {
                ("Domain=other.example", "Domain=www.vectors.example")
            }
            _ => ("", ""),
        };
        if !theirs.is_empty() {
            for line in &mut expected {
                *line = line.replace(theirs, ours);
            }
        }
        let none = HeaderMap::new();
        let set = cookie(vector)
            .set(&value, &RequestCookies::of(&none), text(vector, "request_host"), None)
            .unwrap();
        assert_eq!(texts(&set), expected, "{}", vector["name"]);
    }
    assert_eq!(vectors.len(), 77);
}

#[test]
fn a_value_is_found_where_the_peer_finds_one() {
    for vector in vectors("loaded") {
        let Some(header) = vector["cookie_header"].as_str() else { continue };
        let name = text(&vector, "cookie_name");
        let config = Cookie { name: name.to_owned(), ..Cookie::default() };
        let cookie = SessionCookie::new(name, Attributes::session(&config, Duration::ZERO));
        let headers = request(header);
        let value = cookie.value(&RequestCookies::of(&headers));
        let expected = vector["verdict"] != "no session";
        assert_eq!(value.is_some(), expected, "{}", vector["name"]);
        if vector["verdict"] == "loaded" {
            assert_eq!(value.unwrap().matches('|').count(), 2, "{}", vector["name"]);
        }
    }
}

/// Names are matched as they are; oauth2-proxy takes them for regular expressions, which clears cookies of others.
#[test]
fn all_parts_are_cleared_as_the_peer_does_but_names_are_literal() {
    for vector in vectors("cleared") {
        let header = text(&vector, "cookie_header");
        let name = text(&vector, "cookie_name");
        let headers = request(header);
        let cleared = texts(
            &cookie(&vector).clear(&RequestCookies::of(&headers), text(&vector, "request_host")),
        );
        let expected = match name {
            "my.sess" => vec!["my.sess=; Path=/; Max-Age=0; HttpOnly".to_owned()],
            "a+b" => vec!["a+b=; Path=/; Max-Age=0; HttpOnly".to_owned()],
            _ => lines(&vector["set_cookie"]),
        };
        assert_eq!(cleared, expected, "{}", vector["name"]);
    }
}

#[test]
fn the_cookie_of_a_login_has_the_attributes_of_the_peer() {
    let file: Value =
        serde_json::from_str(include_str!("../../../tests/golden/csrf-cookies.json")).unwrap();
    for vector in file["cookies"].as_array().unwrap() {
        let mut config = config(vector);
        config.csrf.lifetime = seconds(&vector["cookie_csrf_expire_seconds"]);
        config.csrf.same_site = same_site(text(vector, "cookie_csrf_samesite"));
        let attributes = Attributes::login(&config, true);
        let (name, host) = (text(vector, "csrf_cookie_name"), text(vector, "request_host"));
        let line = text(vector, "set_cookie");
        assert_eq!(attributes.set(name, value_of(line), host).as_str(), line, "{}", vector["name"]);
        let line = text(vector, "clearing_set_cookie");
        assert_eq!(attributes.clear(name, host).as_str(), line, "{}", vector["name"]);
    }
}

fn plain(name: &str) -> SessionCookie {
    let config = Cookie { name: name.to_owned(), ..Cookie::default() };
    SessionCookie::new(name, Attributes::session(&config, Duration::from_secs(3600)))
}

#[test]
fn parts_left_by_another_value_are_cleared_when_one_is_set() {
    let headers = request("sid=old; sid_0=a; sid_1=b; sid_7=c; other=d; sid_csrf=e");
    let cookies = RequestCookies::of(&headers);
    let names = |set: Vec<SetCookie>| -> Vec<String> {
        texts(&set)
            .iter()
            .map(|line| line.split(';').next().unwrap().chars().take(6).collect())
            .collect()
    };
    let short = names(plain("sid").set("new", &cookies, "h", None).unwrap());
    assert_eq!(short, ["sid=ne", "sid_0=", "sid_1=", "sid_7="]);
    let long = names(plain("sid").set(&"x".repeat(5000), &cookies, "h", None).unwrap());
    assert_eq!(long, ["sid_0=", "sid_1=", "sid=", "sid_7="]);
}

#[test]
fn what_needs_too_many_parts_is_refused() {
    let none = HeaderMap::new();
    let cookies = RequestCookies::of(&none);
    assert_eq!(plain("sid").set(&"x".repeat(80_000), &cookies, "h", None), Err(TooLong));
    let most = plain("sid").set(&"x".repeat(78_000), &cookies, "h", None).unwrap();
    assert_eq!(most.len(), MAX_PARTS);
}

#[test]
fn a_request_full_of_parts_is_answered_with_a_bounded_number_of_lines() {
    let header = (0..3000).map(|part| format!("sid_{part}=x")).collect::<Vec<_>>().join("; ");
    let headers = request(&header);
    assert_eq!(plain("sid").clear(&RequestCookies::of(&headers), "h").len(), MAX_CLEARED);
}

proptest! {
    #[test]
    fn what_was_set_is_found_again(length in 0_usize..60_000, name_length in 1_usize..=256, host in "[a-z.]{1,20}") {
        let cookie = plain(&"n".repeat(name_length));
        let value: String = "abcdefghij".chars().cycle().take(length).collect();
        let none = HeaderMap::new();
        let set = cookie.set(&value, &RequestCookies::of(&none), &host, None).unwrap();
        let sent: Vec<&str> = set.iter().map(|line| line.as_str().split(';').next().unwrap()).collect();
        prop_assert!(set.iter().all(|line| line.as_str().len() <= 4000));
        prop_assert!(sent.iter().all(|pair| pair.find('=').unwrap() <= 256));
        let headers = request(&sent.join("; "));
        let cookies = RequestCookies::of(&headers);
        let found = cookie.value(&cookies);
        prop_assert_eq!(found.as_deref(), Some(value.as_str()));
        prop_assert_eq!(cookie.clear(&cookies, &host).len(), set.len());
    }
}

#[test]
fn the_unread_value_is_that_of_the_whole_cookie_and_nothing_else() {
    let cookie = SessionCookie::new("_it", Attributes::session(&Cookie::default(), Duration::ZERO));
    for (header, raw) in
        [("_it=a; b=c", Some("a")), ("_it_0=a", None), ("x_it=a", None), ("", None)]
    {
        let headers = request(header);
        let found = cookie.raw(&RequestCookies::of(&headers));
        assert_eq!(found, raw.map(str::as_bytes), "{header}");
    }
}

#[test]
fn the_longest_value_that_is_written_is_read() {
    let cookie = SessionCookie::new("_it", Attributes::session(&Cookie::default(), Duration::ZERO));
    let none = HeaderMap::new();
    let fits = |length: usize| {
        let value = "v".repeat(length);
        cookie.set(&value, &RequestCookies::of(&none), "a.test", None).is_ok()
    };
    let longest = (0..=MAX_VALUE).rev().find(|length| fits(*length)).unwrap();
    assert!(longest > MAX_VALUE - MAX_PARTS * 200, "{longest}");
    assert!(!fits(MAX_VALUE + 1));
}
