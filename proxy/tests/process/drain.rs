//! The end of the process, seen from outside: what is under way ends well, and nothing new begins.

use super::session::{Made, header};
use super::{PATIENCE, Volume, config, kept, key_file};
use serde_json::json;
use std::io::{BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A server that tells of requests for one path, and answers each when it is told to. Others get nothing of use, at once.
struct Slow {
    address: SocketAddr,
    asked: mpsc::Receiver<String>,
    answer: mpsc::Sender<()>,
}

impl Slow {
    fn start(path: &'static str, body: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ((tell, asked), (answer, told)) = (mpsc::channel(), mpsc::channel());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut request = [0; 8192];
                let length = stream.read(&mut request).unwrap();
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                if !request.contains(&format!(" {path} ")) {
                    let _ =
                        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
                    continue;
                }
                if tell.send(request).is_err() || told.recv().is_err() {
                    return;
                }
                let length = body.len();
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
                     Connection: close\r\n\r\n{body}"
                )
                .unwrap();
            }
        });
        Self { address, asked, answer }
    }

    fn is_asked(&self) -> String {
        self.asked.recv_timeout(PATIENCE).unwrap()
    }
}

fn connected(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn send(address: SocketAddr, path: &str, header: &str) -> TcpStream {
    let mut stream = connected(address);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: proxy.example\r\n{header}\r\n").unwrap();
    stream
}

fn whole(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn what_is_under_way_ends_well_while_new_connections_are_refused_and_others_serve_once_more() {
    let application = Slow::start("/open", "the whole answer");
    let provider = Slow::start(
        "/token",
        r#"{"access_token": "a-2", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "r-2"}"#,
    );
    let at = |path: &str| format!("http://{}{path}", provider.address);
    let (_folder, key) = key_file();
    let mut config = config(&key, "/ping");
    config["providers"][0]["skipDiscovery"] = true.into();
    config["providers"][0]["endpoints"] =
        json!({"authorization": at("/auth"), "token": at("/token"), "jwks": at("/keys")});
    config["session"]["refresh"] = "1h".into();
    // One that has nothing to wait for ends before the others.
    config["limits"] = json!({"workers": 1});
    // Who needs the token waits for it.
    config["requestHeaders"] = json!([{"name": "X-Token", "values": [{"claim": "access_token"}]}]);
    config["access"]["skipAuth"] = json!([{"path": "^/open"}]);
    config["upstreams"] = json!([
        {"id": "open", "path": "/open", "target": {"http": {"uri": format!("http://{}", application.address)}}},
        {"id": "app", "path": "/", "target": {"static": {"code": 200}}}
    ]);
    let volume = Volume::new(&config);
    let mut proxy = volume.start(&[]);
    let address = proxy.address("http");

    let [mut idle, mut late] = [(); 2].map(|()| BufReader::new(connected(address)));
    assert_eq!([&mut idle, &mut late].map(|stream| kept(stream, "/ping")), ["OK", "OK"]);
    let request = send(address, "/open", "");
    application.is_asked();
    let old = Made { ago: Duration::from_hours(2), refresh_token: Some("r-1"), group: "staff" };
    let refresh = send(address, "/x", &header(&old));
    assert!(provider.is_asked().contains("refresh_token=r-1"));

    proxy.signal("TERM");
    proxy.line("stopping");
    let start = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(start.elapsed() < PATIENCE, "new connections are taken");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(proxy.child.try_wait().unwrap().is_none(), "it waits for those under way");
    // A client that has just sent something on its connection must not lose it.
    late.get_mut().write_all(b"GET /ping HTTP/1.1\r\nHost: proxy.example\r\n\r\n").unwrap();
    let mut answer = String::new();
    late.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("Connection: close\r\n") && answer.ends_with("OK"), "{answer}");

    application.answer.send(()).unwrap();
    let answer = whole(request);
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("the whole answer"),
        "{answer}"
    );
    provider.answer.send(()).unwrap();
    let answer = whole(refresh);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(
        answer.contains("Set-Cookie: _oauth2_proxy="),
        "the browser gets what it brought: {answer}"
    );
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty(), "nobody asked anything");
    assert_eq!(proxy.wait().code(), Some(0));
    proxy.line("] stopped");
}
