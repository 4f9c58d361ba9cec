//! The addresses of a cluster: one /20 of the benchmarking range 198.18.0.0/15 (RFC 2544) each.
//!
//! That range is routed nowhere and used by no ordinary network, so that clusters collide
//! neither with the machine's networks nor with one another.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How many clusters fit side by side.
pub(crate) const SLOTS: u8 = 32;

/// The addresses and the interface of one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Network {
    /// Number of the cluster on this machine, from 0.
    pub slot: u8,
    /// Everything below; the machine routes it to the cluster.
    pub all: Ipv4Net,
    /// Pod addresses.
    pub pods: Ipv4Net,
    /// Service addresses.
    pub services: Ipv4Net,
    /// The API server's Service address.
    pub api: Ipv4Addr,
    /// The DNS server's Service address.
    pub dns: Ipv4Addr,
    /// The machine's end of the link.
    pub host: Ipv4Addr,
    /// The node's end of the link, and its address; node ports answer here.
    pub node: Ipv4Addr,
    /// Name of the machine's end of the link.
    pub interface: String,
}

impl Network {
    /// The network with the number `slot`.
    pub(crate) fn new(slot: u8) -> Result<Self> {
        let base = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + u32::from(slot) * 4096;
        let at = |offset: u32| Ipv4Addr::from(base + offset);
        let net = |offset: u32, prefix: u8| {
            Ipv4Net::new(at(offset), prefix)
                .map_err(|error| Error::Need(format!("bad prefix {prefix}: {error}")))
        };
        Ok(Self {
            slot,
            all: net(0, 20)?,
            pods: net(0, 21)?,
            services: net(2048, 22)?,
            api: at(2048 + 1),
            dns: at(2048 + 10),
            host: at(3072 + 1),
            node: at(3072 + 2),
            interface: format!("o2p{slot}"),
        })
    }
}

/// The first network that is neither `taken` nor overlaps one of the machine's `routes`.
pub(crate) fn choose(taken: &BTreeSet<u8>, routes: &[Ipv4Net]) -> Result<Network> {
    for slot in (0..SLOTS).filter(|slot| !taken.contains(slot)) {
        let network = Network::new(slot)?;
        if !routes.iter().any(|route| overlap(*route, network.all)) {
            return Ok(network);
        }
    }
    Err(Error::Need(format!(
        "no free network: all {SLOTS} of 198.18.0.0/15 are used by clusters or by the machine's routes; \
         see `harness cluster list` and `ip route`"
    )))
}

fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b) || b.contains(&a)
}

/// The destinations in the output of `ip -4 route show table all`, the default route left out.
pub(crate) fn destinations(routes: &str) -> Vec<Ipv4Net> {
    routes
        .lines()
        .filter_map(|line| {
            line.split_whitespace()
                .map(|word| {
                    word.parse::<Ipv4Net>().or_else(|_| word.parse::<Ipv4Addr>().map(Ipv4Net::from))
                })
                .find_map(std::result::Result::ok)
                .filter(|_| !line.starts_with("default"))
        })
        .filter(|net| net.prefix_len() > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Network> {
        (0..SLOTS).map(|slot| Network::new(slot).unwrap()).collect()
    }

    #[test]
    fn networks_of_different_slots_never_overlap() {
        let networks = all();
        for a in &networks {
            for b in networks.iter().filter(|b| b.slot != a.slot) {
                assert!(!overlap(a.all, b.all), "{a:?} {b:?}");
                assert_ne!(a.interface, b.interface);
            }
        }
    }

    #[test]
    fn parts_of_a_network_are_disjoint_and_inside_it() {
        for network in all() {
            assert!(network.all.contains(&network.pods));
            assert!(network.all.contains(&network.services));
            assert!(!overlap(network.pods, network.services));
            assert!(network.services.contains(&network.api));
            assert!(network.services.contains(&network.dns));
            for address in [network.host, network.node] {
                assert!(network.all.contains(&address));
                assert!(!network.pods.contains(&address));
                assert!(!network.services.contains(&address));
            }
        }
    }

    #[test]
    fn all_networks_lie_in_the_benchmarking_range() {
        let range: Ipv4Net = "198.18.0.0/15".parse().unwrap();
        assert!(all().iter().all(|network| range.contains(&network.all)));
    }

    #[test]
    fn taken_slots_and_routed_ranges_are_passed_over() {
        let routes = destinations(
            "default via 10.0.0.1 dev eth0\n\
             198.18.16.0/20 via 198.18.28.2 dev o2p1\n\
             broadcast 198.18.44.255 dev o2p2 table local\n\
             10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.7\n",
        );
        let chosen = choose(&BTreeSet::from([0]), &routes).unwrap();
        assert_eq!(chosen.slot, 3);
    }

    #[test]
    fn no_free_network_is_an_error_that_says_where_to_look() {
        let error = choose(&BTreeSet::new(), &["198.18.0.0/15".parse().unwrap()]).unwrap_err();
        assert!(error.to_string().contains("harness cluster list"));
    }
}
