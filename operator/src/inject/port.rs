//! Which port of the pod is protected, and whether the proxy's own ports are free there.
//!
//! A guess in doubt would protect the wrong port and leave the right one open, so doubt is refused with the candidates.

use super::{PortWish, Refusal, annotation, list};
use crds::Reason;
use serde_json::Value;

/// The three ports of an injected pod. They differ from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    /// Where the proxy serves.
    pub(crate) proxy: u16,
    /// Probes, metrics and status of the proxy.
    pub(crate) admin: u16,
    /// The application's: the one that is protected.
    pub(crate) upstream: u16,
}

/// What the object says about ports; the workload's annotations come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortDefaults {
    /// `sidecar.port`.
    pub(crate) proxy: u16,
    /// `sidecar.adminPort`.
    pub(crate) admin: u16,
    /// `sidecar.upstreamPort`; absent: the only port of the application.
    pub(crate) upstream: Option<u16>,
}

/// A port that a container of the pod declares.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Declared<'a> {
    container: &'a str,
    name: Option<&'a str>,
    number: u16,
}

/// Chooses the ports for a pod specification.
///
/// # Errors
/// No or several candidates for the protected port, or a port of the proxy that another container uses. `own` is the name
/// of the container that is ours and so does not count.
pub(crate) fn choose(
    pod: &Value,
    own: Option<&str>,
    wish: Option<&PortWish>,
    proxy: Option<u16>,
    defaults: PortDefaults,
) -> Result<Ports, Refusal> {
    let application = declared(list(pod, "/containers"), own);
    let upstream = match wish {
        Some(PortWish::Number(number)) => declared_or_none(&application, *number)?,
        Some(PortWish::Name(name)) => named(&application, name)?,
        None => match defaults.upstream {
            Some(number) => declared_or_none(&application, number)?,
            None => only(&application)?,
        },
    };
    let ports = Ports { proxy: proxy.unwrap_or(defaults.proxy), admin: defaults.admin, upstream };
    collision(ports, &application, &declared(list(pod, "/initContainers"), own))?;
    Ok(ports)
}

/// The number that a Service's target port means in this pod: containers and native sidecars count.
pub(crate) fn resolve(pod: &Value, name: &str) -> Option<u16> {
    let sidecars = list(pod, "/initContainers").iter().filter(|c| c.get("restartPolicy").is_some());
    list(pod, "/containers")
        .iter()
        .chain(sidecars)
        .flat_map(|container| list(container, "/ports"))
        .find(|port| port.get("name").and_then(Value::as_str) == Some(name))
        .and_then(|port| number(port.get("containerPort")?))
}

fn declared<'a>(containers: &'a [Value], own: Option<&str>) -> Vec<Declared<'a>> {
    let name =
        |container: &'a Value| container.get("name").and_then(Value::as_str).unwrap_or_default();
    containers
        .iter()
        .filter(|container| own != Some(name(container)))
        .flat_map(|container| list(container, "/ports").iter().map(move |port| (container, port)))
        .filter(|(_, port)| port.get("protocol").and_then(Value::as_str).unwrap_or("TCP") == "TCP")
        .filter_map(|(container, port)| {
            Some(Declared {
                container: name(container),
                name: port.get("name").and_then(Value::as_str),
                number: number(port.get("containerPort")?)?,
            })
        })
        .collect()
}

fn number(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|number| u16::try_from(number).ok())
}

fn named(application: &[Declared<'_>], name: &str) -> Result<u16, Refusal> {
    application.iter().find(|port| port.name == Some(name)).map(|port| port.number).ok_or_else(|| {
        Refusal::new(
            Reason::AmbiguousPort,
            format!(
                "annotation {} names the port {name:?}, which no container has: choose one of {}, or give a number",
                annotation::UPSTREAM_PORT,
                candidates(application)
            ),
        )
    })
}

/// A number that no container declares while others are declared is most often that of a Service: to protect it would leave the
/// application open.
fn declared_or_none(application: &[Declared<'_>], number: u16) -> Result<u16, Refusal> {
    if application.is_empty() || application.iter().any(|port| port.number == number) {
        return Ok(number);
    }
    Err(Refusal::new(
        Reason::AmbiguousPort,
        format!(
            "port {number} is to be protected, and no container declares it as a TCP port: choose one of {} by annotation {} or by sidecar.upstreamPort of the OAuth2Proxy, or have it declared",
            candidates(application),
            annotation::UPSTREAM_PORT
        ),
    ))
}

fn only(application: &[Declared<'_>]) -> Result<u16, Refusal> {
    let mut numbers: Vec<u16> = application.iter().map(|port| port.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let [number] = numbers.as_slice() else {
        let problem = if numbers.is_empty() {
            "the containers declare no TCP port".to_owned()
        } else {
            format!("the containers declare several TCP ports ({})", candidates(application))
        };
        return Err(Refusal::new(
            Reason::AmbiguousPort,
            format!(
                "{problem}: say which one to protect by the annotation {} or by sidecar.upstreamPort of the OAuth2Proxy",
                annotation::UPSTREAM_PORT
            ),
        ));
    };
    Ok(*number)
}

fn candidates(application: &[Declared<'_>]) -> String {
    let text = |port: &Declared<'_>| match port.name {
        Some(name) => format!("{} ({name} of {})", port.number, port.container),
        None => format!("{} (of {})", port.number, port.container),
    };
    if application.is_empty() {
        "none".to_owned()
    } else {
        application.iter().map(text).collect::<Vec<_>>().join(", ")
    }
}

/// What to do about a port of the proxy: where there is a way that concerns this workload alone, that one.
fn step(what: &str, field: &str, to: &str) -> String {
    if what == "proxy" {
        format!("set annotation {} of the workload to {to}", annotation::PORT)
    } else {
        format!("set {field} of the OAuth2Proxy to {to}, for all its workloads")
    }
}

fn collision(
    ports: Ports,
    application: &[Declared<'_>],
    init: &[Declared<'_>],
) -> Result<(), Refusal> {
    let own = [(ports.proxy, "proxy", "sidecar.port"), (ports.admin, "probe", "sidecar.adminPort")];
    for (number, what, field) in own {
        if number == ports.upstream {
            return Err(Refusal::new(
                Reason::PortCollision,
                format!(
                    "{number} is to be both the {what} port and the protected port: {}",
                    step(what, field, "another")
                ),
            ));
        }
        if let Some(port) = application.iter().chain(init).find(|port| port.number == number) {
            return Err(Refusal::new(
                Reason::PortCollision,
                format!(
                    "container {:?} uses port {number}, which the proxy needs as its {what} port: {}",
                    port.container,
                    step(what, field, "a free one")
                ),
            ));
        }
    }
    if ports.proxy == ports.admin {
        return Err(Refusal::new(
            Reason::PortCollision,
            format!(
                "{} is to be both the proxy port and the probe port: set one of them to another",
                ports.proxy
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const DEFAULTS: PortDefaults = PortDefaults { proxy: 4180, admin: 44180, upstream: None };

    fn pod(ports: &Value) -> Value {
        json!({"containers": [{"name": "app", "ports": ports}]})
    }

    fn chosen(pod: &Value, wish: Option<&PortWish>) -> Result<u16, Refusal> {
        choose(pod, None, wish, None, DEFAULTS).map(|ports| ports.upstream)
    }

    #[test]
    fn the_only_container_port_is_protected() {
        assert_eq!(chosen(&pod(&json!([{"containerPort": 3000}])), None), Ok(3000));
        let with_udp =
            pod(&json!([{"containerPort": 3000}, {"containerPort": 53, "protocol": "UDP"}]));
        assert_eq!(chosen(&with_udp, None), Ok(3000));
    }

    #[test]
    fn several_ports_are_refused_with_the_candidates() {
        let several =
            pod(&json!([{"containerPort": 3000, "name": "http"}, {"containerPort": 9090}]));
        let refusal = chosen(&several, None).unwrap_err();
        assert_eq!(refusal.reason, Reason::AmbiguousPort);
        for part in ["3000 (http of app)", "9090 (of app)", annotation::UPSTREAM_PORT] {
            assert!(refusal.message.contains(part), "{}", refusal.message);
        }
        assert_eq!(chosen(&several, Some(&PortWish::Name("http".to_owned()))), Ok(3000));
        assert_eq!(chosen(&several, Some(&PortWish::Number(9090))), Ok(9090));
        assert!(chosen(&several, Some(&PortWish::Name("web".to_owned()))).is_err());
    }

    #[test]
    fn a_number_that_no_container_declares_is_refused_where_others_are_declared() {
        let one = pod(&json!([{"containerPort": 8080, "name": "http"}]));
        let refusal = chosen(&one, Some(&PortWish::Number(80))).unwrap_err();
        assert_eq!(refusal.reason, Reason::AmbiguousPort);
        assert!(refusal.message.contains("8080 (http of app)"), "{}", refusal.message);
        let defaults = PortDefaults { upstream: Some(80), ..DEFAULTS };
        assert!(choose(&one, None, None, None, defaults).is_err());
        assert_eq!(chosen(&pod(&json!([])), Some(&PortWish::Number(80))), Ok(80));
    }

    #[test]
    fn no_port_is_refused_unless_somebody_says_which() {
        let none = pod(&json!([]));
        assert_eq!(chosen(&none, None).unwrap_err().reason, Reason::AmbiguousPort);
        let udp = pod(&json!([{"containerPort": 53, "protocol": "UDP"}]));
        let refusal = chosen(&udp, None).unwrap_err();
        assert!(refusal.message.starts_with("the containers declare no TCP port:"), "{refusal:?}");
        let defaults = PortDefaults { upstream: Some(8080), ..DEFAULTS };
        assert_eq!(choose(&none, None, None, None, defaults).map(|ports| ports.upstream), Ok(8080));
    }

    #[test]
    fn ports_in_use_are_refused() {
        let wish = PortWish::Number(8080);
        for used in [4180, 44180] {
            let taken = pod(&json!([{"containerPort": 8080}, {"containerPort": used}]));
            let refusal = choose(&taken, None, Some(&wish), None, DEFAULTS).unwrap_err();
            assert_eq!(refusal.reason, Reason::PortCollision);
            assert!(refusal.message.contains(&used.to_string()), "{}", refusal.message);
        }
        let moved = pod(&json!([{"containerPort": 8080}, {"containerPort": 4180}]));
        assert_eq!(
            choose(&moved, None, Some(&wish), Some(4280), DEFAULTS).map(|ports| ports.proxy),
            Ok(4280)
        );
        let itself = choose(&pod(&json!([])), None, Some(&PortWish::Number(4180)), None, DEFAULTS);
        assert_eq!(itself.unwrap_err().reason, Reason::PortCollision);
    }

    #[test]
    fn the_own_container_is_no_collision() {
        let injected = json!({
            "containers": [{"name": "app", "ports": [{"containerPort": 8080}]}],
            "initContainers": [{"name": "oauth2-proxy", "restartPolicy": "Always", "ports": [{"containerPort": 4180, "name": "oauth2-proxy"}]}],
        });
        assert!(choose(&injected, Some("oauth2-proxy"), None, None, DEFAULTS).is_ok());
        assert_eq!(
            choose(&injected, None, None, None, DEFAULTS).unwrap_err().reason,
            Reason::PortCollision
        );
        assert_eq!(resolve(&injected, "oauth2-proxy"), Some(4180));
    }
}
