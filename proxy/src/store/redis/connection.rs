//! One connection to Redis for the whole process, shared by all workers and replaced when it breaks.
//!
//! It lives on the control runtime: a worker that stops does not take it along, commands of all workers travel in the
//! same packets, and a server with many proxies sees one connection from each. Every wait is bounded, and while the
//! server is away only one attempt at a time is made; the requests in between fail at once.

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, FromRedisValue, RedisError, ServerErrorKind,
};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// Bound on connecting, TLS and authentication included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Bound on one command.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(2);
/// Commands that wait to be written; more wait for room.
const QUEUE: usize = 512;
/// After a failed attempt to connect, the next is made no sooner.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// A connection that is made when it is needed.
pub(crate) struct Connection {
    client: Client,
    control: Handle,
    live: Mutex<Live>,
    /// Held by whoever connects; its content is the last failure.
    connecting: tokio::sync::Mutex<Option<(Instant, RedisError)>>,
}

#[derive(Default)]
struct Live {
    connection: Option<MultiplexedConnection>,
    /// Counts connections, so that a late failure does not throw away a newer one.
    generation: u64,
}

impl Connection {
    /// Connects to nothing yet.
    pub(super) fn new(client: Client, control: Handle) -> Self {
        Self { client, control, live: Mutex::default(), connecting: tokio::sync::Mutex::default() }
    }

    /// Runs a command that may be run twice: once more if the connection turned out to be dead.
    pub(crate) async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        match self.run_once(command).await {
            Err(error) if is_dead(&error) && !error.is_timeout() => self.run_once(command).await,
            other => other,
        }
    }

    /// Runs a command at most once.
    pub(crate) async fn run_once<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        let (mut connection, generation) = self.get().await?;
        let result = command.query_async(&mut connection).await;
        if let Err(error) = &result
            && is_dead(error)
        {
            self.discard(generation);
        }
        result
    }

    async fn get(&self) -> Result<(MultiplexedConnection, u64), RedisError> {
        if let Some(live) = self.live() {
            return Ok(live);
        }
        let mut last_failure = self.connecting.lock().await;
        if let Some(live) = self.live() {
            return Ok(live);
        }
        if let Some((at, error)) = last_failure.as_ref()
            && at.elapsed() < RETRY_AFTER
        {
            return Err(error.clone());
        }
        match self.connect().await {
            Ok(connection) => {
                *last_failure = None;
                let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
                live.generation += 1;
                live.connection = Some(connection.clone());
                Ok((connection, live.generation))
            }
            Err(error) => {
                tracing::warn!(%error, "can not connect to Redis");
                *last_failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let client = self.client.clone();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_pipeline_buffer_size(QUEUE)
            .set_response_timeout(Some(COMMAND_TIMEOUT));
        let attempt =
            async move { client.get_multiplexed_async_connection_with_config(&config).await };
        let stopped = || RedisError::from((ErrorKind::Client, "the process is stopping"));
        self.control.spawn(attempt).await.map_err(|_| stopped())?
    }

    fn live(&self) -> Option<(MultiplexedConnection, u64)> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.connection.clone().map(|connection| (connection, live.generation))
    }

    fn discard(&self, generation: u64) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if live.generation == generation {
            live.connection = None;
        }
    }
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
