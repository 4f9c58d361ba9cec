//! A Redis server that answers with too much, too little, or not at all.

use super::{Person, ask, config, resident};
use crate::{KEY, PATIENCE, Volume, key_file};
use proxy::probe::sealed::{Kind, seal};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
enum Server {
    Silent,
    /// The head of a reply, and nothing more.
    Bodiless,
    /// A byte of a reply every now and then.
    Trickling,
    /// As much as is taken.
    Endless,
}

impl Server {
    fn start(self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || self.serve(stream));
            }
        });
        address
    }

    fn serve(self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut bytes = [0; 4096];
        loop {
            let count = stream.read(&mut bytes)?;
            if count == 0 {
                return Ok(());
            }
            let asked = String::from_utf8_lossy(&bytes[..count]).to_ascii_uppercase();
            match self {
                Self::Silent => {}
                _ if !asked.contains("GET\r\n") => {
                    // One for each command; no argument looks like the beginning of one.
                    let commands = asked.matches('*').count();
                    stream.write_all("+OK\r\n".repeat(commands).as_bytes())?;
                }
                Self::Bodiless => stream.write_all(b"$1000\r\n")?,
                Self::Trickling => {
                    stream.write_all(b"$500000\r\n")?;
                    loop {
                        stream.write_all(b"x")?;
                        std::thread::sleep(Duration::from_millis(10));
                    }
                }
                Self::Endless => {
                    stream.write_all(b"$1000000000\r\n")?;
                    let block = vec![b'x'; 1 << 20];
                    loop {
                        stream.write_all(&block)?;
                    }
                }
            }
        }
    }
}

fn ticket(number: u8) -> String {
    let value = seal(KEY.as_bytes(), Kind::Ticket, "_oauth2_proxy", &[number; 48]).unwrap();
    format!("Cookie: _oauth2_proxy={value}\r\n")
}

fn flood(server: Server) {
    let (folder, key) = key_file();
    let url = folder.path().join("url");
    std::fs::write(&url, format!("redis://{}", server.start())).unwrap();
    let mut config = config(&key, "/ping");
    config["session"]["store"] = serde_json::json!({"redis": {"url": {"file": url}}});
    config["access"]["skipAuth"] = serde_json::json!([{"path": "^/public/"}]);
    config["upstreams"] =
        serde_json::json!([{"id": "app", "path": "/", "target": {"static": {"code": 200}}}]);
    let volume = Volume::new(&config);
    let proxy = volume.start(&[]);
    let address = proxy.address("http");
    let memory = resident(&proxy, "VmRSS");
    // What needs no session waits a tenth of a second for one; a command gets two seconds.
    let person =
        Person { path: "/public/x", header: ticket(0), bound: Duration::from_millis(1200) };
    person.is_served_during(address, || {
        std::thread::scope(|scope| {
            for number in 1..=8 {
                scope.spawn(move || {
                    for _ in 0..5 {
                        let (status, took) = ask(address, "/app", &ticket(number));
                        // What is longer than any record is none.
                        let refused =
                            status == 503 || matches!(server, Server::Endless) && status == 403;
                        assert!(refused && took < PATIENCE / 4, "{status} after {took:?}");
                        let (status, took) = ask(address, "/ready", "");
                        assert!(status != 200 && took < PATIENCE / 4, "{status} after {took:?}");
                    }
                });
            }
        });
    });
    let grown = resident(&proxy, "VmHWM").saturating_sub(memory);
    assert!(grown < 48 << 20, "{} MiB more at most", grown >> 20);
}

#[test]
fn a_redis_that_says_nothing_holds_up_nobody_who_needs_no_session() {
    flood(Server::Silent);
}

#[test]
fn a_redis_that_keeps_the_rest_of_a_reply_holds_up_nobody_who_needs_no_session() {
    flood(Server::Bodiless);
}

#[test]
fn a_redis_that_trickles_holds_up_nobody_who_needs_no_session() {
    flood(Server::Trickling);
}

#[test]
fn a_redis_whose_reply_has_no_end_fills_no_memory() {
    flood(Server::Endless);
}
