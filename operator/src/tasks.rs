//! The tasks of the process, each by its name. None of them ends by itself: where one does, or panics, what is left looks
//! alive and does a part of its work only. So whoever runs them ends the process.

use futures_util::future::BoxFuture;
use std::collections::HashMap;
use std::future::{Future, pending};
use std::time::Duration;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::timeout;

/// Something that runs for as long as the process, and what it is called.
pub(crate) struct Task {
    name: String,
    run: BoxFuture<'static, ()>,
}

impl Task {
    /// A task of this name, as a message would say it: `the watch of ...`.
    pub(crate) fn new(
        name: impl Into<String>,
        run: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Self { name: name.into(), run: Box::pin(run) }
    }

    /// One that has done its work at some time, which is not worth a word.
    pub(crate) fn once(
        name: impl Into<String>,
        run: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Self::new(name, async move {
            run.await;
            pending::<()>().await;
        })
    }
}

/// Tasks that run.
#[derive(Default)]
pub(crate) struct Tasks {
    running: JoinSet<()>,
    names: HashMap<Id, String>,
}

impl Tasks {
    /// Runs one more.
    pub(crate) fn spawn(&mut self, Task { name, run }: Task) {
        let id = self.running.spawn(run).id();
        self.names.insert(id, name);
    }

    /// Waits for the first that ends; says which one it is, and how it ended.
    pub(crate) async fn ended(&mut self) -> String {
        match self.running.join_next_with_id().await {
            Some(ended) => self.describe(&ended),
            None => pending().await,
        }
    }

    /// Waits for all to end, because that is wished now.
    ///
    /// # Errors
    /// Those that were still running when the time was over. They are cut off.
    pub(crate) async fn finish(&mut self, limit: Duration) -> Result<(), String> {
        let all = async {
            while let Some(ended) = self.running.join_next_with_id().await {
                if ended.is_err() {
                    tracing::error!("{}", self.describe(&ended));
                }
                self.names.remove(&id(&ended));
            }
        };
        if timeout(limit, all).await.is_ok() {
            return Ok(());
        }
        self.shutdown().await;
        let mut names: Vec<_> = self.names.drain().map(|(_, name)| name).collect();
        names.sort();
        Err(names.join(", "))
    }

    /// Cuts off all.
    pub(crate) async fn shutdown(&mut self) {
        self.running.shutdown().await;
    }

    fn describe(&self, ended: &Result<(Id, ()), JoinError>) -> String {
        let name = self.names.get(&id(ended)).map_or("a task", String::as_str);
        match ended {
            Ok(_) => format!("{name} has ended, which it never should"),
            Err(error) => format!("{name} has ended: {error}"),
        }
    }
}

fn id(ended: &Result<(Id, ()), JoinError>) -> Id {
    ended.as_ref().map_or_else(JoinError::id, |(id, ())| *id)
}
