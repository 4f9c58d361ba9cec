//! A real Redis server on a free port of the loopback address.

use crate::eventually::eventually;
use crate::process::{Process, free_port};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;

/// A running server; its data goes with it.
#[derive(Debug)]
pub struct Redis {
    /// Port on 127.0.0.1.
    pub port: u16,
    process: Option<Process>,
    dir: TempDir,
}

impl Redis {
    /// Starts a server and waits until it accepts connections.
    ///
    /// # Panics
    /// When `redis-server` is missing or does not come up.
    pub async fn start() -> Self {
        let mut redis = Self { port: free_port(), process: None, dir: crate::proxy::temp_dir() };
        redis.resume().await;
        redis
    }

    /// Stops the server at once; its data stays for [`Redis::resume`] only as far as it was saved.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts the server again on the same port.
    ///
    /// # Panics
    /// When it does not come up.
    pub async fn resume(&mut self) {
        let mut command = Command::new("redis-server");
        command.args([
            "--bind",
            "127.0.0.1",
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
            "--save",
            "",
        ]);
        command.arg("--port").arg(self.port.to_string()).arg("--dir").arg(self.dir.path());
        let log = self.dir.path().join("redis.log");
        self.process =
            Some(Process::start(command, log, "install it with: apt-get install redis-server"));
        let address = ("127.0.0.1", self.port);
        eventually("redis accepts connections", Duration::from_secs(20), || {
            TcpStream::connect(address)
        })
        .await;
    }

    /// `redis://` URL of the server.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Runs `redis-cli` against it and gives its output.
    ///
    /// # Panics
    /// When `redis-cli` is missing.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the way a test fails")]
    pub fn cli(&self, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli")
            .args(["-p", &port])
            .args(arguments)
            .output()
            .expect("redis-cli: apt-get install redis-tools");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}
