//! What to say when the provider calls itself something else: the commonest mistake there is.

use crate::oidc::jws::shown;
use url::Url;

/// Both names, where they first differ, the likely reason and what to do.
pub(super) fn mismatch(configured: &str, found: &str) -> String {
    let same = configured.chars().zip(found.chars()).take_while(|(a, b)| a == b).count();
    let at = |text: &str| {
        text.chars().nth(same).map_or_else(|| "its end".to_owned(), |c| format!("{c:?}"))
    };
    format!(
        "the provider calls itself {}, issuerUrl (--oidc-issuer-url) is {}; they first differ at character {} ({} against {}): {}",
        shown(found),
        shown(configured),
        same + 1,
        at(found),
        at(configured),
        advice(configured, found)
    )
}

fn advice(configured: &str, found: &str) -> &'static str {
    if found.contains('{') {
        return "the provider serves several tenants under one address: give the issuer of your tenant, or set \
                insecureSkipIssuerVerification (--insecure-oidc-skip-issuer-verification)";
    }
    if configured.trim_end_matches('/') == found.trim_end_matches('/') {
        return "only the trailing slash differs: write issuerUrl exactly as the provider does";
    }
    let (Ok(ours), Ok(theirs)) = (Url::parse(configured), Url::parse(found)) else {
        return "set issuerUrl to what the provider says";
    };
    if ours.origin() != theirs.origin() && ours.path() == theirs.path() {
        return "the provider has another public address: set issuerUrl to it and, if the proxy can not reach that one, \
                discoveryUrl (--oidc-discovery-url) to the address that it can; or correct the provider's host name setting";
    }
    "set issuerUrl to what the provider says"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_and_the_first_difference_are_shown() {
        let text = mismatch("https://idp/realms/a", "https://idp/realms/a/");
        assert!(
            text.contains("\"https://idp/realms/a/\"") && text.contains("\"https://idp/realms/a\""),
            "{text}"
        );
        assert!(text.contains("character 21 ('/' against its end)"), "{text}");
        assert!(text.contains("trailing slash"), "{text}");
    }

    #[test]
    fn the_advice_fits_the_kind_of_difference() {
        for (configured, found, part) in [
            ("https://a.test/r", "https://b.test/r", "discoveryUrl"),
            ("http://a.test/r", "https://a.test/r", "discoveryUrl"),
            ("https://login.test/common/v2.0", "https://login.test/{tenantid}/v2.0", "tenant"),
            ("https://a.test/r", "https://a.test/s", "set issuerUrl to what"),
            ("https://a.test/r", "nonsense", "set issuerUrl to what"),
        ] {
            let text = mismatch(configured, found);
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_hostile_name_is_cut_and_cleaned() {
        let text =
            mismatch("https://a.test", &format!("https://a.test/\r\nforged{}", "x".repeat(5000)));
        assert!(!text.contains('\n') && text.len() < 600, "{text}");
    }
}
