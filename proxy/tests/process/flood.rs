//! What strangers can fill, take or ask for without end, while somebody with a session is served: nothing of theirs is
//! refused, and no answer takes longer than [`BOUND`].

use super::{PATIENCE, Proxy, Volume, config, exchange, key_file, request, session};
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

#[path = "flood/clients.rs"]
mod clients;
#[path = "flood/provider.rs"]
mod provider;
#[path = "flood/redis.rs"]
mod redis;

/// What these floods did before was without end; a debug build on a busy machine takes some of it by itself.
const BOUND: Duration = Duration::from_secs(2);

/// An answer to `method path` with these headers: status and how long it took.
pub(super) fn ask(address: SocketAddr, path: &str, header: &str) -> (u16, Duration) {
    let start = Instant::now();
    let text = exchange(address, &format!("GET {path}"), header, PATIENCE).unwrap();
    let status = String::from_utf8_lossy(&text).split(' ').nth(1).unwrap().parse().unwrap();
    (status, start.elapsed())
}

/// The header of somebody with a session, who is in this group.
pub(super) fn session_in(group: &str) -> String {
    session::header(&session::Made { group, ..session::Made::default() })
}

/// Set when dropped, so that a flood that fails does not leave the person going for ever.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Somebody who asks for this as long as a flood runs, and a little after.
struct Person {
    path: &'static str,
    header: String,
    bound: Duration,
}

impl Person {
    fn with_session() -> Self {
        Self { path: "/app", header: session_in("staff"), bound: BOUND }
    }

    /// Each of the requests is answered, and in time.
    fn is_served_during(&self, address: SocketAddr, flood: impl FnOnce()) {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let person = scope.spawn(|| {
                for count in 1.. {
                    let done = over.load(Ordering::SeqCst);
                    let (status, took) = ask(address, self.path, &self.header);
                    assert_eq!(status, 200, "request {count}");
                    assert!(took < self.bound, "request {count} took {took:?}");
                    if done {
                        return;
                    }
                }
            });
            let ended = Over(&over);
            flood();
            drop(ended);
            person.join().unwrap();
        });
    }
}

/// Serves somebody with a session for as long as `flood` runs, and a little after.
fn meanwhile(address: SocketAddr, flood: impl FnOnce()) {
    Person::with_session().is_served_during(address, flood);
}

/// Bytes that `proxy` has resident now, or had at most.
fn resident(proxy: &Proxy, which: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(which)).unwrap();
    let kilobytes = line.trim_start_matches(':').trim().trim_end_matches(" kB");
    kilobytes.parse::<usize>().unwrap() << 10
}

/// The present value of a metric, all its members together.
fn metric(proxy: &Proxy, name: &str) -> f64 {
    let text = proxy.get("metrics", "/metrics").1;
    let of_it =
        |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
    text.lines()
        .filter(of_it)
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

fn protected(key: &Path) -> serde_json::Value {
    let mut config = config(key, "/ping");
    config["upstreams"] =
        serde_json::json!([{"id": "app", "path": "/", "target": {"static": {"code": 200}}}]);
    config
}

#[test]
fn outputs_that_nobody_reads_stop_nobody_and_do_not_hold_up_the_end() {
    let (_folder, key) = key_file();
    let mut config = protected(&key);
    config["logging"] = serde_json::json!({"requests": true});
    let volume = Volume::new(&config);
    let mut child = Command::new(env!("CARGO_BIN_EXE_oauth2-proxy"))
        .arg(format!("--generated-config={}", volume.config().display()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Both pipes stay open; of one the beginning is read, of the other nothing.
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let _errors = child.stderr.take().unwrap();
    let mut line = String::new();
    while !line.contains("] listening ") {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "it ends without listening");
    }
    let (_, lines) = mpsc::channel();
    let mut proxy = Proxy { child, addresses: Proxy::addresses_of(&line), lines };
    let address = proxy.address("http");
    // More than a pipe holds, of each: refused cookies and requests are lines of the one, and logins without a provider,
    // which nobody answers at that address, of the other.
    let fill = || {
        for _ in 0..800 {
            ask(address, "/app", "Cookie: _oauth2_proxy=AAAA\r\n");
            assert_eq!(ask(address, "/oauth2/start", "").0, 503);
        }
    };
    meanwhile(address, fill);
    assert_eq!(proxy.get("http", "/ping").0, 200);
    for path in ["/livez", "/readyz", "/status", "/metrics"] {
        let (status, took) = ask(proxy.address("admin"), path, "");
        assert!(status == 200 && took < BOUND, "{path}: {status} after {took:?}");
    }
    proxy.signal("TERM");
    assert_eq!(proxy.wait().code(), Some(0));
}

#[test]
fn connections_that_ask_for_nothing_take_no_place_of_a_probe() {
    let (_folder, key) = key_file();
    let volume = Volume::new(&protected(&key));
    let proxy = volume.start(&[]);
    let admin = proxy.address("admin");
    meanwhile(proxy.address("http"), || {
        let mut silent: Vec<_> = (0..200).map(|_| TcpStream::connect(admin).unwrap()).collect();
        for _ in 0..20 {
            for path in ["/livez", "/readyz"] {
                let (status, took) = ask(admin, path, "");
                assert!(status == 200 && took < BOUND, "{path}: {status} after {took:?}");
            }
        }
        let oldest = silent.first_mut().unwrap();
        oldest.set_read_timeout(Some(BOUND)).unwrap();
        assert!(matches!(oldest.read(&mut [0]), Ok(0) | Err(_)), "the oldest has given way");
    });
}

#[test]
fn many_that_ask_for_the_status_delay_neither_probes_nor_requests() {
    let (_folder, key) = key_file();
    let volume = Volume::new(&protected(&key));
    let proxy = volume.start(&["--watch-direct-port=8080"]);
    let admin = proxy.address("admin");
    meanwhile(proxy.address("http"), || {
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        assert_eq!(request(admin, "GET", "/status").unwrap().0, 200);
                    }
                });
            }
            for _ in 0..20 {
                let (status, took) = ask(admin, "/livez", "");
                assert!(status == 200 && took < BOUND, "{status} after {took:?}");
            }
        });
    });
}
