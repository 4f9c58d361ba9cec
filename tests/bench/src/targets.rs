//! The three programs under measurement.

use crate::beside::Beside;
use crate::certificate::Certificate;
use crate::clock::within;
use crate::process::{Process, free, pinned};
use crate::sealed::SECRET;
use crate::{Outcome, http, nginx};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// What starting them needs.
pub(crate) struct Setup<'a> {
    pub(crate) program: &'a str,
    pub(crate) folder: &'a Path,
    pub(crate) beside: &'a Beside,
    pub(crate) certificate: &'a Certificate,
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
        match kind {
            Kind::Nginx => nginx::start(self.folder, self.beside.upstream),
            Kind::Floor => self.floor("floor.log", &[]),
            Kind::Proxy => self.proxy("proxy.log", free()?, &[]),
        }
    }

    /// The proxy as one uses it behind another: it is asked, and tells by headers of its answer who is there.
    pub(crate) fn asked(&self) -> Outcome<Process> {
        self.proxy("asked.log", free()?, &["--set-xauthrequest=true"])
    }

    /// The same with its sessions at `redis`.
    pub(crate) fn with_redis(&self, redis: &Process) -> Outcome<Process> {
        let url = format!("--redis-connection-url=redis://{}", redis.address);
        let store = ["--session-store-type=redis", "--set-xauthrequest=true", &url];
        self.proxy("redis-proxy.log", free()?, &store)
    }

    /// Floor and proxy, as they serve over TLS.
    pub(crate) fn secure(&self) -> Outcome<Vec<(Kind, Process)>> {
        let Certificate { certificate, key } = self.certificate;
        let address = free()?;
        let flags = [
            format!("--https-address={address}"),
            format!("--tls-cert-file={}", certificate.display()),
            format!("--tls-key-file={}", key.display()),
        ];
        let flags = flags.each_ref().map(String::as_str);
        Ok(vec![
            (Kind::Floor, self.floor("secure-floor.log", &[certificate, key])?),
            (Kind::Proxy, self.proxy("secure-proxy.log", address, &flags)?),
        ])
    }

    fn floor(&self, log: &str, files: &[&Path]) -> Outcome<Process> {
        let address = free()?;
        let mut command = pinned(std::env::current_exe()?);
        command.arg("floor").arg(address.to_string()).arg(self.beside.upstream.to_string());
        Process::start(command.args(files), address, &self.folder.join(log))
    }

    /// A proxy with `more` flags, which will serve at `address`.
    fn proxy(&self, log: &str, address: SocketAddr, more: &[&str]) -> Outcome<Process> {
        let tls = more.iter().any(|flag| flag.starts_with("--https-address"));
        let plain = if tls { free()? } else { address };
        let mut command = pinned(self.program);
        command.env_clear().args(self.flags(plain)).args(more);
        Process::start(&mut command, address, &self.folder.join(log))
    }

    /// What a user would give: a session cookie, identity headers for the upstream, request log on.
    pub(crate) fn flags(&self, address: SocketAddr) -> Vec<String> {
        [
            format!("--http-address={address}"),
            format!("--oidc-issuer-url={}", self.beside.provider.issuer()),
            format!("--upstream=http://{}", self.beside.upstream),
            format!("--cookie-secret={SECRET}"),
        ]
        .into_iter()
        .chain(
            [
                "--provider=oidc",
                "--client-id=bench",
                "--client-secret=secret",
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
    let cookies = format!("Cookie: {}\r\n", start.pairs());
    let done = http::get(proxy.address, &start.callback()?.target, &cookies)?;
    if done.status != 302 {
        return Err(format!("the login ended with status {}", done.status).into());
    }
    Ok(done.pairs())
}
