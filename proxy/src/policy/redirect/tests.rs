use super::*;
use serde_json::Value;

/// Recorded from oauth2-proxy v7.15.3; never edited.
const GOLDEN: &str = include_str!("../../../tests/golden/redirects.json");

/// Values that oauth2-proxy accepts and we do not: what they hold, and why.
const REFUSED: [(&str, &str); 3] = [
    ("/a/\t./b", "browsers drop the tab and read a dot segment"),
    ("/x\u{0}y", "no header can carry NUL"),
    ("https://vectors.example:99999/", "no browser takes this port"),
];

/// The checks behind the first ones hold by themselves.
#[test]
fn what_leads_elsewhere_does_not_stay_here_whoever_asks() {
    for here in ["/", "/a-b_c~d/1", "/a.b?c#d", "/%2f", "/a b"] {
        assert!(stays_here(here), "{here}");
    }
    for elsewhere in
        ["//evil", "//evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example"]
    {
        assert!(!stays_here(elsewhere), "{elsewhere}");
    }
}

#[test]
fn an_odd_host_or_port_is_none() {
    assert_eq!(host_and_port("https://a.example:8080/%41?%"), Some(("a.example", "8080")));
    assert_eq!(host_and_port("https://u@[::1]"), Some(("::1", "")));
    for odd in ["https://:80/", "https://a%62/", "https://a b/", "https://a:8x/", "https://a:80/%4"]
    {
        assert_eq!(host_and_port(odd), None, "{odd}");
    }
}

#[test]
fn recorded_targets_are_judged_as_the_peer_does() {
    let golden: Value = serde_json::from_str(GOLDEN).expect("JSON");
    let values = golden["values"].as_array().expect("a list");
    assert_eq!(values.len(), 690);
    for vector in values {
        let name = vector["name"].as_str().expect("a name");
        let Some(value) = vector["value"].as_str() else { panic!("{name}: not a text") };
        let list: Vec<&str> = vector["whitelist_domains"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let accepted =
            vector["accepted"] == true && !REFUSED.iter().any(|(refused, _)| *refused == value);
        assert_eq!(Whitelist::new(&list).allows(value), accepted, "{name}");
        if accepted {
            assert_eq!(Some(&*location(value)), vector["sign_out_location"].as_str(), "{name}");
        }
    }
}

#[test]
fn nothing_leads_a_browser_elsewhere() {
    let list = Whitelist::new(&["good.example", ".deep.example:*"]);
    for target in [
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "//evil.example",
        "/ /evil.example",
        "https:evil.example",
        "https:/evil.example",
        "https:\\\\evil.example",
        "http:///evil.example",
        "https://good.example\\@evil.example/",
        "https://good.example\\.evil.example/",
        "https://evil.example#@good.example",
        "https://good.example@evil.example",
        "https://evil.example?.good.example",
        "https://good.example%2eevil.example",
        "https://good.example%00.evil.example",
        "https://evil.example\u{3002}good.example",
        "https://0x7f.1/",
        "https://good.examp\tle/",
        "javascript://good.example/%0aalert(1)",
        "data:text/html,x",
        "https://[good.example]/",
        "https://good.example:80:80/",
        "https://good.example:8o/",
        "",
        " ",
        "evil",
        "HTTPS://good.example/",
    ] {
        assert!(!list.allows(target), "{target:?}");
    }
    for target in [
        "/",
        "/a?b=c#d",
        "https://good.example/x",
        "https://a.deep.example:8443/",
        "https://deep.example",
    ] {
        assert!(list.allows(target), "{target:?}");
    }
}

proptest::proptest! {
    #[test]
    fn an_accepted_target_stays_here_or_on_the_list_in_a_browsers_eyes(
        target in r"(https?:|/|\\|//|[a-z.@:%/\\ \t#?]){0,12}(evil\.example|good\.example)?[/a-z.\\ ]{0,4}",
    ) {
        let list = Whitelist::new(&["good.example"]);
        if list.allows(&target) {
            let here = Url::parse(SELF).expect("a URL");
            for base in [here.clone(), Url::parse("http://self.invalid/a/b").expect("a URL")] {
                let seen = base.join(&target).expect("a browser reads it");
                let host = seen.host_str().expect("a host");
                proptest::prop_assert!(host == "self.invalid" || host == "good.example", "{} -> {}", target, seen);
                let cleaned = base.join(&location(&target)).expect("a browser reads it");
                proptest::prop_assert_eq!(cleaned.host_str(), seen.host_str());
            }
        }
    }

    #[test]
    fn no_mix_of_odd_pieces_leads_a_browser_elsewhere(
        start in proptest::sample::select(vec![
            "/", "/", "//", "http://good.example", "https://good.example", "https://a.sub.example:8443", "https://",
            "http:/", "https:\\\\", "",
        ]),
        pieces in proptest::collection::vec(proptest::sample::select(ODD.to_vec()), 0..7),
    ) {
        let list = Whitelist::new(&["good.example", ".sub.example:*"]);
        let target = start.to_owned() + &pieces.concat();
        if list.allows(&target) {
            let base = Url::parse("http://app.example/").expect("a URL");
            let seen = base.join(&location(&target)).expect("a browser reads it");
            let listed = match (seen.host_str(), seen.port()) {
                (Some("good.example"), None) => true,
                (Some(host), _) => host == "sub.example" || host.ends_with(".sub.example"),
                (None, _) => false,
            };
            let there = listed && matches!(seen.scheme(), "http" | "https");
            proptest::prop_assert!(there || seen.origin() == base.origin(), "{} -> {}", target, seen);
        }
    }
}

/// What browsers, servers and this module read in different ways somewhere.
const ODD: [&str; 45] = [
    "/",
    "\\",
    "//",
    "/\\",
    "\\/",
    ".",
    "..",
    ";",
    "%2f",
    "%5c",
    "%09",
    "\t",
    "\n",
    " ",
    "\u{3000}",
    "\u{ff0f}",
    "\u{2215}",
    "@",
    ":",
    "#",
    "?",
    "evil.example",
    "good.example",
    "app.example",
    "http:",
    "https:",
    "HTTP:",
    "javascript:",
    "data:",
    "%00",
    "\0",
    "&",
    "[::1]",
    "8080",
    "\u{ad}",
    "\u{feff}",
    "xn--",
    "|",
    "^",
    "`",
    "<",
    ">",
    "\"",
    "'",
    "sub.example",
];
