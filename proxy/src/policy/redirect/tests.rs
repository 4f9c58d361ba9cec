use super::*;
use serde_json::Value;

/// Recorded from oauth2-proxy v7.15.3; never edited.
const GOLDEN: &str = include_str!("../../../tests/golden/redirects.json");

/// Values that the peer accepts and we do not: what they hold, and why.
const REFUSED: [(&str, &str); 3] = [
    ("/a/\t./b", "browsers drop the tab and read a dot segment"),
    ("/x\u{0}y", "no header can carry NUL"),
    ("https://vectors.example:99999/", "no browser takes this port"),
];

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
}
