//! Connections to providers that are between two requests, per thread: logins come in crowds, and within one login several
//! requests follow each other.

use super::link::Link;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{self, Handle};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsConnector;
use url::Url;

/// How long one is kept between two requests: less than any server is known to, since a request that meets a connection which is
/// being closed costs a second one.
const IDLE: Duration = Duration::from_secs(1);
/// After so long a new one is opened, because names get new addresses.
const AGE: Duration = Duration::from_mins(1);
/// So many are kept; as many logins may be under way at one provider.
const MOST: usize = 24;

struct Kept {
    link: Link,
    to: Server,
    since: Instant,
}

/// Where a connection leads, and who watches it.
#[derive(PartialEq)]
struct Server {
    host: String,
    port: Option<u16>,
    tls: Option<Trust>,
    runtime: runtime::Id,
}

/// The settings that its certificate was checked by.
struct Trust(TlsConnector);

impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(self.0.config(), other.0.config())
    }
}

impl Server {
    fn of(url: &Url, tls: Option<&TlsConnector>) -> Self {
        Self {
            host: url.host_str().unwrap_or_default().to_owned(),
            port: url.port_or_known_default(),
            tls: tls.cloned().map(Trust),
            runtime: Handle::current().id(),
        }
    }
}

/// Of this thread.
#[derive(Default)]
struct Pool {
    /// The one that was used last is the last.
    idle: Vec<Kept>,
    sweeper: Option<JoinHandle<()>>,
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

/// An open connection to the server of `url`, if there is one.
pub(super) fn take(url: &Url, tls: Option<&TlsConnector>) -> Option<Link> {
    POOL.with_borrow_mut(|pool| {
        if pool.idle.is_empty() {
            return None;
        }
        let to = Server::of(url, tls);
        while let Some(at) = pool.idle.iter().rposition(|kept| kept.to == to) {
            let mut kept = pool.idle.remove(at);
            if kept.since.elapsed() < IDLE && kept.link.is_open() {
                return Some(kept.link);
            }
            kept.link.close();
        }
        None
    })
}

/// Others may use `link`, which leads to the server of `url`.
pub(super) fn give_back(url: &Url, tls: Option<&TlsConnector>, mut link: Link) {
    if link.opened().elapsed() >= AGE || !link.is_open() {
        return link.close();
    }
    POOL.with_borrow_mut(|pool| {
        pool.idle.push(Kept { link, to: Server::of(url, tls), since: Instant::now() });
        if pool.idle.len() > MOST {
            pool.idle.remove(0).link.close();
        }
        if pool.sweeper.as_ref().is_none_or(JoinHandle::is_finished) {
            pool.sweeper = Some(tokio::spawn(sweep()));
        }
    });
}

/// Closes what has been idle for too long, until there is nothing left.
async fn sweep() {
    let mut left = true;
    while left {
        sleep(IDLE).await;
        left = POOL.with_borrow_mut(|pool| {
            let over = |kept: &mut Kept| kept.since.elapsed() >= IDLE;
            pool.idle.extract_if(.., over).for_each(|kept| kept.link.close());
            !pool.idle.is_empty()
        });
    }
}
