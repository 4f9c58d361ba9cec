//! What becomes of a session whose owner may not pass: for good, or by rules that have just changed.

use crate::clock::{Clock as _, TestClock};
use crate::cookie::RequestCookies;
use crate::gate::handle;
use crate::identity::Identity;
use crate::metrics::Registry;
use crate::server::tests::support::{Answer, Running};
use crate::session::Session;
use crate::site::{Context, Site, SiteCell};
use crate::store::RedisServer;
use crate::store::tests::{browser, redis_config};
use http::{HeaderMap, header};
use jiff::{SignedDuration, Timestamp};
use proxy_config::{Config, Limits, Secret, Store};
use serde_json::json;
use std::sync::Arc;

const WHOLE: &str = "alice@example.com\nbob@example.com\n";

/// A site with a list of addresses.
struct Listed {
    emails: tempfile::NamedTempFile,
    clock: Arc<TestClock>,
    cell: Arc<SiteCell>,
    server: Running,
    runtime: tokio::runtime::Runtime,
}

impl Listed {
    /// With sessions in cookies, or in this Redis.
    fn start(redis: Option<&RedisServer>) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let emails = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(emails.path(), WHOLE).unwrap();
        let clock = Arc::new(TestClock::at(Timestamp::now()));
        let context =
            Context::new(runtime.handle().clone(), Arc::clone(&clock) as _, &Registry::new());
        let mut config: Config = serde_json::from_value(json!({
            "version": "v1",
            "listeners": {"http": {"address": "127.0.0.1:0"}},
            "providers": [{"id": "a", "clientId": "app", "issuerUrl": "http://127.0.0.1:1"}],
            "session": {"keys": [], "cookie": {"secure": false}},
            "access": {"emailsFile": emails.path()},
            "upstreams": [{"id": "ok", "path": "/", "target": {"static": {"code": 200}}}],
        }))
        .unwrap();
        config.session.keys = vec![Secret::value("!pearl#river%16*")];
        if let Some(redis) = redis {
            let url = Secret::value(redis.url());
            config.session.store = Store::Redis(proxy_config::Redis { url, ..redis_config() });
        }
        let site = Site::compile(&config, &context, None);
        let cell = SiteCell::new(site.unwrap_or_else(|problems| panic!("{problems}")));
        let sites = Arc::clone(&cell);
        let server = Running::start(&Limits::default(), move |worker, peer, request| {
            handle(worker, Arc::new(sites.load()), peer, request)
        });
        Self { emails, clock, cell, server, runtime }
    }

    /// The file has this content from now on, and was read.
    fn write(&self, content: &str) {
        std::fs::write(self.emails.path(), content).unwrap();
        let site = self.cell.load();
        let site = Site::compile(&site.config, &site.context, Some(&site));
        self.cell.swap(site.unwrap_or_else(|problems| panic!("{problems}")));
    }

    /// The cookie of Bob, who has just logged in.
    fn bob(&self) -> String {
        let identity =
            Identity { email: Some("bob@example.com".to_owned()), ..Identity::default() };
        let session = Session { identity, ..Session::new("a", self.clock.now()) };
        let (site, none) = (self.cell.load(), HeaderMap::new());
        let cookies = RequestCookies::of(&none);
        let saved = self.runtime.block_on(site.store.save(&session, &cookies, "app.example"));
        let headers = browser(&saved.unwrap());
        headers[header::COOKIE].to_str().unwrap().to_owned()
    }

    fn get(&self, target: &str, cookie: &str) -> Answer {
        let request = format!("GET {target} HTTP/1.1\r\nHost: app.example\r\nCookie: {cookie}\r\n");
        self.server.connect().ask(&format!("{request}\r\n"))
    }
}

fn a_list_that_is_written_for_a_while_costs_nobody_their_session(redis: Option<&RedisServer>) {
    let listed = Listed::start(redis);
    let bob = listed.bob();
    assert_eq!(listed.get("/x", &bob).status, 200);
    listed.write("alice@example.com\nb");
    for (target, status) in [("/x", 403), ("/oauth2/auth", 401), ("/oauth2/userinfo", 401)] {
        let refused = listed.get(target, &bob);
        assert_eq!(refused.status, status, "{target}");
        assert_eq!(refused.header("set-cookie"), None, "{target}");
    }
    listed.write(WHOLE);
    assert_eq!(listed.get("/x", &bob).status, 200, "the session is there");
}

#[test]
fn a_half_written_list_of_addresses_ends_no_session_in_a_cookie() {
    a_list_that_is_written_for_a_while_costs_nobody_their_session(None);
}

#[test]
fn a_half_written_list_of_addresses_ends_no_session_in_redis() {
    a_list_that_is_written_for_a_while_costs_nobody_their_session(Some(&RedisServer::start()));
}

#[test]
fn a_list_that_has_rested_ends_the_sessions_of_whoever_it_leaves_out() {
    let redis = RedisServer::start();
    let listed = Listed::start(Some(&redis));
    let bob = listed.bob();
    listed.write("alice@example.com\n");
    listed.clock.advance(SignedDuration::from_mins(1));
    let refused = listed.get("/x", &bob);
    let cleared = refused.header("set-cookie").unwrap_or_default();
    assert!(refused.status == 403 && cleared.starts_with("_oauth2_proxy=;"), "{}", refused.head);
    listed.write(WHOLE);
    let again = listed.get("/x", &bob);
    assert_eq!(again.status, 403, "its record is gone");
    assert!(!again.body.contains("not allowed"), "it asks for a login: {}", again.body);
}

#[test]
fn a_session_from_the_future_is_none_until_its_time_comes_and_is_left_alone() {
    let server = RedisServer::start();
    for redis in [None, Some(&server)] {
        let listed = Listed::start(redis);
        let bob = listed.bob();
        listed.clock.advance(SignedDuration::from_mins(-6));
        for (target, status) in [("/x", 403), ("/oauth2/auth", 401)] {
            let early = listed.get(target, &bob);
            assert_eq!((early.status, early.header("set-cookie")), (status, None), "{target}");
        }
        listed.clock.advance(SignedDuration::from_mins(2));
        assert_eq!(listed.get("/x", &bob).status, 200, "so far apart clocks may be");
    }
}
