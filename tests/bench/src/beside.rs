//! What stands behind and beside the programs under measurement.

use crate::Outcome;
use crate::provider::Provider;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

/// What stands behind and beside the proxies, in a thread of this process, where the load runs too.
pub(crate) struct Beside {
    pub(crate) runtime: Handle,
    pub(crate) upstream: SocketAddr,
    pub(crate) provider: Arc<Provider>,
}

impl Beside {
    pub(crate) fn start() -> Outcome<Self> {
        // Away from the core of what is measured; with one core only there is no choice.
        let this = std::process::id().to_string();
        let others = std::thread::available_parallelism()?.get().saturating_sub(1).max(1);
        let list = if others > 1 { format!("1-{others}") } else { "1".to_owned() };
        let _ = std::process::Command::new("taskset")
            .args(["--all-tasks", "--cpu-list", "--pid", &list, &this])
            .output();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let _ = runtime.map(|runtime| runtime.block_on(beside(&sender)));
        });
        receiver.recv()?.map_err(Into::into)
    }
}

async fn beside(sender: &mpsc::Sender<Result<Beside, String>>) {
    let bind = async || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let bound = async {
        let (upstream, provider) = (bind().await?, bind().await?);
        let beside = Beside {
            runtime: Handle::current(),
            upstream: upstream.local_addr()?,
            provider: Arc::new(Provider::new(provider.local_addr()?)?),
        };
        Ok::<_, Box<dyn std::error::Error>>((upstream, provider, beside))
    };
    match bound.await {
        Ok((upstream, listener, beside)) => {
            let provider = Arc::clone(&beside.provider);
            tokio::spawn(provider.serve(listener));
            let _ = sender.send(Ok(beside));
            crate::upstream::serve(upstream).await;
        }
        Err(error) => {
            let _ = sender.send(Err(error.to_string()));
        }
    }
}
