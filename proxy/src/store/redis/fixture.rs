//! A real Redis server for tests: on a free port of the loopback interface, with nothing on disk, gone with the fixture.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;

/// A running server, or one that was stopped to see what happens.
pub(crate) struct RedisServer {
    port: u16,
    arguments: Vec<String>,
    process: Option<Child>,
}

impl RedisServer {
    /// Starts one without access control.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with further arguments; `{port}` in them is the port, and without `--tls-port` it speaks plain text.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        // Somebody else may take the port before Redis does.
        for _ in 0..5 {
            let port =
                TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            let mut arguments: Vec<String> =
                arguments.iter().map(|text| text.replace("{port}", &port.to_string())).collect();
            if !arguments.iter().any(|text| text == "--tls-port") {
                arguments.extend(["--port".to_owned(), port.to_string()]);
            }
            let mut server = Self { port, arguments, process: None };
            if server.try_restart() {
                return server;
            }
        }
        panic!("redis-server ends at once with {arguments:?}");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts it again on the same port, empty.
    pub(crate) fn restart(&mut self) {
        assert!(self.try_restart(), "redis-server ends at once with {:?}", self.arguments);
    }

    /// Whether it runs and listens.
    fn try_restart(&mut self) -> bool {
        self.kill();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", "/tmp"]);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null());
        let process = command.spawn().unwrap_or_else(|error| {
            panic!("redis-server does not start ({error}): install it, such as by `apt-get install redis-server`")
        });
        let process = self.process.insert(process);
        let started = Instant::now();
        while TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).is_err() {
            if process.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "redis-server does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        process.try_wait().unwrap().is_none()
    }

    /// Stops it from answering without closing its connections, or lets it go on.
    pub(crate) fn freeze(&self, frozen: bool) {
        let signal = if frozen { "-STOP" } else { "-CONT" };
        let id = self.process.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// Another client's connection.
    pub(crate) async fn client(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.url()).unwrap();
        let patient = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(20)))
            .set_response_timeout(Some(Duration::from_secs(20)));
        client.get_multiplexed_async_connection_with_config(&patient).await.unwrap()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
