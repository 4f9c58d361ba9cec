//! What makes us call the provider, or check what it has signed.

use super::{BOUND, ask, meanwhile, protected};
use crate::{PATIENCE, Volume, exchange, key_file};
use base64_simd::URL_SAFE_NO_PAD as BASE64;
use serde_json::json;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A provider whose token endpoint takes its time and refuses. It ends with the process of the test.
struct Provider {
    address: SocketAddr,
    key_sets: AtomicUsize,
    token_calls: AtomicUsize,
    most: AtomicUsize,
}

impl Provider {
    fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (key_sets, token_calls, most) = Default::default();
        let provider = Arc::new(Self { address, key_sets, token_calls, most });
        let serving = Arc::clone(&provider);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let provider = Arc::clone(&serving);
                std::thread::spawn(move || provider.serve(&stream));
            }
        });
        provider
    }

    fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    fn serve(&self, mut stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            (reader.read_line(&mut head).ok()? > 0).then_some(())?;
        }
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()
        });
        reader.read_exact(&mut vec![0; length.unwrap_or(0)]).ok()?;
        let (status, body) = match head.split(' ').nth(1)? {
            "/keys" => (200, self.keys()),
            "/token" => (400, self.token()),
            _ => (200, self.discovery()),
        };
        let body = body.to_string();
        write!(
            stream,
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .ok()
    }

    fn discovery(&self) -> serde_json::Value {
        let issuer = self.issuer();
        json!({
            "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        })
    }

    /// Four keys, with which nobody has signed anything.
    fn keys(&self) -> serde_json::Value {
        self.key_sets.fetch_add(1, Ordering::SeqCst);
        let key = |number: u8| {
            let modulus: Vec<u8> = (0..=255).map(|byte: u8| byte ^ number | 0xc1).collect();
            json!({"kty": "RSA", "alg": "RS256", "use": "sig", "kid": number.to_string(),
                "n": BASE64.encode_to_string(modulus), "e": "AQAB"})
        };
        json!({"keys": [key(2), key(4), key(6), key(8)]})
    }

    fn token(&self) -> serde_json::Value {
        let now = self.token_calls.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(700));
        self.token_calls.fetch_sub(1, Ordering::SeqCst);
        json!({"error": "invalid_grant"})
    }
}

#[test]
fn tokens_that_nobody_signed_cost_their_senders_and_few_key_sets() {
    let provider = Provider::start();
    let (_folder, key) = key_file();
    let mut config = protected(&key);
    config["providers"][0]["issuerUrl"] = provider.issuer().into();
    config["access"]["bearer"] = json!({"loginFallback": false});
    let volume = Volume::new(&config);
    let proxy = volume.start(&[]);
    proxy.until(|status| status["provider"]["ready"] == true);
    let (address, admin) = (proxy.address("http"), proxy.address("admin"));
    let claims = json!({"iss": provider.issuer(), "aud": "app", "sub": "x", "exp": 9_999_999_999_u64,
        "more": "x".repeat(15_000)});
    let claims = BASE64.encode_to_string(claims.to_string());
    let token = |number: usize| {
        // No key, one that is there, or one that nobody knows and that is looked for.
        let head = match number % 3 {
            0 => json!({"alg": "RS256"}),
            1 => json!({"alg": "RS256", "kid": "2"}),
            _ => json!({"alg": "RS256", "kid": number}),
        };
        let head = BASE64.encode_to_string(
            head.to_string().replace(&format!(":{number}"), &format!(":\"{number}\"")),
        );
        let signature = BASE64.encode_to_string(format!("{number:0256}"));
        format!("Authorization: Bearer {head}.{claims}.{signature}\r\n")
    };
    meanwhile(address, || {
        std::thread::scope(|scope| {
            for thread in 0..4_usize {
                let token = &token;
                scope.spawn(move || {
                    for count in 0..150 {
                        assert_eq!(ask(address, "/app", &token(thread * 1000 + count)).0, 403);
                    }
                });
            }
            for _ in 0..20 {
                let (status, took) = ask(admin, "/livez", "");
                assert!(status == 200 && took < BOUND, "{status} after {took:?}");
            }
        });
    });
    let line = proxy.line("a bearer token is refused");
    let checked = ["its signature is not the provider's", "publishes no key"];
    assert!(checked.iter().any(|reason| line.contains(reason)), "{line}");
    let key_sets = provider.key_sets.load(Ordering::SeqCst);
    assert!(key_sets <= 5, "the keys were fetched {key_sets} times");
}

/// Begins a login, and comes back from it as somebody would who has a code.
fn come_back(address: SocketAddr) {
    let send = |target: &str, header: &str| {
        let answer = exchange(address, &format!("GET {target}"), header, PATIENCE * 2).unwrap();
        String::from_utf8(answer).unwrap()
    };
    let value = |answer: &str, name: &str| {
        let lines = answer.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        found.next().unwrap_or_else(|| panic!("no {name} in {answer}")).1.to_owned()
    };
    let start = send("/oauth2/start", "");
    let (location, cookie) = (value(&start, "location"), value(&start, "set-cookie"));
    let state = location.split("state=").nth(1).unwrap().split('&').next().unwrap();
    let answer = send(
        &format!("/oauth2/callback?code=x&state={state}"),
        &format!("Cookie: {}\r\n", cookie.split(';').next().unwrap()),
    );
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
}

#[test]
fn logins_of_strangers_leave_the_provider_room() {
    let provider = Provider::start();
    let (_folder, key) = key_file();
    let mut config = protected(&key);
    config["providers"][0]["issuerUrl"] = provider.issuer().into();
    config["providers"][0]["clientSecret"] = json!({"file": key});
    config["session"]["cookie"] = json!({"secure": false});
    let volume = Volume::new(&config);
    let proxy = volume.start(&[]);
    proxy.until(|status| status["provider"]["ready"] == true);
    let (address, admin) = (proxy.address("http"), proxy.address("admin"));
    meanwhile(address, || {
        std::thread::scope(|scope| {
            for _ in 0..100 {
                scope.spawn(move || come_back(address));
            }
            for _ in 0..20 {
                let (status, took) = ask(admin, "/livez", "");
                assert!(status == 200 && took < BOUND, "{status} after {took:?}");
            }
        });
    });
    let most = provider.most.load(Ordering::SeqCst);
    assert!((2..=24).contains(&most), "{most} token calls at a time");
}

#[test]
fn a_token_that_was_refused_is_not_checked_again_at_once() {
    let provider = Provider::start();
    let (_folder, key) = key_file();
    let mut config = protected(&key);
    config["providers"][0]["issuerUrl"] = provider.issuer().into();
    config["access"]["bearer"] = json!({"loginFallback": false});
    // Lines about refused tokens are told by each worker, one a second, and then how many were left out.
    config["limits"] = json!({"workers": 1});
    let volume = Volume::new(&config);
    let proxy = volume.start(&[]);
    proxy.until(|status| status["provider"]["ready"] == true);
    let address = proxy.address("http");
    let claims =
        json!({"iss": provider.issuer(), "aud": "app", "sub": "x", "exp": 9_999_999_999_u64});
    let head = BASE64.encode_to_string(json!({"alg": "RS256", "kid": "2"}).to_string());
    let claims = BASE64.encode_to_string(claims.to_string());
    let try_it = |number: u32| {
        let signature = BASE64.encode_to_string(format!("{number:0256}"));
        let header = format!("Authorization: Bearer {head}.{claims}.{signature}\r\n");
        assert_eq!(ask(address, "/app", &header).0, 403);
    };
    let mut number = 0;
    let mut left_out = |same: bool| {
        number += 1;
        try_it(number);
        proxy.line("a bearer token is refused");
        for _ in 0..10 {
            number += u32::from(!same);
            try_it(number);
        }
        std::thread::sleep(Duration::from_millis(1100));
        number += 1;
        try_it(number);
        let line = proxy.line("a bearer token is refused");
        std::thread::sleep(Duration::from_millis(1100));
        line
    };
    let line = left_out(false);
    assert!(line.contains("left_out=10"), "{line}");
    let line = left_out(true);
    assert!(!line.contains("left_out"), "{line}");
}
