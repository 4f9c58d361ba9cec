//! Just enough of an HTTP client to log in and to ask whether somebody is there.

use crate::Outcome;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A response.
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
}

/// The second request of a login.
pub(crate) struct Callback {
    pub(crate) target: String,
    /// The authorization code in it.
    pub(crate) code: String,
}

impl Answer {
    /// The one whose text begins with `head`.
    pub(crate) fn of(text: &str) -> Outcome<Self> {
        let head = text.split("\r\n\r\n").next().unwrap_or_default().to_owned();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .ok_or("no HTTP answer")?;
        Ok(Self { status, head })
    }

    /// All values of a header.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(move |(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The cookies that it sets, as a request sends them.
    pub(crate) fn pairs(&self) -> String {
        let set = self.all("set-cookie").filter_map(|line| line.split(';').next());
        let kept: Vec<&str> = set.filter(|pair| !pair.ends_with('=')).collect();
        kept.join("; ")
    }

    /// Where the provider sends a browser that this answer has sent to it. The nonce is the code.
    pub(crate) fn callback(&self) -> Outcome<Callback> {
        let location = self.all("location").next().ok_or("the login leads nowhere")?;
        let query = location.split_once('?').map_or("", |(_, query)| query);
        let parameter = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
        };
        let state = parameter("state").ok_or("the login has no state")?;
        let nonce = parameter("nonce").ok_or("the login has no nonce")?;
        let target = format!("/oauth2/callback?code={nonce}&state={state}");
        Ok(Callback { target, code: nonce })
    }
}

/// Asks once, on a connection of its own.
pub(crate) fn get(address: SocketAddr, target: &str, headers: &str) -> Outcome<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let request =
        format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n{headers}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Answer::of(&String::from_utf8_lossy(&bytes))
}
