//! The proxy as a process, started as a user starts it.

use crate::eventually::eventually;
use crate::process::{Process, free_port, program};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    /// `http://127.0.0.1:PORT` of the application's listener.
    pub url: String,
    /// Port of the application's listener.
    pub port: u16,
    /// The process, for its output, signals and exit code.
    pub process: Process,
    /// A folder of its own for files that flags refer to.
    pub dir: TempDir,
}

/// What every test proxy is started with unless the test says otherwise.
pub const COOKIE_SECRET: &str = "0123456789abcdef0123456789abcdef";

impl Proxy {
    /// Starts the proxy with `flags` and waits until it accepts connections. `--http-address` is added.
    ///
    /// # Panics
    /// When it ends or does not listen in time; the message holds its output.
    pub async fn start(flags: &[String]) -> Self {
        Self::start_at(free_port(), flags).await
    }

    /// As [`Proxy::start`], on a given port: a provider wants to know the redirect URL before.
    ///
    /// # Panics
    /// As [`Proxy::start`].
    pub async fn start_at(port: u16, flags: &[String]) -> Self {
        let dir = temp_dir();
        let mut command = Command::new(program("proxy", "oauth2-proxy"));
        command.env_clear().env("TZ", "UTC").current_dir(dir.path());
        command.arg(format!("--http-address=127.0.0.1:{port}")).args(flags);
        let mut process = Process::start(
            command,
            dir.path().join("proxy.log"),
            "build it with: cargo build -p proxy",
        );
        eventually("the proxy listens", Duration::from_secs(20), || {
            let ended = process.exit_code();
            let output = process.output();
            async move {
                assert_eq!(ended, None, "the proxy ended:\n{output}");
                TcpStream::connect(("127.0.0.1", port))
                    .await
                    .map_err(|error| format!("{error}\n{output}"))
            }
        })
        .await;
        Self { url: format!("http://127.0.0.1:{port}"), port, process, dir }
    }
}

/// An empty folder that goes with the test.
///
/// # Panics
/// When the system's folder for temporary files can not be written.
#[must_use]
#[expect(clippy::expect_used, reason = "the way a test fails")]
pub fn temp_dir() -> TempDir {
    TempDir::new().expect("a temporary folder")
}
