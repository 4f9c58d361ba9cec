use super::*;
use serde_json::json;

fn object(value: &Value) -> Object {
    value.as_object().unwrap().clone()
}

fn read(
    token: &Value,
    userinfo: Option<&Value>,
    config: &Config,
) -> Result<Identity, ClaimsRefused> {
    let (token, userinfo) = (object(token), userinfo.map(object));
    identity("s", Sources { token: &token, userinfo: userinfo.as_ref() }, config)
}

#[test]
fn a_claim_is_found_by_its_name_before_its_path() {
    let config = Config { groups: "realm_access.roles".to_owned(), ..Config::default() };
    let nested = json!({"realm_access": {"roles": ["a", "b"]}});
    assert_eq!(read(&nested, None, &config).unwrap().groups, ["a", "b"]);
    let both = json!({"realm_access.roles": ["c"], "realm_access": {"roles": ["a"]}});
    assert_eq!(read(&both, None, &config).unwrap().groups, ["c"]);
    for nothing in [
        json!({"realm_access": []}),
        json!({"realm_access": {"roles": null}}),
        json!({"realm_access": 7}),
    ] {
        assert_eq!(read(&nothing, None, &config).unwrap().groups, [""; 0], "{nothing}");
    }
}

#[test]
fn values_of_other_types_become_text_or_lists() {
    let config = Config::default();
    for (groups, expected) in [
        (json!("one"), vec!["one"]),
        (json!(["a", 1, true, null, {"k": "v"}]), vec!["a", "1", "true", r#"{"k":"v"}"#]),
        (json!(7), vec!["7"]),
        (json!([]), vec![]),
    ] {
        let identity =
            read(&json!({"groups": groups, "preferred_username": 42}), None, &config).unwrap();
        assert_eq!(identity.groups, expected);
        assert_eq!(identity.preferred_username.as_deref(), Some("42"));
    }
}

#[test]
fn the_token_wins_over_userinfo_claim_by_claim() {
    let userinfo = json!({"email": "b@x.test", "groups": ["u"], "preferred_username": "u"});
    let identity =
        read(&json!({"email": "a@x.test", "groups": null}), Some(&userinfo), &Config::default())
            .unwrap();
    assert_eq!(identity.email.as_deref(), Some("a@x.test"));
    assert_eq!(identity.groups, ["u"]);
    assert_eq!(identity.preferred_username.as_deref(), Some("u"));
}

#[test]
fn an_address_is_refused_only_if_it_is_called_unverified() {
    let refused = |verified: Value| {
        let claims = json!({"email": "a@x.test", "email_verified": verified});
        read(&claims, None, &Config::default()).is_err()
    };
    for verified in [json!(true), json!("true"), json!("1"), json!(1), json!(null)] {
        assert!(!refused(verified.clone()), "{verified}");
    }
    for unverified in
        [json!(false), json!("false"), json!(0), json!("no"), json!(""), json!({}), json!([true])]
    {
        assert!(refused(unverified.clone()), "{unverified}");
    }
    let claims = json!({"email": "a@x.test", "email_verified": false});
    let allowed = Config { insecure_allow_unverified_email: true, ..Config::default() };
    assert!(read(&claims, None, &allowed).is_ok());
    let other = Config { email: "mail".to_owned(), ..Config::default() };
    assert!(read(&claims, None, &other).is_ok(), "another claim has no such companion");
}

#[test]
fn userinfo_is_worth_asking_only_if_something_is_missing() {
    let whole =
        json!({"email": "a", "groups": [], "preferred_username": "p", "email_verified": true});
    assert!(!incomplete(&object(&whole), &Config::default(), &[]));
    for missing in ["email", "groups", "preferred_username", "email_verified"] {
        let mut claims = object(&whole);
        claims.remove(missing);
        assert!(incomplete(&claims, &Config::default(), &[]), "{missing}");
    }
    let allowed = Config { insecure_allow_unverified_email: true, ..Config::default() };
    let mut claims = object(&whole);
    claims.remove("email_verified");
    assert!(!incomplete(&claims, &allowed, &[]));
}

#[test]
fn claims_that_are_named_are_looked_for_in_both_sources_and_stored_as_texts() {
    let names = ["department", "address.country", "roles", "level", "gone"].map(str::to_owned);
    let token =
        object(&json!({"department": "it", "roles": ["a", 1, null], "gone": null, "more": 1}));
    let userinfo = object(&json!({"department": "hr", "address": {"country": "NZ"}, "level": 3}));
    let found = captured(&names, Sources { token: &token, userinfo: Some(&userinfo) });
    assert_eq!(found.asked, names);
    let values = [
        ("address.country", vec!["NZ"]),
        ("department", vec!["it"]),
        ("level", vec!["3"]),
        ("roles", vec!["a", "1"]),
    ];
    let text = |(name, values): (&str, Vec<&str>)| {
        (name.to_owned(), values.into_iter().map(str::to_owned).collect())
    };
    assert_eq!(found.values, values.map(text).into());
    let whole = object(&json!({
        "email": "a@b", "email_verified": true, "groups": [], "preferred_username": "a", "level": 1
    }));
    assert!(!incomplete(&whole, &Config::default(), &["level".to_owned()]));
    assert!(incomplete(&whole, &Config::default(), &["roles".to_owned()]), "userinfo may have it");
}
