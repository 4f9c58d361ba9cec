//! The program as a process: start, health, reload, certificates, signals, exit codes.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test of a real process in real time, which fails where something is not as it expects"
)]

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use serde_json::Value as Json;
use std::fs;
use std::io;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

#[path = "process/drain.rs"]
mod drain;
#[path = "process/flood.rs"]
mod flood;
#[path = "process/http2.rs"]
mod http2;
#[path = "process/log.rs"]
mod log;
#[path = "process/provider.rs"]
mod provider;
#[path = "process/proxied.rs"]
mod proxied;
#[path = "process/session.rs"]
mod session;
#[path = "process/threads.rs"]
mod threads;
#[path = "process/tls.rs"]
mod tls;

const KEY: &str = "0123456789abcdef0123456789abcdef";
const PATIENCE: Duration = Duration::from_secs(20);

/// A running proxy; killed when dropped.
struct Proxy {
    child: Child,
    addresses: Vec<(String, SocketAddr)>,
    lines: mpsc::Receiver<String>,
}

impl Proxy {
    fn start(arguments: &[String]) -> Self {
        Self::start_in(arguments, &[])
    }

    /// The same with these variables in its environment.
    fn start_in(arguments: &[String], environment: &[(&str, &str)]) -> Self {
        Self::start_telling(arguments, environment, Stdio::inherit())
    }

    /// The same with its errors going there.
    fn start_telling(
        arguments: &[String],
        environment: &[(&str, &str)],
        errors: impl Into<Stdio>,
    ) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_oauth2-proxy"))
            .args(arguments)
            .env_clear()
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut proxy = Self { child, addresses: Vec::new(), lines };
        let line = proxy.line("] listening ");
        proxy.addresses = Self::addresses_of(&line);
        proxy
    }

    /// What the line that tells of the listeners says.
    fn addresses_of(line: &str) -> Vec<(String, SocketAddr)> {
        line.split_whitespace()
            .filter_map(|word| word.split_once('='))
            .filter_map(|(name, address)| Some((name.to_owned(), address.parse().ok()?)))
            .collect()
    }

    /// Waits for a line of output that holds `text`.
    fn line(&self, text: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self
                .lines
                .recv_timeout(left)
                .unwrap_or_else(|_| panic!("no line with {text:?} came"));
            if line.contains(text) {
                return line;
            }
        }
    }

    fn address(&self, name: &str) -> SocketAddr {
        self.addresses.iter().find(|(known, _)| known == name).map(|(_, address)| *address).unwrap()
    }

    fn get(&self, listener: &str, path: &str) -> (u16, String) {
        request(self.address(listener), "GET", path).unwrap()
    }

    fn status(&self) -> Json {
        serde_json::from_str(&self.get("admin", "/status").1).unwrap()
    }

    /// Waits until the status is as wanted.
    fn until(&self, wanted: impl Fn(&Json) -> bool) -> (Json, Duration) {
        let start = Instant::now();
        loop {
            let status = self.status();
            if wanted(&status) {
                return (status, start.elapsed());
            }
            assert!(start.elapsed() < PATIENCE, "the status stays {status}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the process does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Status and body of one request on a connection of its own; none if nobody answers.
fn request(address: SocketAddr, method: &str, path: &str) -> Option<(u16, String)> {
    let answer = exchange(address, &format!("{method} {path}"), "", PATIENCE).ok()?;
    let text = String::from_utf8(answer).ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    Some((status, text.split_once("\r\n\r\n")?.1.to_owned()))
}

/// The whole answer to a request on a connection of its own, which may stay silent for so long.
fn exchange(
    address: SocketAddr,
    asked: &str,
    headers: &str,
    patience: Duration,
) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(patience))?;
    write!(
        stream,
        "{asked} HTTP/1.1\r\nHost: proxy.example\r\nConnection: close\r\n{headers}\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// The body of one request on a connection that is used again.
fn kept(stream: &mut BufReader<TcpStream>, path: &str) -> String {
    write!(stream.get_mut(), "GET {path} HTTP/1.1\r\nHost: proxy.example\r\n\r\n").unwrap();
    let mut length = 0;
    loop {
        let mut line = String::new();
        assert_ne!(stream.read_line(&mut line).unwrap(), 0, "the connection ends");
        match line.trim_end().to_ascii_lowercase().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            None if line == "\r\n" => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

/// A folder as Kubernetes mounts a Secret.
struct Volume(TempDir);

impl Volume {
    fn new(config: &Json) -> Self {
        let volume = Self(tempfile::tempdir().unwrap());
        volume.swap("v1", &config.to_string());
        symlink("..data/config.v1.json", volume.config()).unwrap();
        volume
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn config(&self) -> PathBuf {
        self.path().join("config.v1.json")
    }

    fn swap(&self, version: &str, config: &str) {
        let folder = format!("..{version}");
        fs::create_dir(self.path().join(&folder)).unwrap();
        fs::write(self.path().join(&folder).join("config.v1.json"), config).unwrap();
        symlink(&folder, self.path().join("..data_tmp")).unwrap();
        fs::rename(self.path().join("..data_tmp"), self.path().join("..data")).unwrap();
    }

    fn start(&self, more: &[&str]) -> Proxy {
        let mut arguments = vec![format!("--generated-config={}", self.config().display())];
        arguments.extend(more.iter().map(ToString::to_string));
        Proxy::start(&arguments)
    }
}

fn key_file() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    fs::write(&path, KEY).unwrap();
    (folder, path)
}

fn config(key: &Path, ping: &str) -> Json {
    serde_json::json!({
        "version": "v1",
        "listeners": {
            "http": {"address": "127.0.0.1:0"},
            "admin": {"address": "127.0.0.1:0"},
            "metrics": {"address": "127.0.0.1:0"}
        },
        "providers": [{"id": "main", "clientId": "app", "issuerUrl": "http://127.0.0.1:1"}],
        "session": {"keys": [{"file": key}]},
        "access": {"emailDomains": ["*"]},
        "http": {"pingPath": ping},
        "logging": {"requests": false}
    })
}

#[test]
fn a_changed_file_is_in_force_within_two_seconds_and_the_status_says_which() {
    let (_folder, key) = key_file();
    let volume = Volume::new(&config(&key, "/one"));
    let proxy = volume.start(&[]);
    assert_eq!(proxy.get("http", "/one").0, 200);
    let first = proxy.status();
    assert_eq!(first["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(first["reload"]["lastError"], Json::Null);
    assert_eq!(first["provider"]["id"], "main");
    assert_eq!(first["provider"]["ready"], false);
    assert_eq!(
        (&first["cookieKey"]["seals"], &first["cookieKey"]["worn"]),
        (&0.into(), &false.into())
    );
    volume.swap("v2", &config(&key, "/two").to_string());
    let (second, took) = proxy.until(|status| status["configHash"] != first["configHash"]);
    assert!(took < Duration::from_secs(2), "it took {took:?}");
    assert_eq!(second["configHash"].as_str().map(str::len), Some(64));
    assert_eq!(proxy.get("http", "/two").0, 200);
    assert_ne!(proxy.get("http", "/one").0, 200);
}

#[test]
fn a_refused_file_changes_nothing_and_metric_log_and_status_say_so() {
    let (_folder, key) = key_file();
    let volume = Volume::new(&config(&key, "/one"));
    let proxy = volume.start(&[]);
    let before = proxy.status();
    volume.swap("v2", &config(&key, "one").to_string());
    let (status, _) = proxy.until(|status| status["reload"]["lastError"] != Json::Null);
    assert!(status["reload"]["lastError"].as_str().unwrap().contains("http.pingPath"), "{status}");
    assert_eq!(status["configHash"], before["configHash"]);
    assert_eq!(proxy.get("http", "/one").0, 200);
    assert_eq!(proxy.get("admin", "/readyz").0, 200);
    let metrics = proxy.get("metrics", "/any/path").1;
    assert!(metrics.contains("\noauth2_proxy_config_last_reload_successful 0\n"), "{metrics}");
    volume.swap("v3", &config(&key, "/three").to_string());
    proxy.until(|status| status["reload"]["lastError"] == Json::Null);
    assert_eq!(proxy.get("http", "/three").0, 200);
}

#[test]
fn a_reload_that_failed_for_want_of_files_is_tried_again_without_another_change() {
    let (_keys, key) = key_file();
    let volume = Volume::new(&config(&key, "/one"));
    let proxy = volume.start(&[]);
    // Another connection would need a file.
    let stream = TcpStream::connect(proxy.address("metrics")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut metrics = BufReader::new(stream);
    kept(&mut metrics, "/metrics");
    let process = Pid::from_child(&proxy.child);
    let enough = getrlimit(Resource::Nofile);
    // Those that are open stay open, and there are no more.
    prlimit(Some(process), Resource::Nofile, Rlimit { current: Some(3), ..enough }).unwrap();
    volume.swap("v2", &config(&key, "/two").to_string());
    let start = Instant::now();
    while !kept(&mut metrics, "/metrics").contains("_config_last_reload_successful 0\n") {
        assert!(start.elapsed() < PATIENCE, "the reload does not fail");
        std::thread::sleep(Duration::from_millis(20));
    }
    prlimit(Some(process), Resource::Nofile, enough).unwrap();
    proxy.line("the configuration was reloaded");
    assert_eq!(proxy.get("http", "/two").0, 200);
}

#[test]
fn the_admin_listener_answers_what_it_is_for_and_nothing_else() {
    let (_folder, key) = key_file();
    let volume = Volume::new(&config(&key, "/ping"));
    let proxy = volume.start(&["--watch-direct-port=8080", "--node-ip=192.0.2.1"]);
    for (path, status) in [
        ("/livez", 200),
        ("/readyz", 200),
        ("/metrics", 200),
        ("/status", 200),
        ("/", 404),
        ("/ping", 404),
    ] {
        assert_eq!(proxy.get("admin", path).0, status, "{path}");
    }
    assert_eq!(request(proxy.address("admin"), "POST", "/livez").map(|answer| answer.0), Some(405));
    let direct = &proxy.status()["directConnections"];
    assert_eq!((&direct["port"], &direct["total"]), (&8080.into(), &0.into()));
    assert!(!proxy.status().to_string().contains(KEY));
}

#[test]
fn hang_up_reloads_and_terminate_drains_and_ends_with_success() {
    let (_folder, key) = key_file();
    let volume = Volume::new(&config(&key, "/ping"));
    let mut proxy = volume.start(&[]);
    proxy.signal("HUP");
    proxy.line("the configuration was reloaded");
    proxy.signal("TERM");
    proxy.line("stopping");
    assert_eq!(proxy.get("admin", "/readyz").0, 503);
    assert_eq!(proxy.get("admin", "/livez").0, 200);
    assert_eq!(
        proxy.get("http", "/ping").0,
        200,
        "new connections are served until balancers have noticed"
    );
    assert_eq!(proxy.wait().code(), Some(0));
    proxy.line("] stopped");
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let (_folder, key) = key_file();
    let volume = Volume::new(&config(&key, "/ping"));
    let mut proxy = volume.start(&[]);
    // A request that never ends would hold the drain for its whole time.
    let mut open = TcpStream::connect(proxy.address("http")).unwrap();
    open.write_all(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n").unwrap();
    proxy.signal("TERM");
    proxy.line("stopping");
    let start = Instant::now();
    proxy.signal("TERM");
    assert_eq!(proxy.wait().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(2), "it took {:?}", start.elapsed());
}

#[test]
fn a_signal_right_after_the_port_is_open_is_a_stop_like_any_other() {
    let (_folder, key) = key_file();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = config(&key, "/ping");
    config["listeners"] = serde_json::json!({"http": {"address": port.to_string()}});
    // Their threads take time to start, which is the time that this is about.
    config["limits"] = serde_json::json!({"workers": 64});
    let volume = Volume::new(&config);
    for signal in [Signal::TERM, Signal::INT].repeat(5) {
        let child = Command::new(env!("CARGO_BIN_EXE_oauth2-proxy"))
            .arg(format!("--generated-config={}", volume.config().display()))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let (_, lines) = mpsc::channel();
        let mut proxy = Proxy { child, addresses: Vec::new(), lines };
        let start = Instant::now();
        while TcpStream::connect(port).is_err() {
            assert!(start.elapsed() < PATIENCE, "nobody listens");
        }
        kill_process(Pid::from_child(&proxy.child), signal).unwrap();
        assert_eq!(proxy.wait().code(), Some(0), "{signal:?}");
    }
}

#[test]
fn a_provider_on_this_machine_is_not_asked_through_a_proxy() {
    let (_folder, key) = key_file();
    // Nobody listens there, so what goes through it does not arrive.
    let nowhere = "http://127.0.0.1:1";
    let environment = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"]
        .map(|name| (name, nowhere));
    for (scheme, first) in
        [("http", &b"GET /.well-known/openid-configuration "[..]), ("https", b"\x16")]
    {
        let provider = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config = config(&key, "/ping");
        config["providers"][0]["issuerUrl"] =
            format!("{scheme}://localhost:{}", provider.local_addr().unwrap().port()).into();
        let volume = Volume::new(&config);
        let arguments = [format!("--generated-config={}", volume.config().display())];
        let _proxy = Proxy::start_in(&arguments, &environment);
        let (sender, asked) = mpsc::channel();
        let length = first.len();
        std::thread::spawn(move || {
            let mut bytes = vec![0; length];
            provider.accept().unwrap().0.read_exact(&mut bytes).unwrap();
            let _ = sender.send(bytes);
        });
        assert_eq!(asked.recv_timeout(PATIENCE).unwrap(), first);
    }
}

#[test]
fn a_secret_that_can_not_be_read_stops_the_start_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let volume = Volume::new(&config(&folder.path().join("none"), "/ping"));
    let output = Command::new(env!("CARGO_BIN_EXE_oauth2-proxy"))
        .arg(format!("--generated-config={}", volume.config().display()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.starts_with("invalid configuration:\n  session.keys[0]: the file "), "{text}");
    assert!(text.contains("none can not be read"), "{text}");
}

#[test]
fn a_taken_port_stops_the_start_and_is_named() {
    let (_folder, key) = key_file();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = config(&key, "/ping");
    config["listeners"]["http"]["address"] = taken.local_addr().unwrap().to_string().into();
    let volume = Volume::new(&config);
    let output = Command::new(env!("CARGO_BIN_EXE_oauth2-proxy"))
        .arg(format!("--generated-config={}", volume.config().display()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text.contains("listeners.http") && text.contains(&taken.local_addr().unwrap().to_string()),
        "{text}"
    );
}
