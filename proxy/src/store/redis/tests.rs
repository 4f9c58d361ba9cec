//! Sessions in a real Redis, and Redis at its worst.

use super::fixture::RedisServer;
use crate::cookie::RequestCookies;
use crate::session::Token;
use crate::store::tests::{browser, config, load, logged_in, parts, redis_config, session, store};
use crate::store::{Found, LoadError, Outage, Parts, Session, Store, StoreError};
use http::HeaderMap;
use redis::AsyncCommands;
use std::time::Duration;
use tokio::time::Instant;
use zeroize::Zeroizing;

fn refused(result: &Result<Option<Found>, LoadError>) -> bool {
    matches!(result, Err(LoadError::Invalid(_)))
}

fn unavailable(result: &Result<Option<Found>, LoadError>) -> bool {
    matches!(result, Err(LoadError::Unavailable(_)))
}

async fn keys(server: &RedisServer) -> Vec<String> {
    server.client().await.keys("*").await.unwrap()
}

#[tokio::test]
async fn a_session_is_kept_in_redis_and_the_cookie_holds_a_ticket() {
    let server = RedisServer::start();
    let store = store(Some(&server.url()));
    assert_eq!(store.ready().await, Ok(()));
    let headers = logged_in(&store, &session()).await;
    let found = load(&store, &headers).await.unwrap().unwrap();
    assert_eq!(*found.session, session());

    let id = found.ticket.unwrap().id().to_owned();
    assert_eq!(keys(&server).await, std::slice::from_ref(&id));
    let (name, number) = id.rsplit_once('-').unwrap();
    assert_eq!(name, "_oauth2_proxy");
    assert!(number.len() == 32 && number.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let mut client = server.client().await;
    let left: i64 = client.pttl(&id).await.unwrap();
    assert!((3_590_000..=3_600_000).contains(&left), "{left}");
    let value: Vec<u8> = client.get(&id).await.unwrap();
    assert!(!value.windows(5).any(|part| part == b"acces"), "nothing readable is stored");
}

#[tokio::test]
async fn a_session_without_end_is_kept_without_one() {
    let server = RedisServer::start();
    let mut config = config(Some(redis_config()));
    config.lifetime = proxy_config::Duration::ZERO;
    let store = Store::compile(&config, parts(Some(&server.url()))).unwrap();
    logged_in(&store, &session()).await;
    let keys = keys(&server).await;
    assert_eq!(server.client().await.pttl::<_, i64>(&keys[0]).await.unwrap(), -1);
}

#[tokio::test]
async fn every_login_gets_a_new_ticket_and_removes_the_old_record() {
    let server = RedisServer::start();
    let store = store(Some(&server.url()));
    let first = logged_in(&store, &session()).await;
    let lines = store.save(&session(), &RequestCookies::of(&first), "app.example").await.unwrap();
    let second = browser(&lines);
    assert!(
        refused(&load(&store, &first).await),
        "the ticket from before the login is worth nothing"
    );
    assert!(load(&store, &second).await.unwrap().is_some());
    assert_eq!(keys(&server).await.len(), 1);
}

#[tokio::test]
async fn signing_out_removes_the_record_and_clears_the_cookie() {
    let server = RedisServer::start();
    let store = store(Some(&server.url()));
    let headers = logged_in(&store, &session()).await;
    let (lines, result) = store.clear(&RequestCookies::of(&headers), "app.example").await;
    assert_eq!(result, Ok(()));
    assert_eq!(lines.len(), 1);
    assert!(lines[0].as_str().starts_with("_oauth2_proxy=; Path=/; Max-Age=0"));
    assert!(keys(&server).await.is_empty());
    assert!(refused(&load(&store, &headers).await));
}

#[tokio::test]
async fn a_refresh_keeps_the_ticket_and_never_brings_back_a_session_that_was_signed_out() {
    let server = RedisServer::start();
    let store = store(Some(&server.url()));
    let headers = logged_in(&store, &session()).await;
    let found = load(&store, &headers).await.unwrap().unwrap();
    let renewed = Session { access_token: Some(Token::new("access-1")), ..session() };
    assert_eq!(store.renew(&renewed, found.ticket.as_ref()).await, Ok(true));
    assert_eq!(*load(&store, &headers).await.unwrap().unwrap().session, renewed);
    store.remove(found.ticket.as_ref()).await.unwrap();
    assert_eq!(store.renew(&renewed, found.ticket.as_ref()).await, Ok(false));
    assert!(keys(&server).await.is_empty());
}

#[tokio::test]
async fn records_that_we_did_not_write_are_refused_in_bounded_memory() {
    let server = RedisServer::start();
    let store = store(Some(&server.url()));
    let headers = logged_in(&store, &session()).await;
    let id = keys(&server).await.remove(0);
    let mut client = server.client().await;
    let good: Vec<u8> = client.get(&id).await.unwrap();
    let huge = vec![1_u8; 16 << 20];
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for value in
        [&b""[..], b"x", b"\x01", &[1; 12], &[1; 29], &good[..good.len() - 1], &flipped, &huge]
    {
        client.set::<_, _, ()>(&id, value).await.unwrap();
        assert!(refused(&load(&store, &headers).await), "{} bytes", value.len());
    }
    client.del::<_, ()>(&id).await.unwrap();
    client.lpush::<_, _, ()>(&id, "a list").await.unwrap();
    assert!(refused(&load(&store, &headers).await), "a value of another type");
    client.del::<_, ()>(&id).await.unwrap();
    client.set::<_, _, ()>(&id, good).await.unwrap();
    assert!(load(&store, &headers).await.unwrap().is_some());
}

#[tokio::test]
async fn a_record_is_worth_nothing_under_another_ticket() {
    let server = RedisServer::start();
    let store = store(Some(&server.url()));
    let mine = logged_in(&store, &session()).await;
    let my_id = keys(&server).await.remove(0);
    let other = Session { provider: "main".to_owned(), ..session() };
    logged_in(&store, &other).await;
    let mut client = server.client().await;
    let other_id = keys(&server).await.into_iter().find(|id| *id != my_id).unwrap();
    let value: Vec<u8> = client.get(&other_id).await.unwrap();
    client.set::<_, _, ()>(&my_id, value).await.unwrap();
    assert!(refused(&load(&store, &mine).await));
}

#[tokio::test]
async fn a_session_that_could_not_be_read_is_not_written() {
    let server = RedisServer::start();
    let store = store(Some(&server.url()));
    let none = HeaderMap::new();
    let large = Session { id_token: Some(Token::new("t".repeat(1 << 20))), ..session() };
    let saved = store.save(&large, &RequestCookies::of(&none), "h").await;
    assert!(matches!(saved, Err(StoreError::TooLarge(_))), "{saved:?}");
    assert_eq!(keys(&server).await.len(), 0);
    let headers = logged_in(&store, &session()).await;
    let ticket = load(&store, &headers).await.unwrap().unwrap().ticket;
    let renewed = store.renew(&large, ticket.as_ref()).await;
    assert!(matches!(renewed, Err(StoreError::TooLarge(_))), "{renewed:?}");
    let kept = load(&store, &headers).await.unwrap().unwrap().session;
    assert_eq!(kept.id_token.as_ref().map(Token::as_str), Some("id-0"), "the old one stays");
    let most = Session { id_token: Some(Token::new("t".repeat((1 << 20) - 1024))), ..session() };
    let headers = logged_in(&store, &most).await;
    assert!(load(&store, &headers).await.unwrap().is_some());
}

#[tokio::test]
async fn a_dead_redis_is_unavailable_and_comes_back_by_itself() {
    let mut server = RedisServer::start();
    let store = store(Some(&server.url()));
    let headers = logged_in(&store, &session()).await;
    server.kill();
    assert!(unavailable(&load(&store, &headers).await));
    assert!(matches!(store.ready().await, Err(Outage::Redis(_))));
    let none = HeaderMap::new();
    assert!(store.save(&session(), &RequestCookies::of(&none), "h").await.is_err());
    let (lines, result) = store.clear(&RequestCookies::of(&headers), "h").await;
    assert_eq!(lines.len(), 1, "the browser forgets the session all the same");
    assert!(result.is_err());

    server.restart();
    let deadline = Instant::now() + Duration::from_secs(10);
    while store.ready().await.is_err() {
        assert!(Instant::now() < deadline, "no connection though Redis is back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(refused(&load(&store, &headers).await), "it came back empty");
    assert!(load(&store, &logged_in(&store, &session()).await).await.unwrap().is_some());
}

#[tokio::test]
async fn a_connection_that_was_cut_is_replaced_without_an_error() {
    let server = RedisServer::start();
    let store = store(Some(&server.url()));
    let headers = logged_in(&store, &session()).await;
    for _ in 0..3 {
        let mut client = server.client().await;
        let command = redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").take();
        let _: Result<i64, _> = command.query_async(&mut client).await;
        assert!(load(&store, &headers).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_redis_that_hangs_is_given_up_in_bounded_time() {
    let server = RedisServer::start();
    let store = store(Some(&server.url()));
    let headers = logged_in(&store, &session()).await;
    server.freeze(true);
    let started = Instant::now();
    assert!(unavailable(&load(&store, &headers).await));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let started = Instant::now();
    let results = futures_util::future::join_all((0..50).map(|_| load(&store, &headers))).await;
    assert!(results.iter().all(unavailable));
    assert!(started.elapsed() < Duration::from_secs(5), "fifty requests wait no longer than one");
    server.freeze(false);
    let deadline = Instant::now() + Duration::from_secs(10);
    while unavailable(&load(&store, &headers).await) {
        assert!(Instant::now() < deadline, "no connection though Redis answers again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(load(&store, &headers).await.unwrap().is_some());
}

#[tokio::test]
async fn user_and_password_of_the_settings_replace_those_of_the_url() {
    let server = RedisServer::start_with(&[
        "--user", "kim", "on", ">right", "~*", "+@all", "--user", "default", "off",
    ]);
    let settings = |user: Option<&str>, password: Option<&str>, url: &str| {
        let redis = proxy_config::Redis { username: user.map(str::to_owned), ..redis_config() };
        let password = password.map(|text| Zeroizing::new(text.to_owned()));
        Store::compile(&config(Some(redis)), Parts { redis_password: password, ..parts(Some(url)) })
            .unwrap()
    };
    let port = server.port();
    assert!(
        settings(None, None, &format!("redis://kim:right@127.0.0.1:{port}/2"))
            .ready()
            .await
            .is_ok()
    );
    let wrong = format!("redis://nobody:wrong@127.0.0.1:{port}");
    assert!(settings(Some("kim"), Some("right"), &wrong).ready().await.is_ok());
    let error = settings(None, None, &wrong).ready().await.unwrap_err().to_string();
    assert!(!error.contains("wrong:") && !error.contains(":wrong"), "{error}");
}

#[tokio::test]
async fn a_unix_socket_is_a_server_too() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("redis.sock");
    let _server = RedisServer::start_with(&["--unixsocket", socket.to_str().unwrap()]);
    // Redis listens on its port, which was waited for, a moment before it makes the socket.
    let there = async {
        while !socket.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), there).await.unwrap();
    let store = store(Some(&format!("unix://{}", socket.display())));
    let headers = logged_in(&store, &session()).await;
    assert!(load(&store, &headers).await.unwrap().is_some());
}

#[tokio::test]
async fn a_url_that_names_the_newer_protocol_is_served_with_the_older() {
    let server = RedisServer::start();
    let store = store(Some(&format!("{}/?protocol=3", server.url())));
    assert_eq!(store.ready().await, Ok(()));
}

#[tokio::test]
async fn tls_is_checked_against_the_given_roots_unless_told_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let issued =
        rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])
            .unwrap();
    std::fs::write(path("cert.pem"), issued.cert.pem()).unwrap();
    std::fs::write(path("key.pem"), issued.signing_key.serialize_pem()).unwrap();
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let arguments =
        ["--tls-port", "{port}", "--port", "0", "--tls-cert-file", &cert, "--tls-key-file", &key];
    let arguments =
        [&arguments[..], &["--tls-auth-clients", "no", "--tls-ca-cert-file", &cert]].concat();
    let server = RedisServer::start_with(&arguments);
    let connect = |ca: Option<&str>, insecure: bool, scheme: &str| {
        let redis = proxy_config::Redis {
            ca_file: ca.map(Into::into),
            insecure_skip_verify: insecure,
            ..redis_config()
        };
        let url = format!("{scheme}://localhost:{}", server.port());
        Store::compile(&config(Some(redis)), parts(Some(&url))).unwrap()
    };
    assert!(
        connect(None, false, "rediss").ready().await.is_err(),
        "nobody vouches for the certificate"
    );
    assert_eq!(connect(None, true, "rediss").ready().await, Ok(()));
    assert_eq!(connect(Some(&cert), false, "rediss").ready().await, Ok(()));
    assert_eq!(connect(Some(&cert), false, "redis").ready().await, Ok(()), "roots switch TLS on");
    assert_eq!(connect(None, true, "redis").ready().await, Ok(()), "so does a wish about TLS");
}

#[tokio::test]
async fn settings_that_can_not_work_are_refused_by_name_and_without_the_password() {
    let compile = |redis: proxy_config::Redis, url: &str| {
        Store::compile(&config(Some(redis)), parts(Some(url))).err().unwrap().to_string()
    };
    assert!(compile(redis_config(), "").contains("redis.url"));
    for url in ["http://user:hunter2@h", "hunter2", "redis://user:hunter2@h:99999"] {
        let error = compile(redis_config(), url);
        assert!(error.contains("redis.url") && !error.contains("hunter2"), "{error}");
    }
    let with_ca = |path: &str| proxy_config::Redis { ca_file: Some(path.into()), ..redis_config() };
    assert!(compile(with_ca("/does/not/exist"), "rediss://h").contains("/does/not/exist"));
    let error = compile(with_ca(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")), "rediss://h");
    assert!(error.contains("caFile") && error.contains("PEM"), "{error}");
}

#[tokio::test]
async fn equal_settings_share_a_connection_across_reloads() {
    let server = RedisServer::start();
    let first = store(Some(&server.url()));
    first.ready().await.unwrap();
    let next = Parts { previous: Some(&first), ..parts(Some(&server.url())) };
    let second = Store::compile(&config(Some(redis_config())), next).unwrap();
    second.ready().await.unwrap();
    let list: String =
        redis::cmd("CLIENT").arg("LIST").query_async(&mut server.client().await).await.unwrap();
    assert_eq!(list.lines().count(), 2, "ours and the test's: {list}");
}

#[tokio::test]
async fn the_rights_that_the_documents_name_are_enough_and_each_is_missed_by_readiness() {
    let rights = ["+get", "+set", "+del", "+eval"];
    let server = |rights: &[&str]| {
        let head = ["--user", "default", "on", "nopass", "~*"];
        RedisServer::start_with(&[&head[..], rights].concat())
    };
    let enough = server(&rights);
    let store_there = store(Some(&enough.url()));
    assert_eq!(store_there.ready().await, Ok(()));
    let headers = logged_in(&store_there, &session()).await;
    let found = load(&store_there, &headers).await.unwrap().unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    let lease = store_there.lease(found.ticket.as_ref(), deadline).await.unwrap().unwrap();
    // Longer than it lives without being extended.
    lease.hold(tokio::time::sleep(Duration::from_millis(2500))).await;
    assert!(store_there.lease(found.ticket.as_ref(), Instant::now()).await.unwrap().is_none());
    lease.release().await;
    assert!(store_there.lease(found.ticket.as_ref(), Instant::now()).await.unwrap().is_some());
    for missing in rights {
        let others: Vec<&str> = rights.into_iter().filter(|right| *right != missing).collect();
        let poor = server(&others);
        let error = store(Some(&poor.url())).ready().await.unwrap_err().to_string();
        // Scripts need the right to what they call.
        let named = [missing.trim_start_matches('+').to_uppercase(), "EVAL".to_owned()];
        assert!(named.iter().any(|command| error.contains(command)), "{missing}: {error}");
    }
}

#[tokio::test]
async fn a_replica_is_not_ready() {
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", "1"]);
    let error = store(Some(&replica.url())).ready().await.unwrap_err().to_string();
    assert!(error.contains("SET"), "{error}");
}

#[tokio::test]
async fn readiness_writes_once_a_second_however_often_it_is_asked() {
    let server = RedisServer::start();
    let store = store(Some(&server.url()));
    for _ in 0..1000 {
        assert_eq!(store.ready().await, Ok(()));
    }
    let info: String = redis::cmd("INFO")
        .arg("commandstats")
        .query_async(&mut server.client().await)
        .await
        .unwrap();
    let sets = info.lines().find_map(|line| line.strip_prefix("cmdstat_set:calls=")).unwrap();
    let sets: u32 = sets.split(',').next().unwrap().parse().unwrap();
    assert!(sets < 20, "{sets}");
    assert!(keys(&server).await.is_empty(), "nothing stays behind");
}

#[tokio::test]
async fn a_server_that_goes_away_is_not_ready_at_once() {
    let server = RedisServer::start();
    let store = store(Some(&server.url()));
    assert_eq!(store.ready().await, Ok(()));
    drop(server);
    assert!(store.ready().await.is_err());
}

/// A server that takes connections, answers each command with `reply`, and then sends no more.
async fn odd_server(reply: Option<Vec<u8>>) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let reply = reply.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 4096];
                while stream.read(&mut buffer).await.is_ok_and(|length| length > 0) {
                    match &reply {
                        Some(reply) if stream.write_all(reply).await.is_err() => break,
                        _ => {}
                    }
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn a_reply_without_bound_is_not_taken_in() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    const PIECE: usize = 16 * 1000;
    // More than the buffers of two sockets hold.
    const MOST: usize = 64 << 20;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        stream.write_all(b"$1000000000\r\n").await.unwrap();
        let mut taken = 0;
        while taken < MOST && stream.write_all(&[b'x'; PIECE]).await.is_ok() {
            taken += PIECE;
        }
        taken
    });
    assert!(matches!(store(Some(&url)).ready().await, Err(Outage::Redis(_))));
    let taken = server.await.unwrap();
    assert!(taken < MOST, "{taken} bytes were taken: it is not refused at its first line");
}

#[tokio::test]
async fn a_server_that_says_nothing_holds_up_the_first_requests_only() {
    let store = store(Some(&odd_server(None).await));
    let real = RedisServer::start();
    let headers = logged_in(&crate::store::tests::store(Some(&real.url())), &session()).await;
    assert!(unavailable(&load(&store, &headers).await));
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        let started = Instant::now();
        assert!(unavailable(&load(&store, &headers).await));
        assert!(started.elapsed() < Duration::from_millis(1900), "{:?}", started.elapsed());
        tokio::time::sleep(Duration::from_millis(16)).await;
    }
}

#[tokio::test]
async fn loading_a_session_is_one_command() {
    let server = RedisServer::start();
    let store = store(Some(&server.url()));
    let headers = logged_in(&store, &session()).await;
    let mut client = server.client().await;
    redis::cmd("CONFIG").arg("RESETSTAT").exec_async(&mut client).await.unwrap();
    for _ in 0..100 {
        assert!(load(&store, &headers).await.unwrap().is_some());
    }
    let info: String = redis::cmd("INFO").arg("stats").query_async(&mut client).await.unwrap();
    let count = info.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
    let count: u32 = count.unwrap().trim().parse().unwrap();
    assert!((100..=102).contains(&count), "{count}");
}
