use super::*;
use proptest::prelude::*;

fn of(path: &str) -> Result<Normalised, Malformed> {
    NormalPath::of(&target(path))
}

fn target(path: &str) -> PathAndQuery {
    PathAndQuery::try_from(path).expect("a request target")
}

fn normal(path: &str) -> NormalPath {
    match of(path) {
        Ok(Normalised::Path(normal)) => normal,
        other => panic!("{path}: {other:?}"),
    }
}

#[test]
fn plain_paths_pass_untouched() {
    for path in [
        "/",
        "/a",
        "/a/",
        "/a/b.c/d-e_f~g",
        "/a?x=//../%zz;\\",
        "/a:b@c/(d)!*'",
        "/.../x",
        "/..a/b",
        "/.well-known/x",
    ] {
        let normal = normal(path);
        assert_eq!(Some(normal.text()), path.split('?').next(), "{path}");
        assert_eq!(normal.decoded(), normal.text(), "{path}");
        assert!(normal.rewritten().is_none(), "{path}");
    }
}

#[test]
fn duplicate_slashes_and_dot_segments_are_moved() {
    for (path, location) in [
        ("//", "/"),
        ("//evil.example/x", "/evil.example/x"),
        ("/a//b", "/a/b"),
        ("/a//b%20c?q=1", "/a/b%20c?q=1"),
        ("/a/./b/../c", "/a/c"),
        ("/a/..", "/"),
        ("/a/b/.", "/a/b"),
        ("/../../x/", "/x/"),
        ("/a/%2e%2e/b", "/b"),
        ("/a/%2E/b", "/a/b"),
        ("/a/.%2e/b?x", "/b?x"),
    ] {
        assert!(
            matches!(of(path), Ok(Normalised::Moved(to)) if to == location),
            "{path}: {:?}",
            of(path)
        );
    }
}

#[test]
fn a_parent_that_only_some_readers_see_is_refused_like_what_is_malformed() {
    for path in [
        "/a%",
        "/a%2",
        "/a%zz",
        "/a\\b",
        "/a%5c..%5cb",
        "/a%5C..",
        "/a%00",
        "/a%0ab",
        "/a%0d%0ab",
        "/a%7f",
        "/a%09/b",
        "/public/..%2fadmin",
        "/public/%2e%2e%2fadmin",
        "/public%2f..%2fadmin",
        "/public/..;/admin",
        "/public/..;x=1/admin",
        "/a/..%3b/b",
        "/a/%2e%2e;x/b",
        "/a/%252e%252e/b",
        "/a/..%252fb",
        "/a%2500b",
        "/a/%252e%252e%252fb",
        "/a/%252e%252e%255cb",
        "/public/..%23/secret",
        "/public/..%3f/secret",
        "/public/..%3Fx=1/secret",
        "/public/%2e%2e%23",
        "/public/..%20/secret",
        "/public/%20../secret",
        "/public/.%20./secret",
        "/public/..%20%23/secret",
        "/public/..%c2%a0/secret",
        "/public/%ef%bb%bf../secret",
        "/public/..%20;x/secret",
        "/public/..%2523/secret",
        "/public/..%253f/secret",
        "/public/..%2520/secret",
        "/public/x%2f..%20%2fsecret",
    ] {
        assert!(of(path).is_err(), "{path}: {:?}", of(path));
    }
}

#[test]
fn what_is_data_to_an_application_passes_unchanged_and_no_rule_covers_it() {
    for path in [
        "/api/queues/%2F/orders",
        "/files/.%23lock",
        "/api/users/CORP%5Cjane",
        "/;jsessionid=A",
        "/;a/private",
        "/;x",
        "/a/;/b",
        "/a/.;/b",
        "/a/%2Fb",
        "/a/%20/",
        "/a%2F/b",
        "/a%2f%2Fb",
        "/a%2F.",
        "/a%5Cb",
        "/a%255cb",
        "/public/.%23",
        "/public/.%20",
        "/...%20/x",
        "/%20/private",
        "/%23/open",
        "/%3f/open",
    ] {
        let normal = normal(path);
        assert_eq!(normal.text(), path);
        assert!(normal.rewritten().is_none(), "{path}");
        assert!(!normal.always(|_| true), "{path}");
    }
}

#[test]
fn a_rule_must_hold_with_and_without_blanks_around_a_name_or_dots_behind_it() {
    for path in [
        "/private%20",
        "/%20private",
        "/private.",
        "/private./x",
        "/private%c2%a0/x",
        "/private%20.",
        "/private.%20",
        "/private%20.%3bx",
    ] {
        let path = normal(path);
        assert!(!path.always(|p| p != "/private" && !p.starts_with("/private/")), "{path:?}");
        assert!(path.rewritten().is_none());
    }
    for path in [
        "/public/a%20",
        "/public/%20",
        "/public/a.",
        "/public/a.b",
        "/public/...",
        "/public/%20a/b",
    ] {
        assert!(normal(path).always(|p| p.starts_with("/public/")), "{path}");
    }
}

#[test]
fn a_path_that_begins_with_an_encoded_slash_is_refused() {
    for path in [
        "/%2F/",
        "/%2f",
        "/%2Fevil.example",
        "/%5Cevil.example",
        "/%2F%2e/x",
        "/./%2f",
        "//%5c",
        "/a/../%2Fevil.example",
        "/%2e/%2f",
    ] {
        assert!(NormalPath::of(&target(path)).is_err(), "{path}");
    }
}

#[test]
fn a_last_name_of_blanks_alone_must_be_covered_with_and_without_it() {
    assert!(!normal("/private/%20").always(|p| p != "/private/"));
    assert!(!normal("/%20").always(|p| p != "/"));
}

#[test]
fn escapes_of_unreserved_characters_are_undone_for_the_upstream() {
    let path = normal("/%70ublic/%7Ex%20y?q=%70");
    assert_eq!(path.text(), "/public/~x%20y");
    assert_eq!(path.decoded(), "/public/~x y");
    assert_eq!(path.rewritten().expect("it changed").as_str(), "/public/~x%20y?q=%70");
    assert_eq!(path.received(), "/%70ublic/%7Ex%20y");
}

#[test]
fn other_escapes_keep_their_spelling() {
    let path = normal("/a%c3%a4%3a");
    assert_eq!((path.text(), path.decoded()), ("/a%c3%a4%3a", "/aä:"));
    assert!(path.rewritten().is_none());
}

#[test]
fn a_rule_must_hold_for_both_readings_of_an_encoded_slash() {
    let path = normal("/public/x%2Fadmin");
    assert_eq!(path.decoded(), "/public/x/admin");
    assert!(path.always(|p| p.starts_with("/public/")));
    assert!(!path.always(|p| p.starts_with("/public/x/")));
    assert!(!path.always(|p| p == "/public/x%2Fadmin"));
    assert!(!normal("/public%2Fx").always(|p| p.starts_with("/public/")));
    assert!(normal("/p/a%2fb%2Fc%20d").always(|p| p == "/p/a/b/c d" || p == "/p/a%2Fb%2Fc d"));
}

#[test]
fn a_rule_must_hold_with_and_without_segment_parameters() {
    let path = normal("/admin;x=1/y");
    assert!(!path.always(|p| !p.starts_with("/admin/")));
    assert!(path.always(|p| p.starts_with("/admin")));
    assert!(!normal("/admin%3bx/y").always(|p| !p.starts_with("/admin/")));
}

#[test]
fn a_rule_must_hold_for_what_an_encoded_mark_leaves_of_the_path() {
    for path in ["/api/secret%23.js", "/api/secret%3f.js", "/api/secret%3F.js"] {
        let path = normal(path);
        assert!(!path.always(|p| p.starts_with("/api/") && p.contains(".js")));
        assert!(path.always(|p| p.starts_with("/api/secret")));
        assert!(path.rewritten().is_none());
    }
    assert!(!normal("/admin%23").always(|p| p != "/admin"));
    assert!(!normal("/%23/open").always(|p| p != "/"));
    let cut_at_the_first = normal("/a%23b%23c");
    assert!(cut_at_the_first.always(|p| p == "/a" || p == "/a#b#c"));
}

#[test]
fn a_byte_that_belongs_to_no_character_is_one_each() {
    assert_eq!(normal("/a%ff").decoded(), "/a\u{fffd}");
    assert_eq!(normal("/%e2%82x%c3%a4").decoded(), "/\u{fffd}\u{fffd}xä");
}

#[test]
fn blanks_and_marks_elsewhere_are_data() {
    for path in ["/a%20b/c%23", "/...%20/x", "/.%20.x/y", "/.a%3f/z", "/%20/x", "/%23/x"] {
        assert_eq!(normal(path).text(), path);
    }
}

#[test]
fn a_path_with_many_readings_is_covered_by_no_rule() {
    for path in [
        "/a%252fb",
        "/a%2541",
        "/a%ff",
        "/a%c0%aex",
        "/a;x%2Fb",
        "/a%23b%3fc",
        "/a%2Fb%23c",
        "/a;x%3fb",
    ] {
        assert!(!normal(path).always(|_| true), "{path}");
    }
}

#[test]
fn a_target_that_is_no_path_is_refused() {
    assert!(NormalPath::of(&PathAndQuery::from_static("*")).is_err());
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/", "/", "/", ".", "..", "a", "public", "admin", "%2e", "%2E", "%2f", "%2F", "%5c", "\\",
        ";", "%3b", "%25", "%252e", "%252f", "%00", "%0a", "%20", "%41", "%c3%a4", "%ff", "ä", "%",
        "%4", "~", "@", ":", "=", "&", "+", "!", "%23", "%3f", "%3F", "%2523", "%2520", "%c2%a0",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #[test]
    fn normalisation_is_idempotent(path in pieces()) {
        let Ok(target) = PathAndQuery::try_from(path.as_str()) else { return Ok(()) };
        match NormalPath::of(&target) {
            Err(_) => {}
            Ok(Normalised::Moved(to)) => {
                prop_assert!(to.starts_with('/') && !to.starts_with("//"));
                let again = of(&to);
                let settled = matches!(&again, Ok(Normalised::Path(path)) if path.text() == to);
                prop_assert!(settled, "{} -> {} -> {:?}", path, to, again);
            }
            Ok(Normalised::Path(first)) => {
                let again = normal(first.text());
                prop_assert_eq!(first.text(), again.text());
                prop_assert_eq!(first.decoded(), again.decoded());
                prop_assert_eq!(&first.reading, &again.reading);
            }
        }
    }

    #[test]
    fn the_path_that_a_rule_sees_is_the_path_that_the_upstream_gets(path in pieces()) {
        let Ok(target) = PathAndQuery::try_from(path.as_str()) else { return Ok(()) };
        let Ok(Normalised::Path(path)) = NormalPath::of(&target) else { return Ok(()) };
        let sent = path.rewritten().map_or_else(|| path.target().path().to_owned(), |p| p.path().to_owned());
        prop_assert_eq!(&sent, path.text());
        let upstream_reads: Vec<u8> = percent_encoding::percent_decode_str(&sent).collect();
        prop_assert_eq!(text_of(&upstream_reads), path.decoded());
        let bare = |s: &str| -> String {
            s.chars().take_while(|c| !";#?".contains(*c)).filter(|c| !c.is_whitespace()).collect()
        };
        let parent = |p: &str| p.split(['/', '\\']).any(|s| bare(s) == "..");
        let hollow = |p: &str| p.split('/').skip(1).any(|s| matches!(bare(s).as_str(), "." | ".."));
        prop_assert!(!parent(path.decoded()) && !parent(path.text()) && !path.text().contains('\\'));
        let mut seen = Vec::new();
        path.always(|p| { seen.push(p.to_owned()); true });
        for seen in seen {
            prop_assert!(!hollow(&seen) && !seen.contains("//"), "{}", seen);
        }
    }

    #[test]
    fn no_rule_covers_a_path_without_what_an_encoded_mark_leaves_of_it(path in pieces()) {
        let Ok(target) = PathAndQuery::try_from(path.as_str()) else { return Ok(()) };
        let Ok(Normalised::Path(path)) = NormalPath::of(&target) else { return Ok(()) };
        for mark in ['#', '?'] {
            if let Some((head, _)) = path.decoded().split_once(mark) {
                prop_assert!(!path.always(|p| p != head), "{:?}", path);
                prop_assert!(!path.always(|p| p == head), "{:?}", path);
            }
        }
    }
}

/// What programs make of the path that they get; each line is a way in which some of them do it.
fn readers(sent: &str) -> Vec<(&'static str, String)> {
    let decode = |text: &str| {
        let bytes: Vec<u8> = percent_encoding::percent_decode_str(text).collect();
        bytes.iter().map(|byte| char::from(*byte)).collect::<String>()
    };
    let clean = |text: &str| cleaned(text);
    let bare = |text: &str| each_segment(text, |s| s.split(';').next().unwrap_or(s));
    let up_to = |text: &str, mark| text.split(mark).next().unwrap_or(text).to_owned();
    let one = decode(sent);
    let dots = |s: &str| s.chars().all(|c| matches!(c, '.' | ' '));
    let trimmed: Vec<&str> = one.split('/').map(str::trim).collect();
    let dropped: Vec<&str> =
        one.split('/').map(|s| if dots(s) { s } else { s.trim_end_matches(['.', ' ']) }).collect();
    vec![
        ("clean the raw path", clean(sent)),
        ("decode, clean", clean(&one)),
        ("clean, decode", decode(&clean(sent))),
        ("decode, cut at ?", clean(&up_to(&one, '?'))),
        ("decode, cut at #", clean(&up_to(&one, '#'))),
        ("drop parameters, decode, clean", clean(&decode(&bare(sent)))),
        ("decode, drop parameters, clean", clean(&bare(&one))),
        ("backslashes are slashes", clean(&one.replace('\\', "/"))),
        ("decode twice", clean(&decode(&one))),
        ("cut at NUL", clean(&up_to(&one, '\0'))),
        ("blanks dropped at a name", clean(&trimmed.join("/"))),
        ("dots dropped behind a name", clean(&dropped.join("/"))),
    ]
}

fn odd_pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/",
        "/",
        "/",
        ".",
        "..",
        "...",
        ";",
        ";x",
        ";a=b",
        "%2e",
        "%2E%2e",
        "%2f",
        "%2F",
        "%5c",
        "\\",
        "%00",
        "%09",
        "%20",
        "%23",
        "%3f",
        "%3b",
        "%252e",
        "%252f",
        "%25",
        "admin",
        "a",
        "public",
        "private",
        "%c0%ae",
        "%e0%80%af",
        "%c0%af",
        "%ef%bc%8f",
        "%e2%80%8b",
        "%ad",
        "~",
        "+",
        "*",
        "(",
        "|",
        "%7f",
        "%0d%0a",
        "%u002e",
        "&",
        "=",
        ":",
        "@",
        ",",
        "!",
        "$",
        "'",
    ]);
    prop::collection::vec(piece, 1..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn what_a_rule_opens_is_below_it_for_every_kind_of_reader(rest in odd_pieces()) {
        let Ok(target) = PathAndQuery::try_from(format!("/public/{rest}")) else { return Ok(()) };
        let Ok(Normalised::Path(path)) = NormalPath::of(&target) else { return Ok(()) };
        if path.always(|p| p.starts_with("/public/")) {
            for (reader, seen) in readers(path.text()) {
                prop_assert!(format!("{seen}/").starts_with("/public/"), "{target}: {reader} sees {seen}");
            }
        }
    }

    #[test]
    fn what_a_negated_rule_opens_is_the_closed_place_for_no_kind_of_reader(
        before in prop::sample::select(vec!["", "", ";", "%20", "%2f", "%5c", "a/", "%23", "%3f"]),
        after in odd_pieces(),
    ) {
        let path = format!("/{before}private{after}");
        let Ok(target) = PathAndQuery::try_from(path) else { return Ok(()) };
        let Ok(Normalised::Path(path)) = NormalPath::of(&target) else { return Ok(()) };
        let closed = |p: &str| p == "/private" || p.starts_with("/private/");
        if path.always(|p| !closed(p)) {
            for (reader, seen) in readers(path.text()) {
                prop_assert!(!closed(&seen), "{target}: {reader} sees {seen}");
            }
        }
    }
}
