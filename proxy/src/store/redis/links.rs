//! Connections to Redis: one for each thread that asks, on that thread's own runtime, so that a session costs a request one
//! round trip and no change of threads. Commands of one thread travel in the same packets.
//!
//! Every wait is bounded. While the server is away each thread makes one attempt at a time, behind the requests; these fail
//! at once, but for those that come before anything is known to be wrong.

use super::endpoint::Endpoint;
use super::guard::TOO_LONG;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, ServerErrorKind};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// After a failed attempt to connect, the next is made no sooner.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// A failure from longer ago says nothing of now. Attempts under way renew it sooner.
const KNOWN_FOR: Duration = Duration::from_secs(5);

static IDS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static LINKS: RefCell<HashMap<u64, Arc<Link>>> = RefCell::default();
}

/// All connections to one server, made when they are needed.
pub(crate) struct Links {
    id: u64,
    endpoint: Arc<Endpoint>,
}

/// That of one thread.
struct Link {
    /// Whose; a link of settings that are gone is closed.
    endpoint: Weak<Endpoint>,
    state: Mutex<State>,
    /// Held while somebody connects.
    connecting: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct State {
    live: Option<MultiplexedConnection>,
    /// Counts connections, so that a late failure does not throw away a newer one.
    generation: u64,
    /// When and why the server was found to be away.
    failure: Option<(Instant, RedisError)>,
}

impl Links {
    /// Connects to nothing yet.
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self { id: IDS.fetch_add(1, Ordering::Relaxed), endpoint: Arc::new(endpoint) }
    }

    /// Runs a command that may be run twice: once more if the connection turned out to be dead.
    pub(crate) async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        match self.run_once(command).await {
            Err(error) if is_dead(&error) && !error.is_timeout() && !is_too_long(&error) => {
                self.run_once(command).await
            }
            other => other,
        }
    }

    /// Runs a command at most once.
    pub(crate) async fn run_once<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        let link = self.link();
        let (mut connection, generation) = match link.live() {
            Some(present) => present,
            None => self.connected(&link).await?,
        };
        let result = command.query_async(&mut connection).await;
        if let Err(error) = &result
            && is_dead(error)
        {
            link.discard(generation, error);
        }
        result
    }

    /// The link of this thread. Those of settings that are gone are dropped on the way.
    fn link(&self) -> Arc<Link> {
        LINKS.with_borrow_mut(|links| {
            if let Some(link) = links.get(&self.id) {
                return Arc::clone(link);
            }
            links.retain(|_, link| link.endpoint.strong_count() != 0);
            let link = Arc::new(Link {
                endpoint: Arc::downgrade(&self.endpoint),
                state: Mutex::default(),
                connecting: Arc::default(),
            });
            links.insert(self.id, Arc::clone(&link));
            link
        })
    }

    async fn connected(
        &self,
        link: &Arc<Link>,
    ) -> Result<(MultiplexedConnection, u64), RedisError> {
        let failure = link.state().failure.clone();
        let failure = failure.filter(|(at, _)| at.elapsed() < KNOWN_FOR);
        if let Ok(attempt) = Arc::clone(&link.connecting).try_lock_owned()
            && link.live().is_none()
            && failure.as_ref().is_none_or(|(at, _)| at.elapsed() >= RETRY_AFTER)
        {
            let (endpoint, link) = (Arc::clone(&self.endpoint), Arc::clone(link));
            tokio::spawn(async move {
                let result = endpoint.connect().await;
                link.settle(result);
                drop(attempt);
            });
        }
        if let Some((_, error)) = failure {
            return link.live().ok_or(error);
        }
        // Nothing is known to be wrong: the end of the attempt is waited for.
        drop(link.connecting.lock().await);
        let failure = || link.state().failure.clone().map(|(_, error)| error);
        let stopped = || RedisError::from((ErrorKind::Client, "the connection was lost at once"));
        link.live().ok_or_else(|| failure().unwrap_or_else(stopped))
    }
}

impl Link {
    fn live(&self) -> Option<(MultiplexedConnection, u64)> {
        let state = self.state();
        state.live.clone().map(|connection| (connection, state.generation))
    }

    fn settle(&self, result: Result<MultiplexedConnection, RedisError>) {
        let mut state = self.state();
        match result {
            Ok(connection) => {
                state.generation += 1;
                state.live = Some(connection);
                state.failure = None;
            }
            Err(error) => {
                tracing::warn!(%error, "can not connect to Redis");
                state.failure = Some((Instant::now(), error));
            }
        }
    }

    /// A server that hangs is known to be away; one that closed the connection may have done so because it was idle.
    fn discard(&self, generation: u64, error: &RedisError) {
        let mut state = self.state();
        if state.generation == generation && state.live.take().is_some() && error.is_timeout() {
            state.failure = Some((Instant::now(), error.clone()));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it was this command's own reply that was longer than anybody may keep.
pub(super) fn is_too_long(error: &RedisError) -> bool {
    error.is_io_error() && error.to_string().contains(TOO_LONG)
}

/// Whether another connection may do better: this one broke or hangs, or leads to a server that was demoted.
fn is_dead(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_unrecoverable_error()
        || matches!(
            error.kind(),
            ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
        )
}
