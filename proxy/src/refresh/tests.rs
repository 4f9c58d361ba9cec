//! One token call per expired session, with the cookie and with a real Redis as the store, and what happens when it fails.

mod worst;

use super::*;
use crate::clock::TestClock;
use crate::oidc::{Ending, NotNow, Renewal, Slow, TokenError};
use crate::session::Token;
use crate::store::tests::{browser, load, logged_in, now, session, store};
use crate::store::{LoadError, RedisServer};
use futures_util::future::join_all;
use http::HeaderMap;
use jiff::{SignedDuration, ToSpan};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;

/// Stands for the provider's token endpoint: refresh tokens are single use, as with rotation. What a real provider does
/// is tested in `oidc`; here it has to fail in ways that a real one does only by chance.
struct Tokens {
    calls: AtomicUsize,
    valid: Mutex<String>,
    /// Answers are given out one by one.
    gate: Semaphore,
    answer: Answer,
}

enum Answer {
    Rotate,
    /// The refresh token stays the same.
    Reuse,
    Down,
    /// Of our own doing.
    Busy,
    /// As [`Answer::Rotate`], too late.
    Slow,
}

impl Tokens {
    fn new(answer: Answer) -> Arc<Self> {
        let valid = Mutex::new("refresh-0".to_owned());
        Arc::new(Self { calls: AtomicUsize::new(0), valid, gate: Semaphore::new(0), answer })
    }

    fn open() -> Arc<Self> {
        let tokens = Self::new(Answer::Rotate);
        tokens.gate.add_permits(1000);
        tokens
    }

    /// Waits for the first call.
    async fn called(&self) {
        while self.calls() == 0 {
            tokio::task::yield_now().await;
        }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Renew for Tokens {
    async fn renew(&self, session: &Session, slow: Slow) -> Renewal {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if matches!(self.answer, Answer::Slow) {
            slow();
        }
        self.gate.acquire().await.unwrap().forget();
        if matches!(self.answer, Answer::Busy) {
            return Renewal::Kept(NotNow::Busy);
        }
        if matches!(self.answer, Answer::Down) {
            return Renewal::Kept(NotNow::Away("connection refused".to_owned()));
        }
        let presented = session.refresh_token.as_ref().map(Token::as_str).unwrap_or_default();
        let mut valid = self.valid.lock().unwrap();
        if *valid != presented {
            return Renewal::Ended(Ending::Grant(refused()));
        }
        if !matches!(self.answer, Answer::Reuse) {
            *valid = format!("refresh-{call}");
        }
        Renewal::Renewed(Box::new(Session {
            access_token: Some(Token::new(format!("access-{call}"))),
            refresh_token: Some(Token::new(valid.clone())),
            expires_at: Some(now() + 60.minutes()),
            ..session.clone()
        }))
    }
}

/// What a provider says of a refresh token that was used before.
fn refused() -> TokenError {
    let (code, description) = ("invalid_grant".to_owned(), String::new());
    TokenError::Refused { status: 400, code, description }
}

/// One process: its own refresher and store.
struct Process {
    refresher: Refresher,
    store: Arc<Store>,
    clock: Arc<TestClock>,
}

impl Process {
    fn new(redis: Option<&RedisServer>) -> Self {
        let clock = Arc::new(TestClock::at(now()));
        clock.advance(SignedDuration::from_secs(301));
        let control = Handle::current();
        Self {
            refresher: Refresher::new(control, Arc::clone(&clock) as Arc<dyn Clock>),
            store: Arc::new(store(redis.map(RedisServer::url).as_deref())),
            clock,
        }
    }

    /// What the gate does with a request that carries `headers`.
    async fn request(&self, tokens: &Arc<Tokens>, headers: &HeaderMap) -> Refresh {
        // The session's access token has expired by now, so this one waits.
        self.request_that_needs(Need::Tokens, tokens, headers).await
    }

    async fn request_that_needs(
        &self,
        need: Need,
        tokens: &Arc<Tokens>,
        headers: &HeaderMap,
    ) -> Refresh {
        let cookies = RequestCookies::of(headers);
        let found = match self.store.load(&cookies, self.clock.now()).await {
            Ok(Some(found)) => found,
            Ok(None) | Err(LoadError::Invalid(_)) => return Refresh::Ended,
            Err(LoadError::Early(_)) => return Refresh::Absent,
            Err(LoadError::Unavailable(why)) => return Refresh::Unavailable(why),
        };
        if !self.store.is_due(&found.session, self.clock.now()) {
            self.refresher.seen(&found);
            return Refresh::Renewed { session: found.session, set_cookies: Vec::new() };
        }
        let due = Due { store: Arc::clone(&self.store), provider: Arc::clone(tokens), found, need };
        self.refresher.current(due, &cookies, "app.example").await
    }

    /// What the gate does at a sign-out.
    async fn sign_out(&self, headers: &HeaderMap) {
        let cookies = RequestCookies::of(headers);
        self.refresher.signed_out().add(self.store.family(&cookies).unwrap());
        if self.store.clear(&cookies, "app.example").await.1.is_err() {
            self.refresher.remove_later(&self.store, self.store.ticket(&cookies).unwrap());
        }
    }
}

/// A process, and the headers of a browser that has signed in there.
async fn signed_in(redis: Option<&RedisServer>, session: &Session) -> (Process, HeaderMap) {
    let process = Process::new(redis);
    let headers = logged_in(&process.store, session).await;
    (process, headers)
}

fn access(refresh: Refresh) -> String {
    match refresh {
        Refresh::Renewed { session, .. } => {
            session.access_token.as_ref().unwrap().as_str().to_owned()
        }
        Refresh::Unchanged => "unchanged".to_owned(),
        Refresh::Ended => "ended".to_owned(),
        Refresh::Absent => "absent".to_owned(),
        Refresh::Overdue { .. } => "overdue".to_owned(),
        Refresh::Unavailable(_) => "unavailable".to_owned(),
    }
}

/// Lets time pass while no command is under way, whose answers would come too late otherwise.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Lets a flight that has its answer come down.
async fn land() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

async fn forty(process: &Process, tokens: &Arc<Tokens>, headers: &HeaderMap) -> Vec<String> {
    join_all((0..40).map(|_| process.request(tokens, headers)))
        .await
        .into_iter()
        .map(access)
        .collect()
}

#[tokio::test]
async fn forty_requests_with_an_expired_token_make_one_token_call_in_cookie_mode() {
    let ((process, headers), tokens) = (signed_in(None, &session()).await, Tokens::open());
    assert_eq!(forty(&process, &tokens, &headers).await, vec!["access-1"; 40]);
    assert_eq!(tokens.calls(), 1);
}

#[tokio::test]
async fn a_renewed_session_with_the_same_refresh_token_is_renewed_in_its_turn() {
    let (process, tokens) = (Process::new(None), Tokens::new(Answer::Reuse));
    tokens.gate.add_permits(1000);
    let old = logged_in(&process.store, &session()).await;
    let first = process.request(&tokens, &old).await;
    let Refresh::Renewed { session: renewed, .. } = &first else { panic!("not renewed") };
    let new = logged_in(&process.store, renewed).await;
    assert_eq!(forty(&process, &tokens, &new).await, vec!["access-1"; 40], "not due yet");
    process.clock.advance(SignedDuration::from_secs(301));
    assert_eq!(forty(&process, &tokens, &new).await, vec!["access-2"; 40]);
    assert_eq!(tokens.calls(), 2);
    // A request that was on its way with the oldest cookie gets the newest session.
    assert_eq!(access(process.request(&tokens, &old).await), "access-2");
    assert_eq!(tokens.calls(), 2);
}

#[tokio::test]
async fn forty_requests_with_an_expired_token_make_one_token_call_with_redis() {
    let server = RedisServer::start();
    let ((process, headers), tokens) = (signed_in(Some(&server), &session()).await, Tokens::open());
    assert_eq!(forty(&process, &tokens, &headers).await, vec!["access-1"; 40]);
    assert_eq!(tokens.calls(), 1);
}

#[tokio::test]
async fn two_processes_on_one_redis_make_one_token_call() {
    let server = RedisServer::start();
    let (one, two, tokens) =
        (Process::new(Some(&server)), Process::new(Some(&server)), Tokens::open());
    let headers = logged_in(&one.store, &session()).await;
    let (first, second) =
        tokio::join!(forty(&one, &tokens, &headers), forty(&two, &tokens, &headers));
    assert_eq!([first, second].concat(), vec!["access-1"; 80]);
    assert_eq!(tokens.calls(), 1);
}

#[tokio::test]
async fn a_lease_lives_as_long_as_a_slow_token_call() {
    let server = RedisServer::start();
    let (one, two, tokens) =
        (Process::new(Some(&server)), Process::new(Some(&server)), Tokens::new(Answer::Rotate));
    let headers = logged_in(&one.store, &session()).await;
    let slow = async {
        // Longer than the life of a lease that is not extended.
        let started = tokio::time::Instant::now();
        let mut client = server.client().await;
        while started.elapsed() < Duration::from_secs(3) {
            let keys: Vec<String> =
                redis::AsyncCommands::keys(&mut client, "*.lock").await.unwrap();
            assert!(
                keys.len() == 1 || started.elapsed() < Duration::from_millis(500),
                "the lease ran out"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(tokens.calls(), 1);
        tokens.gate.add_permits(1);
    };
    let (first, second, ()) =
        tokio::join!(one.request(&tokens, &headers), two.request(&tokens, &headers), slow);
    assert_eq!([access(first), access(second)], ["access-1", "access-1"]);
    assert_eq!(tokens.calls(), 1);
    let left: Vec<String> =
        redis::AsyncCommands::keys(&mut server.client().await, "*.lock").await.unwrap();
    assert!(left.is_empty(), "released at the end");
}

#[tokio::test]
async fn a_lease_of_somebody_else_is_waited_for_and_never_released() {
    let server = RedisServer::start();
    let ((process, headers), tokens) = (signed_in(Some(&server), &session()).await, Tokens::open());
    let found = load(&process.store, &headers).await.unwrap().unwrap();
    let key = format!("{}.lock", found.ticket.unwrap().id());
    let mut client = server.client().await;
    redis::cmd("SET")
        .arg(&key)
        .arg("other")
        .arg("PX")
        .arg(700)
        .exec_async(&mut client)
        .await
        .unwrap();
    let started = tokio::time::Instant::now();
    assert_eq!(access(process.request(&tokens, &headers).await), "access-1");
    assert!(started.elapsed() >= Duration::from_millis(600), "{:?}", started.elapsed());
}

#[tokio::test]
async fn the_renewed_session_reaches_the_browser_and_is_not_due() {
    for server in [None, Some(RedisServer::start())] {
        let ((process, headers), tokens) =
            (signed_in(server.as_ref(), &session()).await, Tokens::open());
        let Refresh::Renewed { set_cookies, .. } = process.request(&tokens, &headers).await else {
            panic!("not renewed")
        };
        let renewed = browser(&set_cookies);
        for _ in 0..3 {
            assert_eq!(access(process.request(&tokens, &renewed).await), "access-1");
        }
        assert_eq!(tokens.calls(), 1);
        let found = process.store.load(&RequestCookies::of(&renewed), process.clock.now()).await;
        assert_eq!(
            found.unwrap().unwrap().session.created_at,
            process.clock.now(),
            "its age starts again"
        );
    }
}

/// The same texts for everybody: each sealing wears the key.
#[tokio::test]
async fn requests_that_share_a_refresh_share_the_sealed_cookie() {
    for server in [None, Some(RedisServer::start())] {
        let ((process, headers), tokens) =
            (signed_in(server.as_ref(), &session()).await, Tokens::open());
        let mut values = std::collections::BTreeSet::new();
        for refresh in join_all((0..40).map(|_| process.request(&tokens, &headers))).await {
            let Refresh::Renewed { set_cookies, .. } = refresh else { panic!("not renewed") };
            values.insert(browser(&set_cookies)["cookie"].clone());
        }
        assert_eq!(values.len(), 1);
        // Who comes late in cookie mode is given the same as well.
        if server.is_none() {
            let late = process.request(&tokens, &headers).await;
            let Refresh::Renewed { set_cookies, .. } = late else { panic!("not renewed") };
            assert!(values.contains(&browser(&set_cookies)["cookie"]));
        }
    }
}

#[tokio::test]
async fn a_store_with_other_keys_seals_anew_what_was_renewed() {
    let ((process, headers), tokens) = (signed_in(None, &session()).await, Tokens::open());
    let Refresh::Renewed { set_cookies: before, .. } = process.request(&tokens, &headers).await
    else {
        panic!("not renewed")
    };
    let after_reload = Arc::new(store(None));
    let found = load(&process.store, &headers).await.unwrap().unwrap();
    let due = Due {
        store: Arc::clone(&after_reload),
        provider: Arc::clone(&tokens),
        found,
        need: Need::Person,
    };
    let cookies = RequestCookies::of(&headers);
    let refresh = process.refresher.current(due, &cookies, "app.example").await;
    let Refresh::Renewed { set_cookies: after, .. } = refresh else { panic!("not renewed") };
    assert_ne!(browser(&before)["cookie"], browser(&after)["cookie"]);
    assert_eq!(tokens.calls(), 1);
}

#[tokio::test]
async fn cookies_that_hold_the_same_session_share_the_next_refresh_too() {
    let ((process, headers), tokens) = (signed_in(None, &session()).await, Tokens::open());
    let mut jars = Vec::new();
    for refresh in join_all((0..5).map(|_| process.request(&tokens, &headers))).await {
        let Refresh::Renewed { set_cookies, .. } = refresh else { panic!("not renewed") };
        jars.push(browser(&set_cookies));
    }
    process.clock.advance(SignedDuration::from_secs(61));
    let second = join_all(jars.iter().map(|jar| process.request(&tokens, jar))).await;
    assert_eq!(second.into_iter().map(access).collect::<Vec<_>>(), vec!["access-2"; 5]);
    assert_eq!(tokens.calls(), 2);
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_abort_the_refresh() {
    let ((process, headers), tokens) =
        (signed_in(None, &session()).await, Tokens::new(Answer::Rotate));
    tokio::select! {
        _ = process.request(&tokens, &headers) => panic!("answered before the provider was"),
        () = tokens.called() => {} // and the request is dropped
    }
    tokens.gate.add_permits(1);
    assert_eq!(access(process.request(&tokens, &headers).await), "access-1");
    assert_eq!(tokens.calls(), 1);
}

#[tokio::test]
async fn in_cookie_mode_requests_that_come_late_with_the_old_cookie_share_the_outcome_for_a_minute()
{
    let ((process, headers), tokens) = (signed_in(None, &session()).await, Tokens::open());
    tokio::time::pause();
    let Refresh::Renewed { set_cookies, .. } = process.request(&tokens, &headers).await else {
        panic!("not renewed")
    };
    assert_eq!(access(process.request(&tokens, &browser(&set_cookies)).await), "access-1");
    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(access(process.request(&tokens, &headers).await), "access-1");
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(
        access(process.request(&tokens, &headers).await),
        "absent",
        "its refresh token is spent, by whomever"
    );
    assert_eq!(tokens.calls(), 2);
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(access(process.request(&tokens, &headers).await), "ended");
}

#[tokio::test]
async fn a_refused_refresh_token_ends_a_session_in_redis_for_all_after_a_minute() {
    let server = RedisServer::start();
    let ((process, headers), tokens) = (signed_in(Some(&server), &session()).await, Tokens::open());
    *tokens.valid.lock().unwrap() = "another".to_owned();
    assert_eq!(forty(&process, &tokens, &headers).await, vec!["absent"; 40]);
    for _ in 0..3 {
        pass(Duration::from_secs(15)).await;
        assert_eq!(access(process.request(&tokens, &headers).await), "absent");
    }
    assert_eq!(tokens.calls(), 1, "only its record is looked at for a minute");
    pass(Duration::from_secs(16)).await;
    assert_eq!(forty(&process, &tokens, &headers).await, vec!["ended"; 40]);
    assert_eq!(access(process.request(&tokens, &headers).await), "ended");
    assert_eq!(tokens.calls(), 2);
}

#[tokio::test]
async fn a_provider_that_is_down_ends_nothing_and_is_asked_now_and_then() {
    for server in [None, Some(RedisServer::start())] {
        let (process, tokens) = (Process::new(server.as_ref()), Tokens::new(Answer::Down));
        tokens.gate.add_permits(1000);
        let headers = logged_in(&process.store, &session()).await;
        assert_eq!(forty(&process, &tokens, &headers).await, vec!["unchanged"; 40]);
        assert_eq!(forty(&process, &tokens, &headers).await, vec!["unchanged"; 40]);
        assert_eq!(tokens.calls(), 1, "left alone after a failure");
        process.clock.advance(SignedDuration::from_secs(3300));
        assert_eq!(access(process.request(&tokens, &headers).await), "ended", "at its own end");
    }
}

#[tokio::test]
async fn after_a_failure_the_session_is_left_alone_for_a_while_only() {
    let (process, tokens) = (Process::new(None), Tokens::new(Answer::Down));
    tokens.gate.add_permits(1000);
    let headers = logged_in(&process.store, &session()).await;
    tokio::time::pause();
    for expected in [1, 2, 3] {
        assert_eq!(access(process.request(&tokens, &headers).await), "unchanged");
        assert_eq!(tokens.calls(), expected);
        tokio::time::advance(Duration::from_secs(11)).await;
    }
}

#[tokio::test]
async fn a_request_does_not_wait_for_ever_for_a_provider() {
    let ((process, headers), tokens) =
        (signed_in(None, &session()).await, Tokens::new(Answer::Rotate));
    tokio::time::pause();
    assert_eq!(access(process.request(&tokens, &headers).await), "unchanged");
    tokens.gate.add_permits(1);
    land().await;
    assert_eq!(access(process.request(&tokens, &headers).await), "access-1", "the flight went on");
}

#[tokio::test]
async fn a_session_renewed_while_redis_went_away_is_written_when_it_is_back() {
    let server = RedisServer::start();
    let ((process, headers), tokens) =
        (signed_in(Some(&server), &session()).await, Tokens::new(Answer::Rotate));
    let outage = async {
        tokens.called().await;
        server.freeze(true);
        tokens.gate.add_permits(1);
    };
    let (refresh, ()) = tokio::join!(process.request(&tokens, &headers), outage);
    assert_eq!(access(refresh), "access-1", "its record was read before");
    assert_eq!(
        access(process.request(&tokens, &headers).await),
        "unavailable",
        "nobody passes while Redis is away"
    );
    server.freeze(false);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        match access(process.request(&tokens, &headers).await).as_str() {
            "access-1" => break,
            other => assert_eq!(other, "unavailable", "nobody is logged out"),
        }
        assert!(tokio::time::Instant::now() < deadline, "not written though Redis is back");
    }
    assert_eq!(tokens.calls(), 1, "the spent refresh token is not tried again");
}

#[tokio::test]
async fn a_redis_that_dies_once_the_record_was_read_ends_nothing_and_spends_no_token() {
    let mut server = RedisServer::start();
    let ((process, headers), tokens) = (signed_in(Some(&server), &session()).await, Tokens::open());
    let found = load(&process.store, &headers).await.unwrap().unwrap();
    server.kill();
    let due = Due {
        store: Arc::clone(&process.store),
        provider: Arc::clone(&tokens),
        found,
        need: Need::Person,
    };
    let refresh =
        process.refresher.current(due, &RequestCookies::of(&headers), "app.example").await;
    assert_eq!(access(refresh), "unchanged");
    assert_eq!(access(process.request(&tokens, &headers).await), "unavailable");
    assert_eq!(tokens.calls(), 0);
}
