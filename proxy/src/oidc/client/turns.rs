//! Places that are given in turns, so that whoever asks for many waits for those and not others for them.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Where a request comes from, as far as turns tell one from another: an address, of IPv6 the network of 64 bits that one
/// subscriber has. Of those of whom nobody knows it, it is one for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Network(u128);

impl From<Option<IpAddr>> for Network {
    fn from(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            None => Self::default(),
            Some(IpAddr::V4(address)) => Self(address.to_ipv6_mapped().to_bits()),
            Some(IpAddr::V6(address)) => Self(address.to_bits() >> 64 << 64),
        }
    }
}

/// A number of places. A place that becomes free goes to the network whose last turn is longest ago.
pub(super) struct Turns(Arc<Mutex<State>>);

struct State {
    free: usize,
    /// Those who wait, by network: the next turn is that of the first, and each is as long as its requests.
    waiting: VecDeque<(Network, VecDeque<oneshot::Sender<Place>>)>,
}

/// Dropping it gives the place to the next.
pub(in crate::oidc) struct Place(Arc<Mutex<State>>);

impl Turns {
    pub(super) fn new(places: usize) -> Self {
        Self(Arc::new(Mutex::new(State { free: places, waiting: VecDeque::new() })))
    }

    /// Waits for a place. Whoever no longer waits is passed over.
    pub(super) async fn place(&self, network: Network) -> Place {
        loop {
            let turn = {
                let mut state = locked(&self.0);
                if state.free > 0 {
                    state.free -= 1;
                    return Place(Arc::clone(&self.0));
                }
                state.line(network)
            };
            // Nobody drops the other end of one who waits; should it happen, they ask again.
            if let Ok(place) = turn.await {
                return place;
            }
        }
    }
}

impl State {
    fn line(&mut self, network: Network) -> oneshot::Receiver<Place> {
        let (turn, waits) = oneshot::channel();
        match self.waiting.iter_mut().find(|(known, _)| *known == network) {
            Some((_, line)) => line.push_back(turn),
            None => self.waiting.push_back((network, VecDeque::from([turn]))),
        }
        waits
    }

    /// Whoever is next, and still waits.
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        while let Some((network, mut line)) = self.waiting.pop_front() {
            let next = std::iter::from_fn(|| line.pop_front()).find(|turn| !turn.is_closed());
            if !line.is_empty() {
                self.waiting.push_back((network, line));
            }
            if next.is_some() {
                return next;
            }
        }
        None
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = locked(&self.0);
        let Some(next) = state.next() else {
            state.free += 1;
            return;
        };
        // One who left at this very moment gives the place back, which takes the lock again.
        drop(state);
        drop(next.send(Self(Arc::clone(&self.0))));
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use std::pin::pin;

    fn network(address: &str) -> Network {
        Network::from(Some(address.parse().expect("an address")))
    }

    #[test]
    fn a_subscriber_is_one_network() {
        assert_eq!(network("2001:db8::1"), network("2001:db8:0:0:ffff::2"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), Network::from(None));
    }

    #[tokio::test]
    async fn whoever_asks_for_many_waits_behind_everybody_who_asks_for_one() {
        let turns = Turns::new(2);
        let (many, other, third) = (network("192.0.2.1"), network("192.0.2.2"), network("::1"));
        let (first, second) = (turns.place(many).await, turns.place(many).await);
        let mut flood: Vec<_> = (0..100).map(|_| Box::pin(turns.place(many))).collect();
        for waits in &mut flood {
            assert!(waits.now_or_never().is_none(), "there were two places");
        }
        let (mut other, mut third) = (pin!(turns.place(other)), pin!(turns.place(third)));
        assert!(other.as_mut().now_or_never().is_none());
        assert!(third.as_mut().now_or_never().is_none());
        drop(first);
        let of_flood = (&mut flood[0]).now_or_never().expect("the line of the first began first");
        drop(second);
        let place = other.as_mut().now_or_never().expect("it is the turn of the other network");
        drop(of_flood);
        assert!(third.as_mut().now_or_never().is_some(), "and then that of the third");
        assert!((&mut flood[1]).now_or_never().is_some(), "whose place goes to who waits longest");
        drop(place);
        assert!((&mut flood[2]).now_or_never().is_some());
    }

    #[tokio::test]
    async fn whoever_left_has_no_turn_and_takes_no_place() {
        let turns = Turns::new(1);
        let (here, there) = (network("192.0.2.1"), network("192.0.2.2"));
        let place = turns.place(here).await;
        for network in [here, there, here] {
            assert!(Box::pin(turns.place(network)).now_or_never().is_none());
        }
        let mut last = pin!(turns.place(here));
        assert!(last.as_mut().now_or_never().is_none());
        drop(place);
        drop(last.as_mut().now_or_never().expect("all others left"));
        assert_eq!(locked(&turns.0).free, 1);

        // The place is given while its receiver leaves.
        let place = turns.place(here).await;
        let mut leaving = Box::pin(turns.place(there));
        assert!((&mut leaving).now_or_never().is_none());
        drop(place);
        drop(leaving);
        assert_eq!(locked(&turns.0).free, 1);
    }
}
