//! A proxy in this process, a client that sends exactly what it is told, and an upstream that repeats what it got.

use crate::app::{App, Signal};
use crate::args::{self, Command};
use crate::identity::Identity;
use crate::session::{KeyRing, Purpose, Session, Token, encode};
use jiff::Timestamp;
use proxy_config::SessionFormat;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc as std_mpsc;
use std::time::Duration;
use tokio::sync::mpsc;

pub(super) const SECRET: &str = "!pearl#river%16*";

/// Flags that every proxy here has. The provider's endpoints are known and closed.
const FLAGS: [&str; 10] = [
    "--provider=oidc",
    "--oidc-issuer-url=http://127.0.0.1:1",
    "--skip-oidc-discovery",
    "--login-url=http://127.0.0.1:1/login",
    "--redeem-url=http://127.0.0.1:1/token",
    "--oidc-jwks-url=http://127.0.0.1:1/keys",
    "--client-id=app-7",
    "--client-secret=s",
    "--cookie-secret=!pearl#river%16*",
    "--http-address=127.0.0.1:0",
];

/// A running proxy; it ends when dropped.
pub(super) struct Proxy {
    address: SocketAddr,
    signals: mpsc::Sender<Signal>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Answer {
    /// The first value of a header, or nothing.
    pub(super) fn header(&self, name: &str) -> &str {
        self.all(name).first().copied().unwrap_or_default()
    }

    /// All values of a header.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
            .collect()
    }
}

impl Proxy {
    /// Starts one; `Err` is why it did not.
    pub(super) fn try_start(flags: &[String]) -> Result<Self, String> {
        let arguments: Vec<String> =
            FLAGS.iter().map(|flag| (*flag).to_owned()).chain(flags.iter().cloned()).collect();
        Self::try_start_with(&arguments)
    }

    /// Starts one with these arguments alone.
    pub(super) fn try_start_with(arguments: &[String]) -> Result<Self, String> {
        let settings = match args::parse(arguments, Vec::new()) {
            Ok(Command::Serve(settings)) => settings,
            Ok(_) => return Err("these flags do not serve".to_owned()),
            Err(error) => return Err(error.to_string()),
        };
        let (signals, receiver) = mpsc::channel(4);
        let (tell, told) = std_mpsc::channel();
        std::thread::spawn(move || {
            match App::runtime().and_then(|runtime| App::bind(settings, runtime)) {
                Err(error) => drop(tell.send(Err(error.to_string()))),
                Ok(app) => {
                    drop(tell.send(Ok(app.addresses.http.expect("a plain listener"))));
                    app.run(receiver);
                }
            }
        });
        let address = told.recv().map_err(|_| "it ended without a word".to_owned())??;
        Ok(Self { address, signals })
    }

    /// Starts one with further flags.
    pub(super) fn start(flags: &[&str]) -> Self {
        let mut all = vec!["--email-domain=*".to_owned()];
        all.extend(flags.iter().map(|flag| (*flag).to_owned()));
        Self::try_start(&all).expect("it starts")
    }

    /// Sends one request and reads the whole answer.
    pub(super) fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut text = format!("{method} {target} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            text.push_str("Host: app.vectors.example\r\n");
        }
        for (name, value) in headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        if !body.is_empty() {
            let _ = write!(text, "Content-Length: {}\r\n", body.len());
        }
        let _ = write!(text, "Connection: close\r\n\r\n{body}");
        self.raw(&text)
    }

    /// A connection to it.
    pub(super) fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).expect("it listens")
    }

    /// Sends this and nothing more, and reads until the proxy closes.
    pub(super) fn raw(&self, text: &str) -> Answer {
        let mut stream = self.connect();
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
        stream.write_all(text.as_bytes()).expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it answers and closes");
        parse(&String::from_utf8_lossy(&answer))
    }

    /// Sends a GET.
    pub(super) fn get(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", target, headers, "")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The first asks, the second insists.
        let _ = self.signals.try_send(Signal::Stop);
        let _ = self.signals.try_send(Signal::Stop);
    }
}

fn parse(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
    let mut lines = head.split("\r\n");
    let status =
        lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let pair = |line: &str| {
        line.split_once(':').map(|(n, v)| (n.to_owned(), v.trim_start_matches(' ').to_owned()))
    };
    Answer {
        status: status.unwrap_or_else(|| panic!("no HTTP: {text:?}")),
        headers: lines.filter_map(pair).collect(),
        body: body.to_owned(),
    }
}

/// A server whose answer's body is the head of the request, with `headers` in its own.
pub(super) fn upstream(headers: &[(String, String)]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let more: String = headers.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = write!(text, "{name}: {value}\r\n");
        text
    });
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n")
                && stream.read(&mut byte).is_ok_and(|count| count > 0)
            {
                head.push(byte[0]);
            }
            let text = String::from_utf8_lossy(&head);
            let answer = format!(
                "HTTP/1.1 200 OK\r\n{more}Content-Length: {}\r\nConnection: close\r\n\r\n{text}",
                text.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

/// The session of the recorded headers.
pub(super) fn session() -> Session {
    Session {
        created_at: Timestamp::now(),
        expires_at: None,
        access_token: Some(Token::new("at-vector-0001")),
        id_token: Some(Token::new("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtYXJhIn0.c2ln")),
        identity: Identity {
            user: "5f1c7a90-user".to_owned(),
            email: Some("mara@vectors.example".to_owned()),
            groups: vec!["staff".to_owned(), "ops/oncall".to_owned(), "a,b".to_owned()],
            preferred_username: Some("mara".to_owned()),
        },
        ..Session::new("oidc=app-7", Timestamp::UNIX_EPOCH)
    }
}

/// The `Cookie` header of a session.
pub(super) fn cookie(session: &Session) -> String {
    let ring = KeyRing::new(&[SECRET]).expect("a ring");
    format!(
        "_oauth2_proxy={}",
        ring.seal(Purpose::Session, "_oauth2_proxy", &encode(session, SessionFormat::V2))
    )
}
