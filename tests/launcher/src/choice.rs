//! What a person can choose about the demo, from the environment.

/// The ports that the files in `examples/demo` name.
pub const PORT: u16 = 8400;
/// The same for Keycloak.
pub const KEYCLOAK_PORT: u16 = 8401;

/// The choices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// `DEMO_CONTEXT`: a context of the person's kubeconfig, instead of a cluster of our own.
    pub context: Option<String>,
    /// `DEMO_PORT`: where the sample app is on loopback.
    pub port: u16,
    /// `DEMO_KEYCLOAK_PORT`: where Keycloak is on loopback.
    pub keycloak_port: u16,
}

impl Choice {
    /// Reads the variables by `value_of`. What makes no sense is told, and its default stands, so that the rest can be
    /// checked too.
    pub fn read(value_of: impl Fn(&str) -> Option<String>) -> (Self, Vec<String>) {
        let set = |name: &str| value_of(name).filter(|value| !value.is_empty());
        let mut problems = Vec::new();
        let mut port = |name: &str, default: u16| {
            let Some(value) = set(name) else { return default };
            value.parse().ok().filter(|port| *port > 0).unwrap_or_else(|| {
                problems.push(format!("{name}={value}: use a port from 1 to 65535"));
                default
            })
        };
        let choice = Self {
            port: port("DEMO_PORT", PORT),
            keycloak_port: port("DEMO_KEYCLOAK_PORT", KEYCLOAK_PORT),
            context: set("DEMO_CONTEXT"),
        };
        if choice.port == choice.keycloak_port {
            problems.push(format!(
                "DEMO_PORT and DEMO_KEYCLOAK_PORT are both {}: choose two, such as DEMO_PORT={PORT} DEMO_KEYCLOAK_PORT={KEYCLOAK_PORT}",
                choice.port
            ));
        }
        (choice, problems)
    }

    /// Each port with the variable that chooses it.
    #[must_use]
    pub fn ports(&self) -> [(&'static str, u16); 2] {
        [("DEMO_PORT", self.port), ("DEMO_KEYCLOAK_PORT", self.keycloak_port)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> (Choice, Vec<String>) {
        Choice::read(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_chosen_is_the_usual_demo() {
        for pairs in [&[][..], &[("DEMO_PORT", ""), ("DEMO_CONTEXT", "")]] {
            let (choice, problems) = read(pairs);
            assert_eq!(choice.ports(), [("DEMO_PORT", 8400), ("DEMO_KEYCLOAK_PORT", 8401)]);
            assert_eq!(choice.context, None);
            assert!(problems.is_empty(), "{problems:?}");
        }
    }

    #[test]
    fn one_port_for_both_is_refused_however_it_comes_about() {
        for pairs in [
            &[("DEMO_PORT", "9000"), ("DEMO_KEYCLOAK_PORT", "9000")][..],
            &[("DEMO_PORT", "8401")],
            &[("DEMO_KEYCLOAK_PORT", "8400")],
        ] {
            let (_, problems) = read(pairs);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].starts_with("DEMO_PORT and DEMO_KEYCLOAK_PORT are both "));
        }
        assert!(read(&[("DEMO_PORT", "8401"), ("DEMO_KEYCLOAK_PORT", "8400")]).1.is_empty());
    }

    #[test]
    fn every_bad_port_is_told_and_the_rest_is_read_all_the_same() {
        let (choice, problems) = read(&[
            ("DEMO_PORT", "http"),
            ("DEMO_KEYCLOAK_PORT", "65536"),
            ("DEMO_CONTEXT", "kind-a"),
        ]);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].contains("DEMO_PORT=http") && problems[1].contains("65536"));
        assert_eq!(choice.context.as_deref(), Some("kind-a"));
        assert_eq!(read(&[("DEMO_PORT", "0")]).1.len(), 1);
    }
}
