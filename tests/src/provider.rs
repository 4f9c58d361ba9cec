//! `oidc-provider` from npm: a certified OpenID provider that logs everybody in, for fast and unusual flows.
//!
//! It needs Node 20 or newer and npm. Its packages are installed once below `target/`, from the lock file.

use super::process::{Process, free_port, root};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const FILES: [&str; 3] = ["package.json", "package-lock.json", "server.mjs"];

/// How the provider behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Client id.
    pub client_id: String,
    /// Client secret; none for a public client.
    pub client_secret: Option<String>,
    /// `client_secret_basic`, `client_secret_post` or `none`; nothing else is offered.
    pub client_authentication: &'static str,
    /// Algorithm of ID tokens: `RS256`, `PS256`, `ES256` or `EdDSA`.
    pub algorithm: &'static str,
    /// Life of access tokens.
    pub access_token_seconds: u32,
    /// Life of ID tokens.
    pub id_token_seconds: u32,
    /// Life of refresh tokens.
    pub refresh_token_seconds: u32,
    /// Give refresh tokens at all.
    pub refresh_tokens: bool,
    /// Each refresh token can be used once.
    pub rotate_refresh_tokens: bool,
    /// Refuse logins without PKCE.
    pub pkce_required: bool,
    /// ID tokens have no claims about the person but `sub`.
    pub claims_in_userinfo_only: bool,
    /// Userinfo answers are JWTs.
    pub signed_userinfo: bool,
    /// Claims of the only account.
    pub account: Value,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            client_id: "proxy".to_owned(),
            client_secret: Some("a secret with spaces & signs: %+/".to_owned()),
            client_authentication: "client_secret_basic",
            algorithm: "RS256",
            access_token_seconds: 3600,
            id_token_seconds: 3600,
            refresh_token_seconds: 86400,
            refresh_tokens: true,
            rotate_refresh_tokens: true,
            pkce_required: true,
            claims_in_userinfo_only: false,
            signed_userinfo: false,
            account: json!({
                "sub": "user-1",
                "email": "alice@example.com",
                "email_verified": true,
                "preferred_username": "alice",
                "groups": ["staff", "admins"],
            }),
        }
    }
}

/// A running provider. Every redirect URL on the loopback address is allowed.
#[derive(Debug)]
pub struct Provider {
    /// Port on 127.0.0.1.
    pub port: u16,
    settings: Value,
    process: Option<Process>,
    dir: TempDir,
}

impl Provider {
    /// Starts a provider and waits until it listens.
    ///
    /// # Panics
    /// When Node or npm is missing or it does not come up.
    #[must_use]
    pub fn start(settings: &Settings) -> Self {
        let mut provider = Self::stopped(settings);
        provider.resume();
        provider
    }

    /// A provider that is down but knows its address.
    ///
    /// # Panics
    /// When there is no place for its files.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the way a test fails")]
    pub fn stopped(settings: &Settings) -> Self {
        let port = free_port();
        let settings = json!({
            "port": port,
            "clientId": settings.client_id,
            "clientSecret": settings.client_secret,
            "clientAuthentication": settings.client_authentication,
            "algorithm": settings.algorithm,
            "accessTokenSeconds": settings.access_token_seconds,
            "idTokenSeconds": settings.id_token_seconds,
            "refreshTokenSeconds": settings.refresh_token_seconds,
            "refreshTokens": settings.refresh_tokens,
            "rotateRefreshTokens": settings.rotate_refresh_tokens,
            "pkceRequired": settings.pkce_required,
            "claimsInUserinfoOnly": settings.claims_in_userinfo_only,
            "signedUserinfo": settings.signed_userinfo,
            "account": settings.account,
        });
        Self { port, settings, process: None, dir: TempDir::new().expect("a temporary folder") }
    }

    /// Ends it. What it knew is gone.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts it at its address.
    ///
    /// # Panics
    /// As [`Provider::start`].
    #[expect(clippy::panic, reason = "the way a test fails")]
    pub fn resume(&mut self) {
        let home = installed();
        let mut command = Command::new("node");
        command.current_dir(&home).arg("server.mjs").arg(self.settings.to_string());
        let log = self.dir.path().join("provider.log");
        let mut process = Process::start(command, log, "install it with: apt-get install nodejs");
        for _ in 0..600 {
            if process.output().contains("ready") {
                self.process = Some(process);
                return;
            }
            if let Some(code) = process.exit_code() {
                panic!("the provider ended with {code}:\n{}", process.output());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the provider is not ready within 30 s:\n{}", process.output());
    }

    /// What it calls itself.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How often `path` was asked for, for example `/token`.
    #[must_use]
    pub fn count(&self, path: &str) -> u64 {
        self.admin("counts", &Value::Null).get(path).and_then(Value::as_u64).unwrap_or(0)
    }

    /// From now on the account has these claims.
    pub fn set_account(&self, claims: &Value) {
        self.admin("account", claims);
    }

    /// From now on these paths answer with these statuses: `{"/token": 503}`; `{}` ends all outages.
    pub fn set_outage(&self, paths: &Value) {
        self.admin("outage", paths);
    }

    /// Replaces all signing keys.
    pub fn replace_keys(&self) {
        self.admin("new-keys", &Value::Null);
    }

    /// Makes every token and grant that was given invalid.
    pub fn revoke_all(&self) {
        self.admin("revoke", &Value::Null);
    }

    /// What it has printed.
    #[must_use]
    pub fn output(&self) -> String {
        self.process.as_ref().map(Process::output).unwrap_or_default()
    }

    #[expect(clippy::expect_used, reason = "the way a test fails")]
    fn admin(&self, what: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream =
            TcpStream::connect(("127.0.0.1", self.port)).expect("the provider listens");
        let length = body.len();
        write!(
            stream,
            "POST /admin/{what} HTTP/1.0\r\nHost: admin\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .expect("the provider reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the provider answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        assert!(head.contains(" 200 "), "{answer}\n{}", self.output());
        serde_json::from_str(body).expect("JSON")
    }
}

/// The folder with the server and its packages; installed by the first test that needs it.
#[expect(clippy::expect_used, reason = "the way a test fails")]
fn installed() -> PathBuf {
    let source = root().join("tests/provider");
    let home = root().join("target/provider");
    fs::create_dir_all(&home).expect("target/ can be written");
    let lock = File::create(home.join(".lock")).expect("target/ can be written");
    lock.lock().expect("a file lock");
    let differs = |name: &str| fs::read(source.join(name)).ok() != fs::read(home.join(name)).ok();
    let stale = !home.join("node_modules/.package-lock.json").exists()
        || FILES.iter().take(2).any(|name| differs(name));
    for name in FILES.iter().filter(|name| differs(name)) {
        // Renamed into place: a server that starts just now must not read half a file.
        let new = home.join(format!(".{name}.new"));
        fs::copy(source.join(name), &new).expect("target/ can be written");
        fs::rename(&new, home.join(name)).expect("target/ can be written");
    }
    if stale {
        install(&home);
    }
    home
}

#[expect(clippy::expect_used, reason = "the way a test fails")]
fn install(home: &Path) {
    let status = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"])
        .current_dir(home)
        .status()
        .expect("npm is missing: install it with: apt-get install nodejs npm");
    if !status.success() {
        // Half an installation must not pass for a whole one.
        let _ = fs::remove_dir_all(home.join("node_modules"));
    }
    assert!(status.success(), "npm ci in {} failed; is a registry reachable?", home.display());
}
