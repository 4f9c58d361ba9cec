//! A server on a free port, and a client that speaks bytes.

use crate::entry::Answered;
use crate::metrics::{Event, Registry, Shard};
use crate::output::Writer;
use crate::peer::Peer;
use crate::server::{Certificate, Fittings, Server, address_of, bind};
use crate::worker::Worker;
use http::Request;
use hyper::body::Incoming;
use proxy_config::{Limits, Listeners, PlainListener, TlsListener, TlsVersion};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server that stops when it is dropped.
pub(crate) struct Running {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) server: Option<Server>,
    pub(crate) log: Lines,
    shards: Arc<Mutex<Vec<Arc<Shard>>>>,
    writer: Option<Writer>,
}

/// What was logged.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Running {
    /// A plain server on a free port of loopback.
    pub(crate) fn start<A, F>(limits: &Limits, answer: A) -> Self
    where
        A: Fn(Arc<Worker>, Arc<Peer>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output: Into<Answered>> + Send + 'static,
    {
        Self::start_at("127.0.0.1:0", limits, answer)
    }

    /// A plain server at any address.
    pub(crate) fn start_at<A, F>(address: &str, limits: &Limits, answer: A) -> Self
    where
        A: Fn(Arc<Worker>, Arc<Peer>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output: Into<Answered>> + Send + 'static,
    {
        Self::start_plain(address, false, limits, answer)
    }

    /// A plain server at any address, with or without HTTP/2.
    pub(crate) fn start_plain<A, F>(address: &str, h2c: bool, limits: &Limits, answer: A) -> Self
    where
        A: Fn(Arc<Worker>, Arc<Peer>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output: Into<Answered>> + Send + 'static,
    {
        let http = Some(PlainListener { address: address.parse().unwrap(), h2c });
        Self::with(&Listeners { http, ..Listeners::default() }, limits, None, answer)
    }

    /// A TLS server on a free port of loopback.
    pub(crate) fn start_tls<A, F>(
        certificate: &Certificate,
        oldest: TlsVersion,
        limits: &Limits,
        answer: A,
    ) -> Self
    where
        A: Fn(Arc<Worker>, Arc<Peer>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output: Into<Answered>> + Send + 'static,
    {
        let https = Some(TlsListener {
            address: "127.0.0.1:0".parse().unwrap(),
            certificate_file: "unused".into(),
            key: proxy_config::Secret::value("unused"),
            min_version: oldest,
        });
        Self::with(
            &Listeners { https, ..Listeners::default() },
            limits,
            Some((certificate, oldest)),
            answer,
        )
    }

    fn with<A, F>(
        listeners: &Listeners,
        limits: &Limits,
        tls: Option<(&Certificate, TlsVersion)>,
        answer: A,
    ) -> Self
    where
        A: Fn(Arc<Worker>, Arc<Peer>, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output: Into<Answered>> + Send + 'static,
    {
        let bound = bind(listeners).unwrap();
        let address = address_of(&bound, "http").or_else(|| address_of(&bound, "https"));
        let (registry, log) = (Registry::new(), Lines::default());
        let writer = Writer::new(log.clone(), &registry);
        let shards: Arc<Mutex<Vec<Arc<Shard>>>> = Arc::default();
        let limits = Limits {
            workers: if limits.workers == 0 { 2 } else { limits.workers },
            ..limits.clone()
        };
        let settings = Fittings {
            limits: &limits,
            tls,
            registry: &registry,
            log: &writer,
            tick: crate::upstream::sweep,
        };
        let server = Server::start(bound, &settings, |worker| {
            shards.lock().unwrap().push(Arc::clone(&worker.shard));
            let (worker, answer) = (Arc::clone(worker), answer.clone());
            move |peer, request| answer(Arc::clone(&worker), peer, request)
        });
        Self { address, server: Some(server.unwrap()), log, shards, writer: Some(writer) }
    }

    /// A new connection.
    pub(crate) fn connect(&self) -> Client {
        let stream = TcpStream::connect(self.address.unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client { stream, rest: Vec::new() }
    }

    /// How often all workers together counted `event`.
    pub(crate) fn counted(&self, event: Event) -> u64 {
        self.shards.lock().unwrap().iter().map(|shard| shard.counted(event)).sum()
    }

    /// Stops, and tells what was logged.
    pub(crate) fn logged(mut self) -> String {
        drop(self.server.take());
        drop(self.writer.take());
        self.log.text()
    }
}

/// A client's connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    rest: Vec<u8>,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Client {
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub(crate) fn ask(&mut self, request: &str) -> Answer {
        self.send(request.as_bytes());
        self.answer()
    }

    /// Reads one response, which must have a length or chunks.
    pub(crate) fn answer(&mut self) -> Answer {
        let end = self.until(b"\r\n\r\n");
        let head = String::from_utf8(end).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: String::new() };
        if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let line = String::from_utf8(self.until(b"\r\n")).unwrap();
                let size = usize::from_str_radix(line.trim(), 16).unwrap();
                if size == 0 {
                    loop {
                        let trailer = String::from_utf8(self.until(b"\r\n")).unwrap();
                        if trailer == "\r\n" {
                            return answer;
                        }
                        answer.head.push_str(&trailer);
                    }
                }
                let chunk = self.exactly(size + 2);
                answer.body.push_str(std::str::from_utf8(&chunk[..size]).unwrap());
            }
        }
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        answer.body = String::from_utf8(self.exactly(length)).unwrap();
        answer
    }

    pub(crate) fn until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.rest, end) {
                return self.rest.drain(..at + end.len()).collect();
            }
            self.more();
        }
    }

    pub(crate) fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.rest.len() < count {
            self.more();
        }
        self.rest.drain(..count).collect()
    }

    /// What has been read and not asked for.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.rest
    }

    fn more(&mut self) {
        let mut bytes = [0; 4096];
        let count = self.stream.read(&mut bytes).unwrap();
        assert!(count > 0, "closed after {:?}", String::from_utf8_lossy(&self.rest));
        self.rest.extend_from_slice(&bytes[..count]);
    }

    /// Whether the other side closes without sending any more.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0; 1]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

/// Waits for a condition, and says which one never came true.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test's patience is real time, and no runtime is here"
    )]
    let now = Instant::now;
    let start = now();
    while !condition() {
        assert!(now() - start < PATIENCE, "in {PATIENCE:?} it did not happen that {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
