//! Addresses of names. Of each name one look-up runs at a time, on a thread of its own, and whoever wants the same waits for that
//! one: a name server that is silent holds up nothing but what only it knows. Where it takes long or is in trouble, the
//! addresses of its last answer are used; that a name is gone is believed.

use crate::thread;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// After so long the last answer will do.
const PATIENCE: Duration = Duration::from_secs(1);

/// An answer that is older might be somebody else's address by now.
const KEPT: Duration = Duration::from_mins(10);

/// Names are those of a configuration and of what its providers say of themselves, so this many are a mistake.
const MOST: usize = 1024;

static NAMES: LazyLock<Lookups> = LazyLock::new(|| Lookups::by(ask_system));

type Addresses = Arc<[IpAddr]>;
type Answer = Result<Addresses, Arc<io::Error>>;

/// The addresses of `host`, in the order of the system's rules; an address in text is its own.
///
/// # Errors
/// There is no such name, or nobody knows.
pub(crate) async fn look_up(host: &str) -> io::Result<Addresses> {
    match host.parse() {
        Ok(address) => Ok(Arc::new([address])),
        Err(_) => NAMES.look_up(host).await,
    }
}

fn ask_system(host: &str) -> io::Result<Vec<IpAddr>> {
    Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
}

struct Lookups {
    known: Arc<Mutex<HashMap<String, Name>>>,
    ask: fn(&str) -> io::Result<Vec<IpAddr>>,
}

#[derive(Default)]
struct Name {
    /// The last answer that had addresses, and when it came.
    last: Option<(Instant, Addresses)>,
    /// The look-up under way.
    flight: Option<watch::Receiver<Option<Answer>>>,
}

impl Lookups {
    fn by(ask: fn(&str) -> io::Result<Vec<IpAddr>>) -> Self {
        Self { known: Arc::default(), ask }
    }

    async fn look_up(&self, host: &str) -> io::Result<Addresses> {
        let (flight, last) = self.flight(host);
        let mut flight = match flight {
            Ok(flight) => flight,
            Err(error) => return last.ok_or(error),
        };
        let answer =
            async { flight.wait_for(Option::is_some).await.ok().and_then(|it| it.clone()) };
        let answer = match &last {
            Some(last) => match timeout(PATIENCE, answer).await {
                Ok(answer) => answer,
                Err(_) => return Ok(Arc::clone(last)),
            },
            None => answer.await,
        };
        match answer.unwrap_or_else(|| Err(Arc::new(io::Error::other("the look-up broke off")))) {
            Ok(addresses) => Ok(addresses),
            Err(error) => last
                .filter(|_| is_trouble(&error))
                .ok_or_else(|| io::Error::new(error.kind(), error.to_string())),
        }
    }

    /// The look-up to wait for, unless there is no thread for it, and what to do without it.
    fn flight(
        &self,
        host: &str,
    ) -> (io::Result<watch::Receiver<Option<Answer>>>, Option<Addresses>) {
        let mut known = locked(&self.known);
        if known.len() >= MOST {
            known.retain(|_, name| name.flight.is_some());
        }
        let name = known.entry(host.to_owned()).or_default();
        let last = name.last.as_ref().filter(|(at, _)| at.elapsed() < KEPT);
        let last = last.map(|(_, addresses)| Arc::clone(addresses));
        if let Some(flight) = &name.flight {
            return (Ok(flight.clone()), last);
        }
        let (tell, flight) = watch::channel(None);
        let (ask, names, text) = (self.ask, Arc::clone(&self.known), host.to_owned());
        let work = move || {
            let answer = ask(&text).map(Addresses::from).map_err(Arc::new);
            if let Some(name) = locked(&names).get_mut(&text) {
                name.flight = None;
                if let Ok(addresses) = answer.as_ref().map(Arc::clone) {
                    name.last = Some((Instant::now(), addresses));
                }
            }
            tell.send_replace(Some(answer));
        };
        // It takes its flight out again, which has to wait until this lets go of the names.
        let flight = thread::spawn("names", work).map(|_| flight);
        name.flight = flight.as_ref().ok().cloned();
        (flight, last)
    }
}

/// Whether the system says that it could not ask, and not that there is no such name. It has words for that and no numbers:
/// those of glibc and those of musl.
fn is_trouble(error: &io::Error) -> bool {
    let text = error.to_string();
    ["Temporary failure in name resolution", "Try again"].iter().any(|words| text.ends_with(words))
}

fn locked(names: &Mutex<HashMap<String, Name>>) -> MutexGuard<'_, HashMap<String, Name>> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[tokio::test]
    async fn a_silent_name_server_is_asked_once_and_holds_up_no_other_name() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        static ANSWERS: Barrier = Barrier::new(2);
        let names = Arc::new(Lookups::by(|host| {
            if host == "silent.example" {
                ASKED.fetch_add(1, SeqCst);
                ANSWERS.wait();
            }
            Ok(vec![address(1)])
        }));
        let wait = |_| {
            let names = Arc::clone(&names);
            tokio::spawn(async move { names.look_up("silent.example").await })
        };
        let waiting: Vec<_> = (0..100).map(wait).collect();
        for _ in 0..20 {
            let other = timeout(Duration::from_secs(10), names.look_up("other.example")).await;
            assert_eq!(&*other.expect("it waits for the silent one").unwrap(), [address(1)]);
        }
        ANSWERS.wait();
        for task in waiting {
            assert_eq!(&*task.await.unwrap().unwrap(), [address(1)]);
        }
        assert_eq!(ASKED.load(SeqCst), 1);
    }

    #[tokio::test]
    async fn the_last_answer_is_used_while_the_server_is_silent_or_in_trouble_not_when_the_name_is_gone()
     {
        static TURN: AtomicUsize = AtomicUsize::new(0);
        static ANSWERS: Barrier = Barrier::new(2);
        let names = Lookups::by(|_| match TURN.fetch_add(1, SeqCst) {
            0 => Ok(vec![address(1), address(2)]),
            1 => Err(io::Error::other(
                "failed to lookup address information: Temporary failure in name resolution",
            )),
            2 => Err(io::Error::other(
                "failed to lookup address information: Name or service not known",
            )),
            turn => {
                if turn == 3 {
                    ANSWERS.wait();
                }
                Ok(vec![address(3)])
            }
        });
        let first = [address(1), address(2)];
        assert_eq!(&*names.look_up("app.example").await.unwrap(), first);
        assert_eq!(&*names.look_up("app.example").await.unwrap(), first, "in trouble");
        assert!(names.look_up("app.example").await.is_err(), "the name is gone");
        assert_eq!(&*names.look_up("app.example").await.unwrap(), first, "silent");
        ANSWERS.wait();
        let end = Instant::now() + Duration::from_secs(20);
        while *names.look_up("app.example").await.unwrap() != [address(3)] {
            assert!(Instant::now() < end, "the answer that came late is not used");
        }
    }

    #[tokio::test]
    async fn an_address_needs_nobody_to_ask() {
        for text in ["192.0.2.7", "::1"] {
            assert_eq!(&*look_up(text).await.unwrap(), [text.parse::<IpAddr>().unwrap()]);
        }
    }

    #[test]
    fn the_words_of_the_system_for_a_server_in_trouble_are_known() {
        let says = |text: &str| is_trouble(&io::Error::other(text.to_owned()));
        assert!(says("failed to lookup address information: Temporary failure in name resolution"));
        assert!(says("failed to lookup address information: Try again"));
        for gone in [
            "Name or service not known",
            "Name does not resolve",
            "No address associated with hostname",
        ] {
            assert!(!says(&format!("failed to lookup address information: {gone}")), "{gone}");
        }
    }
}
