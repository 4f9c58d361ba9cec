//! The provider is reached through the proxy that the environment names, or is not.

use super::{PATIENCE, Proxy, Volume, config, exchange};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64_simd::URL_SAFE_NO_PAD as BASE64;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value as Json, json};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// A name that nobody can look up: what gets there went through the proxy, which alone knows where it is.
const HOST: &str = "issuer.invalid";
const ISSUER: &str = "https://issuer.invalid";
/// The name and password of the proxy's URL, as they are in it and as they are sent.
const CREDENTIALS: &str = "egress:hush-hush";
const SENT: &str = "Proxy-Authorization: Basic ZWdyZXNzOmh1c2gtaHVzaA==";
const ACCESS_TOKEN: &str = "an-access-token";

/// The heads, and bodies, of requests.
type Seen = Arc<Mutex<Vec<String>>>;

/// A head, and a body of the announced length.
fn read(stream: &mut impl Read) -> Option<String> {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        text.extend(byte);
    }
    let head = String::from_utf8(text).ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse().ok())?
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8(body).ok()?)
}

/// What a form or a query says.
fn value(text: &str, name: &str) -> Option<String> {
    let (_, pairs) = text.rsplit_once(['?', '\n']).unwrap_or(("", text));
    let mut pairs = url::form_urlencoded::parse(pairs.as_bytes());
    pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

/// A provider that speaks TLS. A code is the nonce of its login.
struct Issuer {
    signing: EcdsaKeyPair,
    tls: Arc<ServerConfig>,
    seen: Seen,
}

impl Issuer {
    /// Writes its certificate to `roots`.
    fn start(roots: &Path) -> (SocketAddr, Seen) {
        let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
        std::fs::write(roots, made.cert.pem()).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.unwrap())
            .unwrap();
        let signing = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Seen::default());
        let issuer = Arc::new(Self { signing, tls: Arc::new(tls), seen: Arc::clone(&seen) });
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let issuer = Arc::clone(&issuer);
                std::thread::spawn(move || issuer.serve(stream));
            }
        });
        (address, seen)
    }

    fn serve(&self, stream: TcpStream) -> Option<()> {
        let connection = ServerConnection::new(Arc::clone(&self.tls)).ok()?;
        let mut stream = StreamOwned::new(connection, stream);
        let request = read(&mut stream)?;
        let answer = match request.split(' ').nth(1)? {
            "/.well-known/openid-configuration" => json!({
                "issuer": ISSUER, "authorization_endpoint": format!("{ISSUER}/authorize"),
                "token_endpoint": format!("{ISSUER}/token"), "jwks_uri": format!("{ISSUER}/keys"),
                "userinfo_endpoint": format!("{ISSUER}/userinfo"),
                "id_token_signing_alg_values_supported": ["ES256"],
            }),
            "/keys" => {
                let (x, y) = self.signing.public_key().as_ref()[1..].split_at(32);
                let (x, y) = (BASE64.encode_to_string(x), BASE64.encode_to_string(y));
                json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", "x": x, "y": y}]})
            }
            "/token" => json!({
                "access_token": ACCESS_TOKEN, "token_type": "Bearer", "expires_in": 300,
                "id_token": self.id_token(&value(&request, "code")?),
            }),
            "/userinfo" => json!({"sub": "mara", "email": "mara@app.example"}),
            _ => Json::Null,
        };
        self.seen.lock().unwrap().push(request);
        let body = answer.to_string();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
        write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).ok()?;
        stream.conn.send_close_notify();
        stream.flush().ok()
    }

    fn id_token(&self, nonce: &str) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let claims = json!({
            "iss": ISSUER, "aud": "app", "sub": "mara", "nonce": nonce, "iat": now.as_secs(),
            "exp": now.as_secs() + 300,
        });
        let mut token = BASE64.encode_to_string(json!({"alg": "ES256", "kid": "1"}).to_string());
        write!(token, ".{}", BASE64.encode_to_string(claims.to_string())).unwrap();
        let signature = self.signing.sign(&SystemRandom::new(), token.as_bytes()).unwrap();
        write!(token, ".{}", BASE64.encode_to_string(signature)).unwrap();
        token
    }
}

/// What the proxy of the environment does with a `CONNECT`.
#[derive(Clone, Copy)]
enum Manner {
    LetsThrough(SocketAddr),
    Refuses(&'static str),
    SaysNothing,
}

/// Gives its URL, with the credentials, and what it was asked.
fn egress(manner: Manner) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{CREDENTIALS}@{}", listener.local_addr().unwrap());
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let noted = Arc::clone(&noted);
            std::thread::spawn(move || -> Option<()> {
                noted.lock().unwrap().push(read(&mut stream)?);
                match manner {
                    Manner::LetsThrough(to) => {
                        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
                        let there = TcpStream::connect(to).ok()?;
                        let (mut from, mut back) =
                            (stream.try_clone().ok()?, there.try_clone().ok()?);
                        std::thread::spawn(move || {
                            let _ = std::io::copy(&mut back, &mut stream);
                            let _ = stream.shutdown(Shutdown::Write);
                        });
                        std::io::copy(&mut from, &mut &there).ok()?;
                        there.shutdown(Shutdown::Write).ok()
                    }
                    Manner::Refuses(status) => {
                        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").ok()
                    }
                    Manner::SaysNothing => stream.read(&mut [0]).ok().map(drop),
                }
            });
        }
    });
    (url, seen)
}

/// A proxy whose provider is the issuer, in an environment, and all that it has told.
struct Started {
    folder: TempDir,
    _volume: Volume,
    proxy: Proxy,
}

impl Started {
    fn new(issuer: &str, environment: &[(&str, &str)], folder: TempDir) -> Self {
        let key = folder.path().join("key");
        std::fs::write(&key, super::KEY).unwrap();
        let mut config = config(&key, "/ping");
        config["providers"][0]["issuerUrl"] = issuer.into();
        config["providers"][0]["clientSecret"] = json!({"file": key});
        config["providers"][0]["tls"] = json!({"caFiles": [folder.path().join("roots")]});
        config["logging"] = json!({"requests": true});
        let volume = Volume::new(&config);
        let argument = format!("--generated-config={}", volume.config().display());
        let errors = std::fs::File::create(folder.path().join("errors")).unwrap();
        let proxy = Proxy::start_telling(&[argument], environment, errors);
        Self { folder, _volume: volume, proxy }
    }

    fn ask(&self, path: &str, more: &str) -> String {
        let address = self.proxy.address("http");
        let answer = exchange(address, &format!("GET {path}"), more, PATIENCE).unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// Ends it. All lines of both outputs.
    fn told(mut self) -> String {
        self.proxy.signal("TERM");
        assert_eq!(self.proxy.wait().code(), Some(0));
        let errors = std::fs::read_to_string(self.folder.path().join("errors")).unwrap();
        self.proxy.lines.iter().fold(errors, |all, line| all + &line + "\n")
    }
}

fn assert_quiet(text: &str) {
    for secret in ["hush", "ZWdyZXNz", ACCESS_TOKEN, super::KEY, "eyJ"] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}

#[test]
fn a_login_goes_through_the_proxy_that_the_environment_names_and_its_password_to_that_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (issuer, asked) = Issuer::start(&folder.path().join("roots"));
    let (url, tunnels) = egress(Manner::LetsThrough(issuer));
    let started = Started::new(ISSUER, &[("HTTPS_PROXY", &url)], folder);
    started.proxy.until(|status| status["provider"]["ready"] == true);
    let start = started.ask("/oauth2/start", "");
    let line = |name: &str| start.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let location = line("Location: ").to_owned();
    let cookie = line("Set-Cookie: ").split(';').next().unwrap();
    assert!(location.starts_with(&format!("{ISSUER}/authorize?")), "{location}");
    let (state, nonce) = (value(&location, "state").unwrap(), value(&location, "nonce").unwrap());
    let state = url::form_urlencoded::byte_serialize(state.as_bytes()).collect::<String>();
    let back = started.ask(
        &format!("/oauth2/callback?code={nonce}&state={state}"),
        &format!("Cookie: {cookie}\r\n"),
    );
    assert!(back.starts_with("HTTP/1.1 302 "), "{back}");
    assert!(back.contains("Set-Cookie: _oauth2_proxy="), "{back}");
    let asked = asked.lock().unwrap().clone();
    for path in ["/.well-known/openid-configuration", "/keys", "/token", "/userinfo"] {
        let to = |request: &&String| request.split(' ').nth(1) == Some(path);
        assert_eq!(asked.iter().filter(to).count(), 1, "{path}: {asked:?}");
    }
    assert!(asked.iter().all(|request| !request.to_lowercase().contains("proxy-auth")));
    let tunnels = tunnels.lock().unwrap().clone();
    assert_eq!(tunnels.len(), asked.len());
    for tunnel in tunnels {
        assert!(tunnel.starts_with(&format!("CONNECT {HOST}:443 HTTP/1.1\r\n")), "{tunnel}");
        assert!(tunnel.to_lowercase().contains(&SENT.to_lowercase()), "{tunnel}");
    }
    assert_quiet(&started.told());
}

#[test]
fn a_proxy_that_does_not_let_through_is_told_without_its_password_and_leaves_readiness_on() {
    for (manner, reason) in [
        (Manner::Refuses("407 Proxy Authentication Required"), "proxy authorization required"),
        (Manner::Refuses("403 Forbidden"), "tunnel error: unsuccessful"),
        (Manner::SaysNothing, "did not answer within"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        Issuer::start(&folder.path().join("roots"));
        let (url, tunnels) = egress(manner);
        let started = Started::new(ISSUER, &[("https_proxy", &url)], folder);
        let (status, took) = started.proxy.until(|status| status["provider"]["error"].is_string());
        assert!(took.as_secs() < 15, "{took:?}");
        let error = status["provider"]["error"].as_str().unwrap();
        assert!(error.contains(ISSUER) && error.contains(reason), "{error}");
        assert_eq!(status["provider"]["impossible"], false, "{status}");
        assert_eq!(started.proxy.get("http", "/ready").0, 200);
        assert!(!tunnels.lock().unwrap().is_empty());
        let start = started.ask("/oauth2/start", "");
        assert!(start.starts_with("HTTP/1.1 503 "), "{start}");
        assert_quiet(&start);
        assert_quiet(&status.to_string());
        assert_quiet(&started.told());
    }
}

#[test]
fn a_proxy_is_not_asked_for_what_the_environment_excepts_or_what_is_on_this_machine() {
    for (issuer, excepted) in [
        (ISSUER, "other.example,.invalid"),
        (ISSUER, "issuer.invalid"),
        ("https://127.0.0.1:1", ""),
        ("https://localhost:1", ""),
    ] {
        let folder = tempfile::tempdir().unwrap();
        Issuer::start(&folder.path().join("roots"));
        let (url, tunnels) = egress(Manner::Refuses("403 Forbidden"));
        let environment = [("HTTPS_PROXY", &*url), ("NO_PROXY", excepted)];
        let started = Started::new(issuer, &environment, folder);
        started.proxy.until(|status| status["provider"]["error"].is_string());
        assert!(tunnels.lock().unwrap().is_empty(), "{issuer} {excepted}");
        assert_quiet(&started.told());
    }
}

/// Such a proxy is spoken to as a server is, and what it says of itself is no answer of the provider.
#[test]
fn without_tls_a_proxy_gets_the_whole_address_and_its_refusal_is_not_the_providers() {
    let folder = tempfile::tempdir().unwrap();
    Issuer::start(&folder.path().join("roots"));
    let (url, asked) = egress(Manner::Refuses("407 Proxy Authentication Required"));
    let started = Started::new("http://issuer.invalid", &[("HTTP_PROXY", &url)], folder);
    let (status, _) = started.proxy.until(|status| status["provider"]["error"].is_string());
    let asked = asked.lock().unwrap()[0].to_lowercase();
    let line = "get http://issuer.invalid/.well-known/openid-configuration http/1.1\r\n";
    assert!(asked.starts_with(line), "{asked}");
    assert!(asked.contains(&SENT.to_lowercase()), "{asked}");
    assert!(status["provider"]["error"].as_str().unwrap().contains("407"), "{status}");
    assert_eq!(status["provider"]["impossible"], false, "{status}");
    assert_quiet(&started.told());
}
