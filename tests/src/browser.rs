//! Headless Chromium through `chromedriver`.

use crate::eventually::eventually;
use crate::process::{Process, free_port};
use crate::proxy::temp_dir;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// A real browser window without a screen.
#[derive(Debug)]
pub struct Chromium {
    /// The `WebDriver` client.
    pub page: Client,
    _driver: Process,
    _dir: TempDir,
}

impl Chromium {
    /// Opens a window of the given size in CSS pixels.
    ///
    /// # Panics
    /// When Chromium or its driver is missing or does not start.
    #[expect(clippy::expect_used, reason = "the way a test fails")]
    pub async fn open(width: u32, height: u32) -> Self {
        let dir = temp_dir();
        let port = free_port();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).env("HOME", dir.path());
        let driver = Process::start(
            command,
            dir.path().join("driver.log"),
            "install it with: apt-get install chromium chromium-driver",
        );
        let profile = format!("--user-data-dir={}", dir.path().join("profile").display());
        let size = format!("--window-size={width},{height}");
        let options = json!({"args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", profile, size,
        ]});
        let capabilities = json!({"goog:chromeOptions": options});
        let capabilities = capabilities.as_object().expect("an object").clone();
        let url = format!("http://127.0.0.1:{port}");
        let page = eventually("chromedriver opens a window", Duration::from_secs(40), || {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(capabilities.clone());
            let url = url.clone();
            async move { builder.connect(&url).await }
        })
        .await;
        Self { page, _driver: driver, _dir: dir }
    }

    /// A PNG of what is visible.
    ///
    /// # Panics
    /// When the browser is gone.
    #[expect(clippy::expect_used, reason = "the way a test fails")]
    pub async fn screenshot(&self) -> Vec<u8> {
        self.page.screenshot().await.expect("the browser answers")
    }
}
