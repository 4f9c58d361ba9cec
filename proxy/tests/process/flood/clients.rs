//! Clients that reset, do not read, or bring much.

use super::{Person, meanwhile, metric, protected, resident, session_in};
use crate::http2::connect;
use crate::{PATIENCE, Proxy, Volume, key_file};
use http::Request;
use http_body_util::Full;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// An application that answers everything but `/public/slow`.
fn serve(mut stream: &TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            (reader.read_line(&mut head).ok()? > 0).then_some(())?;
        }
        if !head.contains(" /public/slow ") {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").ok()?;
        }
    }
}

#[test]
fn streams_that_are_reset_cost_the_application_few_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            count.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || serve(&stream));
        }
    });
    let (_folder, key) = key_file();
    let mut config = protected(&key);
    config["listeners"]["http"]["h2c"] = true.into();
    config["access"]["skipAuth"] = serde_json::json!([{"path": "^/public/"}]);
    config["upstreams"][0]["target"] = serde_json::json!({"http": {"uri": uri}});
    let volume = Volume::new(&config);
    let proxy = volume.start(&[]);
    let address = proxy.address("http");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut resets = 0;
    meanwhile(address, || {
        for _ in 0..5 {
            resets += runtime.block_on(reset_many(address));
        }
    });
    assert!((500..1500).contains(&resets), "{resets} streams were reset on five connections");
    let accepted = accepted.load(Ordering::SeqCst);
    assert!(accepted < 1000, "{accepted} connections to the application");
    assert!(metric(&proxy, "oauth2_proxy_upstream_abandoned_total") > 0.0);
}

/// Opens streams and resets them until the connection takes no more. Returns how many those were.
async fn reset_many(address: std::net::SocketAddr) -> usize {
    let sender = connect(address).await;
    for count in (0..2000).step_by(20) {
        let streams = (0..20).map(|_| {
            let request = Request::get("http://proxy.example/public/slow");
            let answer = sender.clone().send_request(request.body(Full::default()).unwrap());
            async { tokio::time::timeout(Duration::from_millis(20), answer).await.is_err() }
        });
        if futures_util::future::join_all(streams).await.contains(&false) {
            return count;
        }
    }
    panic!("the connection takes all");
}

fn open_files(proxy: &Proxy) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", proxy.child.id())).unwrap().count()
}

#[test]
fn answers_that_nobody_reads_are_given_up_and_take_little_memory() {
    const MANY: usize = 100;
    let (folder, key) = key_file();
    // More than the system takes for a client that reads nothing.
    std::fs::write(folder.path().join("large"), vec![0; 8 << 20]).unwrap();
    let mut config = protected(&key);
    config["limits"] = serde_json::json!({"stallTimeout": "2s"});
    config["access"]["skipAuth"] = serde_json::json!([{"path": "^/public/"}]);
    let files = serde_json::json!({"file": {"root": folder.path()}});
    let files = serde_json::json!({"id": "files", "path": "/public/", "target": files});
    config["upstreams"].as_array_mut().unwrap().push(files);
    let volume = Volume::new(&config);
    let proxy = volume.start(&[]);
    let address = proxy.address("http");
    let (memory, files) = (resident(&proxy, "VmRSS"), open_files(&proxy));
    meanwhile(address, || {
        let requests = "GET /public/large HTTP/1.1\r\nHost: a\r\n\r\n".repeat(20);
        let mut most = 0;
        let silent: Vec<_> = (0..MANY)
            .map(|_| {
                most = most.max(open_files(&proxy));
                let mut stream = TcpStream::connect(address).unwrap();
                stream.write_all(requests.as_bytes()).unwrap();
                stream
            })
            .collect();
        let start = Instant::now();
        while most <= files + MANY / 2 {
            most = most.max(open_files(&proxy));
            assert!(start.elapsed() < PATIENCE, "of {MANY} there were {most} at most");
        }
        while open_files(&proxy) > files + MANY / 4 {
            assert!(start.elapsed() < PATIENCE, "they stay");
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(silent);
    });
    let grown = resident(&proxy, "VmHWM").saturating_sub(memory);
    assert!(grown < MANY << 20, "{} KiB for each", (grown >> 10) / MANY);
}

#[test]
fn sessions_and_cookies_of_any_size_take_bounded_memory() {
    const SIZE: usize = 24 << 10;
    const MANY: usize = 1600;
    let (_folder, key) = key_file();
    let mut config = protected(&key);
    config["limits"] = serde_json::json!({"workers": 2});
    config["requestHeaders"] =
        serde_json::json!([{"name": "X-Forwarded-Groups", "values": [{"claim": "groups"}]}]);
    let volume = Volume::new(&config);
    let proxy = volume.start(&[]);
    let address = proxy.address("http");
    let memory = resident(&proxy, "VmRSS");
    meanwhile(address, || {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    for count in 0..MANY / 4 {
                        // Somebody may well have a session of his own, and sign in as often as he likes.
                        let group = format!("{thread} {count} {}", "g".repeat(SIZE));
                        let session =
                            Person { header: session_in(&group), ..Person::with_session() };
                        assert_eq!(super::ask(address, "/app", &session.header).0, 200);
                        let foreign = format!("Cookie: _oauth2_proxy={thread}{count}{group}\r\n");
                        if count % 4 == 0 {
                            assert_eq!(super::ask(address, "/app", &foreign).0, 403);
                        }
                    }
                });
            }
        });
    });
    let grown = resident(&proxy, "VmRSS").saturating_sub(memory);
    let brought = MANY * SIZE * 7 / 3;
    assert!(grown < brought / 2, "{} of {} MiB stay", grown >> 20, brought >> 20);
}
