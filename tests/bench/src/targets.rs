//! The three programs under measurement.

use crate::clock::within;
use crate::process::{Process, free, pinned};
use crate::work::Beside;
use crate::{Outcome, http, nginx};
use std::path::Path;
use std::time::Duration;

/// What starting them needs.
pub(crate) struct Setup<'a> {
    pub(crate) program: &'a str,
    pub(crate) folder: &'a Path,
    pub(crate) beside: &'a Beside,
}

/// One of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Proxy,
    Floor,
    Nginx,
}

pub(crate) const KINDS: [Kind; 3] = [Kind::Floor, Kind::Proxy, Kind::Nginx];

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Proxy => "oauth2-proxy",
            Self::Floor => "bare hyper",
            Self::Nginx => "nginx",
        }
    }
}

impl Setup<'_> {
    pub(crate) fn start(&self, kind: Kind) -> Outcome<Process> {
        let upstream = self.beside.upstream;
        match kind {
            Kind::Nginx => nginx::start(self.folder, upstream),
            Kind::Floor => {
                let address = free()?;
                let mut command = pinned(std::env::current_exe()?);
                command.arg("floor").arg(address.to_string()).arg(upstream.to_string());
                Process::start(command, address, &self.folder.join("floor.log"))
            }
            Kind::Proxy => self.proxy("proxy.log", &[]),
        }
    }

    /// The proxy as one uses it behind another: it is asked, and tells by headers of its answer who is there.
    pub(crate) fn asked(&self) -> Outcome<Process> {
        self.proxy("asked.log", &["--set-xauthrequest=true"])
    }

    fn proxy(&self, log: &str, more: &[&str]) -> Outcome<Process> {
        let address = free()?;
        let mut command = pinned(self.program);
        command.env_clear().args(self.flags(address)).args(more);
        Process::start(command, address, &self.folder.join(log))
    }

    /// What a user would give: a session cookie, identity headers for the upstream, request log on.
    pub(crate) fn flags(&self, address: std::net::SocketAddr) -> Vec<String> {
        [
            format!("--http-address={address}"),
            format!("--oidc-issuer-url={}", self.beside.provider.issuer()),
            format!("--upstream=http://{}", self.beside.upstream),
        ]
        .into_iter()
        .chain(
            [
                "--provider=oidc",
                "--client-id=bench",
                "--client-secret=secret",
                "--cookie-secret=0123456789abcdef0123456789abcdef",
                "--cookie-secure=false",
                "--email-domain=*",
                "--skip-jwt-bearer-tokens=true",
                "--code-challenge-method=S256",
            ]
            .map(str::to_owned),
        )
        .collect()
    }
}

/// Logs in at a running proxy; returns the Cookie header's value.
pub(crate) fn log_in(proxy: &Process) -> Outcome<String> {
    let mut start = None;
    // The provider is discovered beside serving, so the first attempts may come too early.
    let began = within(Duration::from_secs(20), Duration::from_millis(20), || {
        start = http::get(proxy.address, "/oauth2/start?rd=/", "").ok();
        start.as_ref().is_some_and(|answer| answer.status == 302)
    });
    let start =
        start.filter(|_| began).ok_or("the proxy starts no login; has it found the provider?")?;
    let location = start.all("location").next().ok_or("the login leads nowhere")?.to_owned();
    let query = location.split_once('?').map_or("", |(_, query)| query);
    let parameter = |name: &str| {
        query.split('&').filter_map(|pair| pair.split_once('=')).find(|(found, _)| *found == name)
    };
    let (_, state) = parameter("state").ok_or("the login has no state")?;
    let (_, nonce) = parameter("nonce").ok_or("the login has no nonce")?;
    let cookies = format!("Cookie: {}\r\n", pairs(&start));
    let target = format!("/oauth2/callback?code={nonce}&state={state}");
    let done = http::get(proxy.address, &target, &cookies)?;
    if done.status != 302 {
        return Err(format!("the login ended with status {}", done.status).into());
    }
    Ok(pairs(&done))
}

/// The cookies that an answer sets, as a request sends them.
fn pairs(answer: &http::Answer) -> String {
    let set = answer.all("set-cookie").filter_map(|line| line.split(';').next());
    let kept: Vec<&str> = set.filter(|pair| !pair.ends_with('=')).collect();
    kept.join("; ")
}
