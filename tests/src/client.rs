//! A browser without a screen: keeps cookies, follows a login step by step, shows every answer.

use reqwest::cookie::CookieStore as _;
use reqwest::header::{LOCATION, SET_COOKIE};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use std::sync::Arc;
use url::Url;

/// A client with a cookie jar that never follows a redirect by itself.
#[derive(Clone, Debug)]
pub struct Browser {
    /// For requests that need more than [`Browser::get`].
    pub http: Client,
    /// The cookies.
    pub jar: Arc<reqwest::cookie::Jar>,
}

impl Default for Browser {
    fn default() -> Self {
        Self::new()
    }
}

impl Browser {
    /// An empty one.
    ///
    /// # Panics
    /// Never in practice: the client has no settings that could be refused.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the way a test fails")]
    pub fn new() -> Self {
        let jar = Arc::new(reqwest::cookie::Jar::default());
        let http = builder()
            .cookie_provider(Arc::clone(&jar))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .expect("a client");
        Self { http, jar }
    }

    /// The cookie header that a request to `url` would carry.
    ///
    /// # Panics
    /// When `url` is none.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the way a test fails")]
    pub fn cookies(&self, url: &str) -> String {
        let url = url.parse().expect("a URL");
        let header = self.jar.cookies(&url);
        header.map_or_else(String::new, |value| String::from_utf8_lossy(value.as_bytes()).into())
    }

    /// Sends a request.
    ///
    /// # Panics
    /// When no answer arrives.
    #[expect(clippy::panic, reason = "the way a test fails")]
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap_or_else(|error| panic!("no answer: {error:?}"));
        Answer::read(response).await
    }

    /// GET, as a browser that wants a page.
    ///
    /// # Panics
    /// As [`Browser::send`].
    pub async fn get(&self, url: &str) -> Answer {
        self.send(self.http.get(url).header("Accept", "text/html")).await
    }

    /// GET, then wherever redirects lead, until an answer is none.
    ///
    /// # Panics
    /// After 15 redirects.
    pub async fn follow(&self, url: &str) -> Answer {
        let mut answer = self.get(url).await;
        for _ in 0..15 {
            let Some(location) = answer.location() else { return answer };
            answer = self.get(location.as_str()).await;
        }
        assert!(answer.location().is_none(), "more than 15 redirects, last: {answer:?}");
        answer
    }

    /// Fills in the only form of a login page with a user name and a password, and follows what comes.
    ///
    /// # Panics
    /// When the page has no form.
    pub async fn log_in(&self, page: &Answer, user: &str, password: &str) -> Answer {
        let action = page.form_action();
        let answer = self
            .send(self.http.post(action).form(&[("username", user), ("password", password)]))
            .await;
        match answer.location() {
            Some(location) => self.follow(location.as_str()).await,
            None => answer,
        }
    }
}

/// A client that can speak TLS, whichever crates the test is built with.
pub fn builder() -> reqwest::ClientBuilder {
    // Another part of the process may have installed the same one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Client::builder()
}

/// GET by a client without cookies that follows no redirect.
///
/// # Errors
/// No answer.
pub async fn get(url: &str) -> reqwest::Result<Response> {
    builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?.get(url).send().await
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Where it came from.
    pub url: Url,
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: reqwest::header::HeaderMap,
    /// Body.
    pub body: String,
}

impl Answer {
    #[expect(clippy::panic, reason = "the way a test fails")]
    async fn read(response: Response) -> Self {
        let (url, status, headers) =
            (response.url().clone(), response.status(), response.headers().clone());
        let body = response
            .text()
            .await
            .unwrap_or_else(|error| panic!("{url}: body ended early: {error}"));
        Self { url, status, headers, body }
    }

    /// The target of a redirect.
    #[must_use]
    pub fn location(&self) -> Option<Url> {
        let location = self.headers.get(LOCATION)?.to_str().ok()?;
        self.url.join(location).ok()
    }

    /// One header as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All `Set-Cookie` lines.
    #[must_use]
    pub fn set_cookies(&self) -> Vec<String> {
        self.headers
            .get_all(SET_COOKIE)
            .iter()
            .map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned())
            .collect()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    #[expect(clippy::panic, reason = "the way a test fails")]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.body))
    }

    /// The target of the first form of the page.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    #[expect(clippy::panic, reason = "the way a test fails")]
    pub fn form_action(&self) -> Url {
        let action = self.body.split("action=\"").nth(1).and_then(|rest| rest.split('"').next());
        let action = action
            .unwrap_or_else(|| panic!("no form at {} ({}):\n{}", self.url, self.status, self.body));
        let action = action.replace("&amp;", "&");
        self.url.join(&action).unwrap_or_else(|error| panic!("{action}: {error}"))
    }
}
