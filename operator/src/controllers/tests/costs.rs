//! What it costs: the requests of each change from the first event until nothing is under way, with the turns that the watches
//! bring about and no others.

use super::*;
use crate::testing::EVENTS;
use futures_util::{FutureExt as _, StreamExt as _};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// A scene in which turns come by what the watches tell.
struct Driven {
    scene: Scene,
    wake: Wake,
    woken: Woken,
    /// What the watches told last: a version for each path.
    told: BTreeMap<String, String>,
}

/// Requests: who made them, how often, to what.
#[derive(Default)]
struct Asked(Vec<(&'static str, Method, String)>);

impl Asked {
    fn writes(&self, collection: &str) -> usize {
        let to = |path: &String| path.starts_with(collection);
        self.0.iter().filter(|(_, method, path)| *method != Method::GET && to(path)).count()
    }

    fn reads(&self) -> usize {
        self.0.iter().filter(|(_, method, _)| *method == Method::GET).count()
    }

    /// For who has to find out where too many come from.
    fn text(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, (who, method, path)| {
            let _ = writeln!(text, "{who}: {method} {path}");
            text
        })
    }
}

impl Driven {
    fn new() -> Self {
        let (wake, woken) = wake();
        let scene = Scene::woken_by(&wake, &woken);
        Self { scene, wake, woken, told: BTreeMap::new() }
    }

    /// One with `web` protected by two pods, at rest.
    async fn protected() -> Self {
        let mut driven = Self::new();
        driven.scene.deploy("web", &json!({INJECT: "main"}));
        driven.run().await;
        for name in ["web-1", "web-2"] {
            driven.scene.server.put(PODS, pod(name, "web", true));
        }
        driven.pods_moved("web", 1);
        driven.run().await;
        assert_eq!(driven.scene.target(), 4180);
        driven
    }

    /// The Deployment controller says how far its pods are.
    fn pods_moved(&self, name: &str, updated: u32) {
        self.scene.server.edit(DEPLOYMENTS, name, |object| {
            object["status"] = json!({"updatedReplicas": updated});
        });
    }

    /// The watches tell what has changed.
    fn tell(&mut self) {
        self.scene.watch();
        for collection in [OBJECTS, DEPLOYMENTS, SERVICES] {
            for object in self.scene.server.all(collection) {
                let path = format!("{collection}/{}", object["metadata"]["name"]);
                let version = object["metadata"]["resourceVersion"].to_string();
                if self.told.insert(path, version.clone()) == Some(version) {
                    continue;
                }
                match collection {
                    OBJECTS => self.wake.object_seen(&serde_json::from_value(object).unwrap()),
                    DEPLOYMENTS => {
                        self.wake.workload_seen(&serde_json::from_value(object).unwrap());
                    }
                    _ => self.wake.service_seen(&serde_json::from_value(object).unwrap()),
                }
            }
        }
    }

    /// Turns of all that is woken, until nobody is.
    async fn run(&mut self) -> Asked {
        let mut asked = Asked::default();
        for _ in 0..100 {
            self.tell();
            let workloads = waiting(&mut self.woken.workloads);
            let services = waiting(&mut self.woken.services);
            let observed = waiting(&mut self.woken.observed);
            if workloads.is_empty() && services.is_empty() && observed.is_empty() {
                return asked;
            }
            self.scene.server.asked();
            for name in workloads {
                self.scene.turn(&name).await.unwrap();
                self.note("workload", &mut asked);
            }
            for name in services {
                self.scene.service_turn(&name).await.unwrap();
                self.note("Service", &mut asked);
            }
            for name in observed {
                self.scene.look(&name).await.unwrap();
                self.note("observer", &mut asked);
            }
        }
        panic!("it does not come to rest:\n{}", asked.text());
    }

    fn note(&self, who: &'static str, asked: &mut Asked) {
        let new = self.scene.server.asked().into_iter();
        asked.0.extend(new.map(|(method, path)| (who, method, path)));
    }
}

/// The names of those that have been asked for.
fn waiting<K>(requests: &mut Requests<K>) -> BTreeSet<String>
where
    K: Resource<DynamicType = ()>,
{
    let next = || requests.next().now_or_never().flatten();
    std::iter::from_fn(next).map(|object| object.unwrap().name).collect()
}

#[tokio::test]
async fn an_injection_writes_each_thing_once_and_reads_little_at_each_step_of_its_rollout() {
    let mut driven = Driven::new();
    driven.run().await;
    driven.scene.deploy("web", &json!({INJECT: "main"}));
    for name in ["web-1", "web-2"] {
        driven.scene.server.put(PODS, bare(name, "web"));
    }
    let mut all = driven.run().await;
    // A rollout, in the steps in which the Deployment's status tells of it.
    for (step, (comes, goes)) in [("web-3", "web-1"), ("web-4", "web-2")].into_iter().enumerate() {
        for ready in [false, true] {
            driven.scene.server.put(PODS, pod(comes, "web", ready));
            driven.pods_moved("web", u32::try_from(10 * step).unwrap() + u32::from(ready));
            all.0.extend(driven.run().await.0);
        }
        driven.scene.server.remove(PODS, goes);
        driven.pods_moved("web", u32::try_from(10 * step).unwrap() + 2);
        all.0.extend(driven.run().await.0);
    }
    assert_eq!(driven.scene.target(), 4180);
    let text = all.text();
    assert_eq!(all.writes(DEPLOYMENTS), 1, "{text}");
    assert_eq!(
        all.writes(&format!("{SERVICES}/web-oauth2-proxy")),
        3,
        "made, kept, closed: {text}"
    );
    assert_eq!(all.writes(SERVICES), 4, "{text}");
    assert_eq!(all.writes(EVENTS), 4, "Injected and Routed, on both: {text}");
    assert!(all.reads() <= 62, "{}: {text}", all.reads());
}

#[tokio::test]
async fn what_changes_without_a_meaning_for_us_costs_nothing_or_one_look() {
    let mut driven = Driven::protected().await;
    assert_eq!(driven.run().await.text(), "", "it is at rest");
    driven.pods_moved("web", 7);
    let asked = driven.run().await;
    assert_eq!(asked.text(), format!("observer: GET {PODS}\n"), "pods came or went");
    driven.scene.deploy("other", &json!({}));
    driven.scene.server.edit(DEPLOYMENTS, "other", |other| {
        other["spec"]["template"]["metadata"]["labels"] = json!({"name": "other"});
    });
    assert_eq!(driven.run().await.text(), "", "a Deployment that is nobody's");
    driven.pods_moved("other", 1);
    assert_eq!(driven.run().await.text(), "");
    driven.scene.server.edit(SERVICES, "web", |web| web["status"] = json!({"loadBalancer": {}}));
    let asked = driven.run().await;
    assert!(asked.reads() <= 4 && asked.writes("") == 0, "{}", asked.text());
}

#[tokio::test]
async fn an_operator_that_starts_among_what_is_settled_writes_nothing_and_reads_each_once() {
    let before = Driven::protected().await;
    let mut driven = Driven::new();
    for collection in [OBJECTS, DEPLOYMENTS, SERVICES, PODS] {
        for object in before.scene.server.all(collection) {
            driven.scene.server.put(collection, object);
        }
    }
    let asked = driven.run().await;
    assert_eq!(asked.writes(""), 0, "{}", asked.text());
    assert_eq!(asked.reads(), 8, "{}", asked.text());
}

#[tokio::test]
async fn a_neighbour_that_comes_to_be_selected_wakes_the_service() {
    let mut driven = Driven::protected().await;
    driven.scene.deploy("canary", &json!({}));
    driven.scene.server.edit(DEPLOYMENTS, "canary", |canary| {
        canary["spec"]["template"]["metadata"]["labels"] = json!({"name": "canary"});
    });
    assert_eq!(driven.run().await.text(), "");
    driven.scene.server.put(PODS, bare("canary-1", "canary"));
    driven.scene.server.edit(DEPLOYMENTS, "canary", |canary| {
        canary["metadata"]["generation"] = json!(2);
        canary["spec"]["template"]["metadata"]["labels"] = json!({"name": "canary", "app": "web"});
    });
    let asked = driven.run().await;
    assert!(asked.text().contains(&format!("Service: GET {SERVICES}/web\n")), "{}", asked.text());
    assert_eq!(driven.scene.target(), 4180);
    let message = driven.scene.message("web");
    assert!(message.contains("canary-1"), "{message}");
}
