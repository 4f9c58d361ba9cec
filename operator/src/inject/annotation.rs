//! What a workload asks for: the opt-in and the settings that differ for it, read from its own metadata.
//!
//! Nothing here looks at any other object. Texts that mean nothing are refused with the way to write them, never ignored:
//! an ignored `traffic: Companon` would leave a path open that its owner believes closed.

use super::Refusal;
use super::rollback::unmeant_traffic;
use crate::object::is_name;
use crds::{Reason, Traffic};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;
use std::collections::BTreeMap;

/// Annotation or label on the workload: the name of the `OAuth2Proxy`, or `true` for the only one of the namespace.
pub(crate) const INJECT: &str = "oauth2proxy.dev/inject";
/// Annotation on the workload: number or name of the container port that is protected.
pub(crate) const UPSTREAM_PORT: &str = "oauth2proxy.dev/upstream-port";
/// Annotation on the workload: the proxy's port in its pods.
pub(crate) const PORT: &str = "oauth2proxy.dev/port";
/// Annotation on the workload: `Auto`, `Companion` or `Retarget`.
pub(crate) const TRAFFIC: &str = "oauth2proxy.dev/traffic";
/// Annotation on the workload: `true` makes the operator leave it, its Services and its pods as they are.
pub(crate) const PAUSED: &str = "oauth2proxy.dev/paused";
/// Annotation on the workload, written by the operator: what was added, so that exactly that can be removed.
pub(crate) const INJECTED: &str = "oauth2proxy.dev/injected";
/// Annotation on the pod template, written by the operator: the object that the sidecar belongs to.
pub(crate) const INJECTED_BY: &str = "oauth2proxy.dev/injected-by";
/// Annotation on the pod template, written by the operator: digest of what the pod specification got. On the Deployment of a
/// stand-alone proxy: digest of its pod specification.
pub(crate) const POD_SPEC_HASH: &str = "oauth2proxy.dev/pod-spec-hash";

/// Which object a workload asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OptIn {
    /// None.
    No,
    /// The one of this name.
    Named(String),
    /// The only one of the namespace.
    Only,
}

/// The protected port as a workload gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PortWish {
    /// By number.
    Number(u16),
    /// By the name of a container port.
    Name(String),
}

/// What the metadata of a workload asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wishes {
    /// The object.
    pub(crate) opt_in: OptIn,
    /// The protected port, if it differs from the object's.
    pub(crate) upstream_port: Option<PortWish>,
    /// The proxy's port, if it differs from the object's.
    pub(crate) port: Option<u16>,
    /// What is done about Services, if it differs from the object's.
    pub(crate) traffic: Option<Traffic>,
    /// Leave everything as it is.
    pub(crate) paused: bool,
}

impl Wishes {
    /// Reads the metadata of a live workload.
    ///
    /// # Errors
    /// A text without meaning, or an annotation and a label that contradict each other.
    pub(crate) fn read(workload: &Value) -> Result<Self, Refusal> {
        Ok(Self {
            opt_in: opt_in(workload)?,
            upstream_port: annotation(workload, UPSTREAM_PORT).map(port_wish).transpose()?,
            port: annotation(workload, PORT).map(own_port).transpose()?,
            traffic: Self::traffic(workload)?,
            paused: Self::paused(workload)?,
        })
    }

    /// Reads alone what is wanted of Services. What a rollback brought and would open them is wanted by nobody.
    ///
    /// # Errors
    /// A text without meaning.
    pub(crate) fn traffic(workload: &Value) -> Result<Option<Traffic>, Refusal> {
        let wish = annotation(workload, TRAFFIC).map(traffic).transpose()?;
        Ok(wish.filter(|_| unmeant_traffic(workload).is_none()))
    }

    /// Reads alone whether everything is to be left as it is.
    ///
    /// # Errors
    /// A text without meaning.
    pub(crate) fn paused(workload: &Value) -> Result<bool, Refusal> {
        Ok(annotation(workload, PAUSED).map(paused).transpose()?.unwrap_or(false))
    }
}

/// Reads the opt-in alone.
///
/// # Errors
/// A text that can not be the name of an object, or an annotation and a label that name different objects: neither wins,
/// since either choice may be the weaker one.
pub(crate) fn opt_in(workload: &Value) -> Result<OptIn, Refusal> {
    match (annotation(workload, INJECT), label(workload)) {
        (Some(annotation), Some(label)) if annotation != label => Err(Refusal::new(
            Reason::InvalidAnnotation,
            format!(
                "annotation {INJECT} says {annotation:?} and the label says {label:?}: remove one of them"
            ),
        )),
        (Some(value), _) | (None, Some(value)) => match meaning(value) {
            OptIn::Named(name) if !is_name(&name) => Err(invalid(
                INJECT,
                value,
                "the name of an OAuth2Proxy of the same namespace, or to \"true\" for its only one",
            )),
            meaning => Ok(meaning),
        },
        (None, None) => Ok(OptIn::No),
    }
}

/// The text of the opt-in, wherever it stands.
pub(crate) fn opt_in_text(workload: &Value) -> Option<&str> {
    annotation(workload, INJECT).or_else(|| label(workload))
}

fn label(workload: &Value) -> Option<&str> {
    workload.pointer("/metadata/labels")?.get(INJECT)?.as_str()
}

/// The meaning of the text of an opt-in. `false` and the empty text are an explicit no.
pub(crate) fn meaning(value: &str) -> OptIn {
    match value.trim() {
        "" | "false" => OptIn::No,
        "true" => OptIn::Only,
        name => OptIn::Named(name.to_owned()),
    }
}

/// The text of an opt-in on the pod template.
pub(crate) fn template_opt_in(workload: &Value) -> Option<&str> {
    workload.pointer("/spec/template/metadata/annotations")?.get(INJECT)?.as_str()
}

/// Whether a workload has to do with us: it asks for something, says no, or has something.
pub(crate) fn concerns(workload: &ObjectMeta) -> bool {
    entry(workload.annotations.as_ref(), INJECT)
        .or_else(|| entry(workload.labels.as_ref(), INJECT))
        .is_some()
        || is_recorded(workload)
}

/// Whether something was added to a workload.
pub(crate) fn is_recorded(workload: &ObjectMeta) -> bool {
    entry(workload.annotations.as_ref(), INJECTED).is_some()
}

/// What a workload asks for, if it asks in one way.
pub(crate) fn asked_for(workload: &ObjectMeta) -> Option<OptIn> {
    let annotated = entry(workload.annotations.as_ref(), INJECT);
    annotated.or_else(|| entry(workload.labels.as_ref(), INJECT)).map(meaning)
}

/// Whether a workload may ask for the object of this name.
pub(crate) fn asks_for(workload: &ObjectMeta, object: &str) -> bool {
    let texts =
        [entry(workload.annotations.as_ref(), INJECT), entry(workload.labels.as_ref(), INJECT)];
    texts.into_iter().flatten().any(|text| match meaning(text) {
        OptIn::No => false,
        OptIn::Only => true,
        OptIn::Named(name) => name == object,
    })
}

/// Whether a workload may ask for the object of this name, or carries its sidecar. A record that can not be read may be of
/// any.
pub(crate) fn belongs_to(workload: &ObjectMeta, object: &str) -> bool {
    let carries = entry(workload.annotations.as_ref(), INJECTED).is_some_and(|record| {
        serde_json::from_str::<Value>(record)
            .map_or(true, |record| record.get("object").is_none_or(|name| name == object))
    });
    carries || asks_for(workload, object)
}

fn entry<'a>(map: Option<&'a BTreeMap<String, String>>, name: &str) -> Option<&'a str> {
    map?.get(name).map(String::as_str)
}

/// The text of an annotation of a workload.
pub(crate) fn annotation<'a>(workload: &'a Value, name: &str) -> Option<&'a str> {
    workload.pointer("/metadata/annotations")?.get(name)?.as_str()
}

fn port_wish(text: &str) -> Result<PortWish, Refusal> {
    match text.trim().parse::<u16>() {
        Ok(port) if port > 0 => Ok(PortWish::Number(port)),
        Err(_) if text.chars().any(|c| c.is_ascii_lowercase()) && text.len() <= 15 => {
            Ok(PortWish::Name(text.trim().to_owned()))
        }
        _ => Err(invalid(UPSTREAM_PORT, text, "the number or the name of a container port")),
    }
}

fn own_port(text: &str) -> Result<u16, Refusal> {
    match text.trim().parse::<u16>() {
        Ok(port) if port > 1024 => Ok(port),
        _ => Err(invalid(
            PORT,
            text,
            "a number from 1025 to 65535, because the proxy runs without privileges",
        )),
    }
}

pub(super) fn traffic(text: &str) -> Result<Traffic, Refusal> {
    match text.trim() {
        "Auto" => Ok(Traffic::Auto),
        "Companion" => Ok(Traffic::Companion),
        "Retarget" => Ok(Traffic::Retarget),
        _ => Err(invalid(TRAFFIC, text, "Auto, Companion or Retarget")),
    }
}

fn paused(text: &str) -> Result<bool, Refusal> {
    match text.trim() {
        "true" => Ok(true),
        "false" | "" => Ok(false),
        _ => Err(invalid(PAUSED, text, "true or false")),
    }
}

fn invalid(name: &str, text: &str, want: &str) -> Refusal {
    Refusal::new(
        Reason::InvalidAnnotation,
        format!("annotation {name} is {text:?}: set it to {want}, or remove it"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn workload(annotations: &Value, labels: &Value) -> Value {
        json!({"metadata": {"name": "web", "annotations": annotations, "labels": labels}})
    }

    #[test]
    fn annotation_or_label_opts_in() {
        for (annotations, labels, want) in [
            (json!({}), json!({}), OptIn::No),
            (json!({INJECT: "main"}), json!({}), OptIn::Named("main".to_owned())),
            (json!({}), json!({INJECT: "main"}), OptIn::Named("main".to_owned())),
            (json!({INJECT: "main"}), json!({INJECT: "main"}), OptIn::Named("main".to_owned())),
            (json!({INJECT: "true"}), json!({}), OptIn::Only),
            (json!({INJECT: "false"}), json!({}), OptIn::No),
            (json!({INJECT: ""}), json!({}), OptIn::No),
        ] {
            assert_eq!(opt_in(&workload(&annotations, &labels)), Ok(want));
        }
    }

    #[test]
    fn a_name_that_no_object_can_have_is_refused() {
        for text in
            ["main other", "shop/main", "main/status", "../../x", "main?a=b", "Main", "a..b"]
        {
            let refusal = opt_in(&workload(&json!({INJECT: text}), &json!({}))).unwrap_err();
            assert_eq!(refusal.reason, Reason::InvalidAnnotation);
            assert!(refusal.message.contains(text), "{}", refusal.message);
        }
        let blanks = opt_in(&workload(&json!({INJECT: " main "}), &json!({})));
        assert_eq!(blanks, Ok(OptIn::Named("main".to_owned())));
    }

    #[test]
    fn contradicting_annotation_and_label_are_refused() {
        let refusal = opt_in(&workload(&json!({INJECT: "a"}), &json!({INJECT: "b"}))).unwrap_err();
        assert_eq!(refusal.reason, Reason::InvalidAnnotation);
        assert!(
            refusal.message.contains("\"a\"") && refusal.message.contains("\"b\""),
            "{}",
            refusal.message
        );
    }

    #[test]
    fn settings_of_the_workload_are_read() {
        let annotations = json!({INJECT: "main", UPSTREAM_PORT: "http", PORT: "4280", TRAFFIC: "Companion", PAUSED: "true"});
        let wishes = Wishes::read(&workload(&annotations, &json!({}))).unwrap();
        assert_eq!(wishes.upstream_port, Some(PortWish::Name("http".to_owned())));
        assert_eq!(
            (wishes.port, wishes.traffic, wishes.paused),
            (Some(4280), Some(Traffic::Companion), true)
        );
    }

    #[test]
    fn texts_without_meaning_are_refused_by_name() {
        for (name, text) in [
            (UPSTREAM_PORT, "0"),
            (UPSTREAM_PORT, "70000"),
            (UPSTREAM_PORT, "a-name-that-is-too-long"),
            (PORT, "80"),
            (PORT, "http"),
            (TRAFFIC, "Companon"),
            (PAUSED, "yes"),
        ] {
            let refusal = Wishes::read(&workload(&json!({name: text}), &json!({}))).unwrap_err();
            assert!(
                refusal.message.contains(name) && refusal.message.contains(text),
                "{}",
                refusal.message
            );
        }
    }
}
