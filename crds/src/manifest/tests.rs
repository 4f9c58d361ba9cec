use super::*;
use std::fs;
use std::path::PathBuf;

/// Calls `visit` for every schema, with its path.
fn walk(schema: &Value, path: &str, visit: &mut dyn FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(property, &format!("{path}.{name}"), visit);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            walk(&schema[inner], &format!("{path}[]"), visit);
        }
    }
}

fn schemas(mut visit: impl FnMut(&str, &Value)) {
    let definition = definition().unwrap();
    walk(&definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"], "", &mut visit);
}

#[test]
fn both_copies_of_the_manifest_are_fresh() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    for folder in [root.clone(), root.join("../charts/oauth2-proxy-operator/files")] {
        let path = folder.join(FILE_NAME);
        let text = fs::read_to_string(&path).unwrap_or_default();
        assert!(text == manifest().unwrap(), "{} is stale: run `make generate`", path.display());
    }
}

#[test]
fn the_page_of_the_documentation_is_fresh_and_has_every_field() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(crate::PAGE_NAME);
    let page = crate::reference_page().unwrap();
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == page,
        "{} is stale: run `make generate`",
        path.display()
    );
    schemas(|path, _| {
        if let Some(name) =
            path.rsplit('.').next().filter(|name| !name.is_empty() && !name.ends_with("[]"))
        {
            assert!(
                path.matches('.').count() < 2 || page.contains(&format!("`{name}`")),
                "{path} is missing"
            );
        }
    });
}

#[test]
fn the_schema_is_structural() {
    schemas(|path, schema| {
        let any = schema["x-kubernetes-int-or-string"] == true;
        assert!(any || schema["type"].is_string(), "{path} has no type");
        // The API server refuses types and properties inside of these.
        for logic in ["anyOf", "oneOf", "allOf", "not"] {
            assert!(schema.get(logic).is_none() || logic == "oneOf", "{path} uses {logic}");
        }
        assert!(!schema["items"].is_array(), "{path} is a tuple");
        assert!(schema.get("$ref").is_none(), "{path} is a reference");
    });
}

#[test]
fn integers_have_formats_and_bounds_that_the_api_server_knows() {
    schemas(|path, schema| {
        if schema["type"] == "integer" {
            let format = schema.get("format").and_then(Value::as_str);
            assert!(matches!(format, None | Some("int32" | "int64")), "{path}: {format:?}");
            assert!(
                path.starts_with(".status") || schema.get("minimum").is_some(),
                "{path} has no minimum"
            );
        }
    });
}

#[test]
fn every_list_and_text_of_the_specification_is_bounded() {
    schemas(|path, schema| {
        if !path.starts_with(".spec") {
            return;
        }
        match schema["type"].as_str() {
            Some("array") => assert!(schema["maxItems"].is_number(), "{path} has no maxItems"),
            Some("string") if schema.get("enum").is_none() => {
                assert!(schema["maxLength"].is_number(), "{path} has no maxLength");
            }
            _ => {}
        }
    });
}

#[test]
fn every_field_is_documented_in_sentences() {
    schemas(|path, schema| {
        let leaf = path.rsplit('.').next().unwrap_or_default();
        let documented = path.starts_with(".spec") && !path.ends_with("[]") && !leaf.is_empty();
        if documented {
            let text = schema["description"].as_str().unwrap_or_default();
            assert!(text.len() > 10 && text.ends_with('.'), "{path}: {text:?}");
        }
    });
}

#[test]
fn every_rule_says_what_to_do() {
    schemas(|path, schema| {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            let message = rule["message"].as_str().unwrap_or_default();
            assert!(message.len() > 20, "{path}: {}", rule["rule"]);
        }
    });
}

#[test]
fn client_side_apply_can_take_it() {
    // The annotation that `kubectl apply` writes holds all of it, and all annotations together 256 KiB.
    assert!(serde_json::to_string(&definition().unwrap()).unwrap().len() < 200_000);
}

#[test]
fn the_least_object_gets_its_defaults() {
    let object: OAuth2Proxy = serde_json::from_value(serde_json::json!({
        "apiVersion": "oauth2proxy.dev/v1alpha1", "kind": "OAuth2Proxy", "metadata": {"name": "main"},
        "spec": {
            "provider": {"issuerURL": "https://id.example.com", "clientID": "a", "clientAuthentication": "none"},
            "access": {"emailDomains": ["*"]},
        },
    }))
    .unwrap();
    let text = serde_json::to_value(&object.spec).unwrap();
    for (pointer, expected) in [
        ("/session/store", "cookie"),
        ("/session/cookie/name", "_oauth2_proxy"),
        ("/session/cookie/expire", "168h"),
        ("/sidecar/traffic", "Auto"),
        ("/deletionPolicy", "Block"),
        ("/http/proxyPrefix", "/oauth2"),
        ("/headers/request/0/name", "X-Forwarded-User"),
    ] {
        assert_eq!(text.pointer(pointer).and_then(Value::as_str), Some(expected), "{pointer}");
    }
}
