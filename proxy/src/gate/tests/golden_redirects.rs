//! Where logins lead back to, against whole requests recorded from oauth2-proxy v7.15.3.

use super::Proxy;
use serde_json::Value;
use url::Url;

/// Recorded from oauth2-proxy v7.15.3; never edited.
const GOLDEN: &str = include_str!("../../../tests/golden/redirects.json");

/// Requests that we answer otherwise: status and, if there is one, `Location`.
const OURS: [(&str, u16, &str); 1] = [
    // The path is normalised before anything else looks at it.
    ("With skip_provider_button a request path with a dot segment after decoding.", 301, "/page"),
];

/// An option that does not exist here: semicolons in a query are read differently by different programs.
const NOT_YET: &str = "--allow-query-semicolons";

#[test]
fn recorded_requests_lead_back_to_where_the_peer_leads() {
    let golden: Value = serde_json::from_str(GOLDEN).expect("JSON");
    let requests = golden["requests"].as_array().expect("a list");
    assert_eq!(requests.len(), 35);
    for vector in requests {
        let name = vector["name"].as_str().expect("a name");
        let mut flags = vec!["--email-domain=*".to_owned(), "--upstream=static://200".to_owned()];
        flags.extend(
            vector["flags"]
                .as_array()
                .expect("a list")
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned),
        );
        if flags.iter().any(|flag| flag == NOT_YET) {
            assert!(
                Proxy::try_start(&flags)
                    .is_err_and(|error| error.contains("allow-query-semicolons")),
                "{name}"
            );
            continue;
        }
        let proxy = Proxy::try_start(&flags).expect(name);
        let request = &vector["request"];
        let text = |key: &str| request[key].as_str().expect("a text");
        let list: Vec<(String, String)> =
            serde_json::from_value(request["headers"].clone()).expect("pairs");
        let mut headers = vec![("Host", text("host"))];
        headers.extend(list.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let answer = proxy.send(text("method"), text("target"), &headers, text("body"));
        if let Some((_, status, location)) = OURS.iter().find(|(ours, _, _)| *ours == name) {
            assert_eq!(
                (answer.status, answer.header("location")),
                (*status, *location),
                "{name}: {answer:?}"
            );
            continue;
        }
        assert_eq!(Some(u64::from(answer.status)), vector["status"].as_u64(), "{name}: {answer:?}");
        let target = Url::parse(answer.header("location")).ok().and_then(|url| {
            let state = url.query_pairs().find(|(name, _)| name == "state")?.1.into_owned();
            state.split_once(':').map(|(_, target)| target.to_owned())
        });
        assert_eq!(target.as_deref(), vector["target_in_state"].as_str(), "{name}: {answer:?}");
    }
}
