//! People, providers and stores at the worst moment: a sign-out during a refresh, two replicas with one spent token, a
//! provider that hangs, a store that goes away between the provider's answer and the write.

use super::*;
use tokio::time::Instant;

/// A session whose access token lives for another hour.
fn lively() -> Session {
    Session { expires_at: Some(now() + 60.minutes()), ..session() }
}

#[tokio::test]
async fn a_sign_out_wins_over_a_refresh_that_is_under_way() {
    for server in [None, Some(RedisServer::start())] {
        let ((process, headers), tokens) =
            (signed_in(server.as_ref(), &session()).await, Tokens::new(Answer::Rotate));
        let sign_out = async {
            tokens.called().await;
            process.sign_out(&headers).await;
            tokens.gate.add_permits(1);
        };
        let (refresh, ()) = tokio::join!(process.request(&tokens, &headers), sign_out);
        assert_eq!(access(refresh), "ended");
        for _ in 0..3 {
            assert_eq!(access(process.request(&tokens, &headers).await), "ended");
        }
        assert_eq!(tokens.calls(), 1);
        if let Some(server) = &server {
            let left: Vec<String> =
                redis::AsyncCommands::keys(&mut server.client().await, "*").await.unwrap();
            assert!(left.is_empty(), "{left:?}");
        }
    }
}

#[tokio::test]
async fn a_sign_out_with_the_new_cookie_ends_what_the_old_one_would_be_given() {
    let ((process, old), tokens) = (signed_in(None, &session()).await, Tokens::open());
    let Refresh::Renewed { set_cookies, .. } = process.request(&tokens, &old).await else {
        panic!("not renewed")
    };
    process.sign_out(&browser(&set_cookies)).await;
    assert_eq!(access(process.request(&tokens, &old).await), "ended");
    assert_eq!(tokens.calls(), 1);
}

#[tokio::test]
async fn a_sign_out_with_the_old_cookie_ends_the_renewed_session_too() {
    let ((process, old), tokens) = (signed_in(None, &session()).await, Tokens::open());
    let Refresh::Renewed { session, .. } = process.request(&tokens, &old).await else {
        panic!("not renewed")
    };
    process.sign_out(&old).await;
    let family = crate::session::Family::of(&session).unwrap();
    assert!(process.refresher.signed_out().contains(&family));
}

#[tokio::test]
async fn a_session_signed_out_while_redis_is_away_is_not_written_back_by_its_refresh() {
    let server = RedisServer::start();
    let ((process, headers), tokens) =
        (signed_in(Some(&server), &session()).await, Tokens::new(Answer::Rotate));
    let sign_out = async {
        tokens.called().await;
        server.freeze(true);
        let cookies = RequestCookies::of(&headers);
        process.refresher.signed_out().add(process.store.family(&cookies).unwrap());
        assert!(process.store.clear(&cookies, "app.example").await.1.is_err());
        server.freeze(false);
        tokens.gate.add_permits(1);
    };
    let (refresh, ()) = tokio::join!(process.request(&tokens, &headers), sign_out);
    assert_eq!(access(refresh), "ended");
    let mut client = server.client().await;
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let left: Vec<String> = redis::AsyncCommands::keys(&mut client, "*").await.unwrap();
        if left.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "{left:?}");
    }
}

#[tokio::test]
async fn two_replicas_with_one_spent_token_log_nobody_out() {
    let (one, two, tokens) = (Process::new(None), Process::new(None), Tokens::open());
    let headers = logged_in(&one.store, &lively()).await;
    assert_eq!(access(one.request(&tokens, &headers).await), "access-1");
    tokio::time::pause();
    for _ in 0..3 {
        assert_eq!(access(two.request(&tokens, &headers).await), "unchanged");
    }
    assert_eq!(tokens.calls(), 2, "the refused token is not tried by each request");
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(
        access(two.request(&tokens, &headers).await),
        "ended",
        "no newer cookie has come for a minute"
    );
}

#[tokio::test]
async fn with_an_expired_access_token_a_spent_refresh_token_is_worth_nothing_and_nothing_is_cleared()
 {
    let (one, two, tokens) = (Process::new(None), Process::new(None), Tokens::open());
    let headers = logged_in(&one.store, &session()).await;
    assert_eq!(access(one.request(&tokens, &headers).await), "access-1");
    assert_eq!(access(two.request(&tokens, &headers).await), "absent");
}

#[tokio::test]
async fn a_hanging_provider_delays_nobody_whose_session_is_alive() {
    let ((process, headers), tokens) =
        (signed_in(None, &lively()).await, Tokens::new(Answer::Rotate));
    let started = Instant::now();
    // Its token has not expired, so not even those who need it wait.
    for need in [Need::Person, Need::Tokens] {
        let refreshes = (0..20).map(|_| process.request_that_needs(need, &tokens, &headers));
        for refresh in join_all(refreshes).await {
            assert_eq!(access(refresh), "unchanged");
        }
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    // By now it is known, and nobody waits.
    let others: Vec<HeaderMap> = join_all((0..20).map(|n| {
        let other = Session { refresh_token: Some(Token::new(format!("of-{n}"))), ..lively() };
        async { logged_in(&process.store, &{ other }).await }
    }))
    .await;
    let started = Instant::now();
    for headers in &others {
        let refresh = process.request_that_needs(Need::Person, &tokens, headers).await;
        assert_eq!(access(refresh), "unchanged");
    }
    assert!(started.elapsed() < BRIEFLY, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_request_that_needs_no_session_never_waits_and_has_it_renewed_all_the_same() {
    let ((process, headers), tokens) =
        (signed_in(None, &session()).await, Tokens::new(Answer::Rotate));
    tokio::time::pause();
    let started = Instant::now();
    let refresh = process.request_that_needs(Need::Nothing, &tokens, &headers).await;
    assert_eq!(access(refresh), "unchanged");
    assert!(started.elapsed() < Duration::from_millis(10));
    tokens.gate.add_permits(1);
    land().await;
    assert_eq!(access(process.request(&tokens, &headers).await), "access-1");
    assert_eq!(tokens.calls(), 1);
}

#[tokio::test]
async fn what_came_of_a_refresh_behind_a_request_waits_for_the_next_one() {
    let ((process, headers), tokens) =
        (signed_in(None, &lively()).await, Tokens::new(Answer::Rotate));
    tokio::time::pause();
    let refresh = process.request_that_needs(Need::Person, &tokens, &headers).await;
    assert_eq!(access(refresh), "unchanged");
    tokens.gate.add_permits(1);
    land().await;
    tokio::time::advance(Duration::from_mins(50)).await;
    assert_eq!(access(process.request(&tokens, &headers).await), "access-1");
    assert_eq!(tokens.calls(), 1, "the refresh token that is spent is not tried");
}

#[tokio::test]
async fn a_provider_that_is_down_is_asked_by_one_request_at_a_time() {
    let (process, tokens) = (Process::new(None), Tokens::new(Answer::Down));
    tokens.gate.add_permits(1000);
    for n in 0..50 {
        let other = Session { refresh_token: Some(Token::new(format!("of-{n}"))), ..lively() };
        let headers = logged_in(&process.store, &other).await;
        assert_eq!(access(process.request(&tokens, &headers).await), "unchanged");
    }
    assert_eq!(tokens.calls(), 2);
}

#[tokio::test]
async fn past_the_time_of_grace_a_session_needs_its_provider_and_is_not_lost() {
    for server in [None, Some(RedisServer::start())] {
        let mut process = Process::new(server.as_ref());
        let mut config = crate::store::tests::config(
            server.as_ref().map(|_| crate::store::tests::redis_config()),
        );
        config.refresh_grace = proxy_config::Duration::from_secs(600);
        let url = server.as_ref().map(RedisServer::url);
        let parts = crate::store::tests::parts(url.as_deref());
        process.store = Arc::new(Store::compile(&config, parts).unwrap());
        let down = Tokens::new(Answer::Down);
        down.gate.add_permits(1000);
        let headers = logged_in(&process.store, &session()).await;
        assert_eq!(access(process.request(&down, &headers).await), "unchanged");
        // Due since 60 s after the login.
        process.clock.advance(SignedDuration::from_secs(358));
        assert_eq!(access(process.request(&down, &headers).await), "unchanged");
        process.clock.advance(SignedDuration::from_secs(2));
        assert_eq!(access(process.request(&down, &headers).await), "overdue");
        let up = Tokens::open();
        let other = Process { store: Arc::clone(&process.store), ..Process::new(server.as_ref()) };
        other.clock.advance(SignedDuration::from_secs(400));
        assert_eq!(access(other.request(&up, &headers).await), "access-1", "the cookie is good");
    }
}

#[tokio::test]
async fn a_refresh_does_not_take_the_cookie_beyond_the_absolute_lifetime() {
    let (process, tokens) = (Process::new(None), Tokens::open());
    let mut config = crate::store::tests::config(None);
    config.absolute = proxy_config::Duration::from_secs(1000);
    let parts = crate::store::tests::parts(None);
    let process = Process { store: Arc::new(Store::compile(&config, parts).unwrap()), ..process };
    let headers = logged_in(&process.store, &session()).await;
    let Refresh::Renewed { set_cookies, .. } = process.request(&tokens, &headers).await else {
        panic!("it was not renewed")
    };
    // The login was 301 seconds ago.
    let line = set_cookies.first().unwrap().as_str();
    assert!(line.contains("; Max-Age=699;"), "{line}");
}

#[tokio::test]
async fn a_session_that_was_idle_for_long_is_refreshed_before_it_is_used() {
    let (process, tokens) = (Process::new(None), Tokens::new(Answer::Rotate));
    let lasting = Session { expires_at: Some(now() + 24.hours()), ..session() };
    let mut config = crate::store::tests::config(None);
    config.lifetime = proxy_config::Duration::from_secs(86_400);
    let parts = crate::store::tests::parts(None);
    let process = Process { store: Arc::new(Store::compile(&config, parts).unwrap()), ..process };
    let headers = logged_in(&process.store, &lasting).await;
    process.clock.advance(SignedDuration::from_hours(2));
    let slow = async {
        tokens.called().await;
        tokio::time::sleep(2 * BRIEFLY).await;
        tokens.gate.add_permits(1);
    };
    let (refresh, ()) =
        tokio::join!(process.request_that_needs(Need::Person, &tokens, &headers), slow);
    assert_eq!(access(refresh), "access-1");
}

#[tokio::test]
async fn a_session_renewed_while_redis_was_away_is_written_though_nobody_comes_by() {
    let server = RedisServer::start();
    let (process, other) = (Process::new(Some(&server)), Process::new(Some(&server)));
    let tokens = Tokens::new(Answer::Rotate);
    let headers = logged_in(&process.store, &session()).await;
    let outage = async {
        tokens.called().await;
        server.freeze(true);
        tokens.gate.add_permits(1);
    };
    let (refresh, ()) = tokio::join!(process.request(&tokens, &headers), outage);
    assert_eq!(access(refresh), "access-1");
    server.freeze(false);
    let cookies = RequestCookies::of(&headers);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        // Another replica, which knows nothing of it and only looks.
        if let Ok(Some(found)) = other.store.load(&cookies, process.clock.now()).await
            && found.session.access_token.as_ref().map(Token::as_str) == Some("access-1")
        {
            break;
        }
        assert!(Instant::now() < deadline, "not written though Redis is back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(tokens.calls(), 1);
}

/// The record of a session as Redis has it.
async fn record(server: &RedisServer) -> (String, Vec<u8>) {
    let mut client = server.client().await;
    let keys: Vec<String> = redis::AsyncCommands::keys(&mut client, "*").await.unwrap();
    let key = keys.into_iter().find(|key| !key.contains(".lock")).unwrap();
    let value = redis::AsyncCommands::get(&mut client, &key).await.unwrap();
    (key, value)
}

async fn put_back(server: &RedisServer, (key, value): &(String, Vec<u8>)) {
    let mut client = server.client().await;
    redis::AsyncCommands::set::<_, _, ()>(&mut client, key, value.as_slice()).await.unwrap();
}

#[tokio::test]
async fn a_record_that_another_replica_is_about_to_write_is_waited_for() {
    let server = RedisServer::start();
    let (one, two) = (Process::new(Some(&server)), Process::new(Some(&server)));
    let tokens = Tokens::open();
    let headers = logged_in(&one.store, &lively()).await;
    let old = record(&server).await;
    assert_eq!(access(one.request(&tokens, &headers).await), "access-1");
    let new = record(&server).await;
    // As long as what the one renewed has not reached Redis.
    put_back(&server, &old).await;
    for _ in 0..3 {
        assert_eq!(access(two.request(&tokens, &headers).await), "unchanged");
        pass(LOOKED_AT).await;
    }
    assert_eq!(tokens.calls(), 2, "the refused token is not tried by each request");
    put_back(&server, &new).await;
    assert_eq!(access(two.request(&tokens, &headers).await), "access-1");
    // What is refused after it was renewed is a new question.
    *tokens.valid.lock().unwrap() = "another".to_owned();
    two.clock.advance(SignedDuration::from_secs(301));
    assert_eq!(access(two.request(&tokens, &headers).await), "unchanged");
    assert_eq!(tokens.calls(), 3);
    pass(Duration::from_secs(61)).await;
    assert_eq!(access(two.request(&tokens, &headers).await), "ended");
    assert!(record_keys(&server).await.is_empty());
}

const LOOKED_AT: Duration = Duration::from_secs(2);

async fn record_keys(server: &RedisServer) -> Vec<String> {
    redis::AsyncCommands::keys(&mut server.client().await, "*").await.unwrap()
}

#[tokio::test]
async fn a_write_that_a_failover_lost_is_made_good() {
    let server = RedisServer::start();
    let (process, other) = (Process::new(Some(&server)), Process::new(Some(&server)));
    let tokens = Tokens::open();
    let headers = logged_in(&process.store, &session()).await;
    let old = record(&server).await;
    assert_eq!(access(process.request(&tokens, &headers).await), "access-1");
    put_back(&server, &old).await;
    assert_eq!(access(process.request(&tokens, &headers).await), "access-1");
    assert_eq!(access(other.request(&tokens, &headers).await), "access-1", "written again");
    assert_eq!(tokens.calls(), 1);
    // A sign-out wins over what is remembered.
    process.sign_out(&headers).await;
    put_back(&server, &old).await;
    assert_eq!(access(process.request(&tokens, &headers).await), "ended");
    assert!(record_keys(&server).await.is_empty());
    assert_eq!(tokens.calls(), 1);
}

#[tokio::test]
async fn a_redis_that_reads_and_does_not_write_keeps_sessions_alive_until_they_are_overdue() {
    let server = RedisServer::start();
    let mut process = Process::new(Some(&server));
    let mut config = crate::store::tests::config(Some(crate::store::tests::redis_config()));
    config.refresh_grace = proxy_config::Duration::from_secs(600);
    let url = server.url();
    let parts = crate::store::tests::parts(Some(&url));
    process.store = Arc::new(Store::compile(&config, parts).unwrap());
    let tokens = Tokens::open();
    let headers = logged_in(&process.store, &session()).await;
    let mut client = server.client().await;
    let full =
        |bytes: &'static str| redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).take();
    full("1").exec_async(&mut client).await.unwrap();
    assert_eq!(access(process.request(&tokens, &headers).await), "unchanged");
    process.clock.advance(SignedDuration::from_secs(360));
    pass(LOOKED_AT).await;
    let Refresh::Unavailable(reason) = process.request(&tokens, &headers).await else {
        panic!("it is overdue")
    };
    assert!(reason.to_string().contains("OOM"), "{reason}");
    assert_eq!(tokens.calls(), 0, "no token is spent for what can not be written");
    full("0").exec_async(&mut client).await.unwrap();
    pass(LOOKED_AT).await;
    assert_eq!(access(process.request(&tokens, &headers).await), "access-1");
}

#[tokio::test]
async fn a_renewed_session_that_can_not_be_written_is_used_from_memory_until_it_can() {
    let server = RedisServer::start();
    let (process, other) = (Process::new(Some(&server)), Process::new(Some(&server)));
    let tokens = Tokens::new(Answer::Rotate);
    let headers = logged_in(&process.store, &session()).await;
    let mut client = server.client().await;
    let memory =
        |bytes: &'static str| redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).take();
    let outage = async {
        tokens.called().await;
        memory("1").exec_async(&mut client).await.unwrap();
        tokens.gate.add_permits(1);
    };
    let (refresh, ()) = tokio::join!(process.request(&tokens, &headers), outage);
    assert_eq!(access(refresh), "access-1");
    for _ in 0..3 {
        assert_eq!(access(process.request(&tokens, &headers).await), "access-1");
        pass(LOOKED_AT).await;
    }
    memory("0").exec_async(&mut client).await.unwrap();
    let cookies = RequestCookies::of(&headers);
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        let found = other.store.load(&cookies, other.clock.now()).await.unwrap().unwrap();
        if found.session.access_token.as_ref().map(Token::as_str) == Some("access-1") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not written though Redis takes it");
}

#[tokio::test]
async fn a_line_of_our_own_says_nothing_of_the_provider() {
    let (process, tokens) = (Process::new(None), Tokens::new(Answer::Busy));
    tokens.gate.add_permits(1000);
    for n in 0..10 {
        let other = Session { refresh_token: Some(Token::new(format!("of-{n}"))), ..lively() };
        let headers = logged_in(&process.store, &other).await;
        assert_eq!(access(process.request(&tokens, &headers).await), "unchanged");
    }
    assert_eq!(tokens.calls(), 10, "it is not taken for away");
}

#[tokio::test]
async fn an_answer_that_comes_late_is_kept_though_its_provider_was_taken_for_away() {
    let (process, tokens) = (Process::new(None), Tokens::new(Answer::Slow));
    let headers = logged_in(&process.store, &lively()).await;
    let other = Session { refresh_token: Some(Token::new("of-another")), ..lively() };
    let others = logged_in(&process.store, &other).await;
    for headers in [&headers, &others] {
        let refresh = process.request_that_needs(Need::Nothing, &tokens, headers).await;
        assert_eq!(access(refresh), "unchanged");
        land().await;
    }
    let started = Instant::now();
    assert_eq!(access(process.request(&tokens, &headers).await), "unchanged");
    assert!(started.elapsed() < BRIEFLY, "nobody waits");
    tokens.gate.add_permits(2);
    land().await;
    assert_eq!(access(process.request(&tokens, &headers).await), "access-1");
}

#[tokio::test]
async fn a_renewed_cookie_that_never_arrived_is_given_to_whoever_comes_with_the_old_one() {
    let (process, tokens) = (Process::new(None), Tokens::open());
    let headers = logged_in(&process.store, &lively()).await;
    tokio::time::pause();
    // Its client went away before the answer, and again.
    for _ in 0..2 {
        assert_eq!(access(process.request(&tokens, &headers).await), "access-1");
        tokio::time::advance(Duration::from_mins(25)).await;
    }
    let Refresh::Renewed { set_cookies, .. } = process.request(&tokens, &headers).await else {
        panic!("not renewed")
    };
    assert_eq!(tokens.calls(), 1);
    assert_eq!(access(process.request(&tokens, &browser(&set_cookies)).await), "access-1");
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(access(process.request(&tokens, &headers).await), "unchanged");
    assert_eq!(tokens.calls(), 2, "it has arrived, and is remembered no longer than that");
}

#[tokio::test]
async fn the_end_of_the_process_waits_for_what_is_to_be_written() {
    let server = RedisServer::start();
    let (process, tokens) = (Process::new(Some(&server)), Tokens::new(Answer::Rotate));
    let headers = logged_in(&process.store, &lively()).await;
    let old = record(&server).await;
    let refresh = process.request_that_needs(Need::Nothing, &tokens, &headers).await;
    assert_eq!(access(refresh), "unchanged");
    tokens.called().await;
    process.refresher.leave();
    let finish = process.refresher.finish();
    tokio::pin!(finish);
    let waited = tokio::time::timeout(Duration::from_millis(100), &mut finish).await;
    assert!(waited.is_err(), "the provider has not answered");
    server.freeze(true);
    tokens.gate.add_permits(1);
    let waited = tokio::time::timeout(Duration::from_secs(3), &mut finish).await;
    assert!(waited.is_err(), "Redis has not taken it");
    server.freeze(false);
    tokio::time::timeout(Duration::from_secs(10), finish).await.expect("it is back");
    assert_ne!(record(&server).await, old, "written");
}

#[tokio::test]
async fn with_cookies_nothing_is_begun_at_the_end_that_a_request_can_do_without() {
    let (process, tokens) = (Process::new(None), Tokens::new(Answer::Rotate));
    let first = logged_in(&process.store, &lively()).await;
    let other = Session { refresh_token: Some(Token::new("of-another")), ..lively() };
    let second = logged_in(&process.store, &other).await;
    let begun = process.request_that_needs(Need::Nothing, &tokens, &first).await;
    assert_eq!(access(begun), "unchanged");
    tokens.called().await;
    process.refresher.leave();
    assert_eq!(access(process.request(&tokens, &second).await), "unchanged");
    assert_eq!(tokens.calls(), 1);
    let answer = async {
        tokio::time::sleep(2 * BRIEFLY).await;
        tokens.gate.add_permits(2);
    };
    let (refresh, ()) = tokio::join!(process.request(&tokens, &first), answer);
    assert_eq!(access(refresh), "access-1", "whoever finds one under way waits for it");
    let third = Session { refresh_token: Some(Token::new("of-third")), ..session() };
    let needs = logged_in(&process.store, &third).await;
    *tokens.valid.lock().unwrap() = "of-third".to_owned();
    assert_eq!(access(process.request(&tokens, &needs).await), "access-2");
    process.refresher.finish().await;
}

#[tokio::test]
async fn a_sign_out_while_redis_is_away_is_made_good_though_nobody_comes_by() {
    let server = RedisServer::start();
    let process = Process::new(Some(&server));
    let headers = logged_in(&process.store, &session()).await;
    let mut client = server.client().await;
    let demoted = |to: [&str; 2]| redis::cmd("REPLICAOF").arg(&to).take();
    demoted(["127.0.0.1", "1"]).exec_async(&mut client).await.unwrap();
    process.sign_out(&headers).await;
    assert!(!record_keys(&server).await.is_empty());
    demoted(["NO", "ONE"]).exec_async(&mut client).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), process.refresher.finish()).await.unwrap();
    assert!(record_keys(&server).await.is_empty());
}
