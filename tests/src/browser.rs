//! Headless Chromium through `chromedriver`.

use crate::eventually::eventually;
use crate::process::{Process, free_port};
use crate::proxy::temp_dir;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// A real browser window without a screen.
#[derive(Debug)]
pub struct Chromium {
    /// The `WebDriver` client.
    pub page: Client,
    driver: Process,
    dir: TempDir,
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
        // A group of its own, by which the browser is found again: killing its driver leaves it running.
        command.arg(format!("--port={port}")).env("HOME", dir.path()).process_group(0);
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
        Self { page, driver, dir }
    }

    /// Where it keeps what it knows; gone with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.dir.path()
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

impl Drop for Chromium {
    fn drop(&mut self) {
        self.driver.kill_group();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether any process was started with `folder` in its command line.
    fn is_used(folder: &Path) -> bool {
        let folder = folder.display().to_string();
        std::fs::read_dir("/proc").into_iter().flatten().flatten().any(|process| {
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&folder)
        })
    }

    #[tokio::test]
    async fn a_browser_ends_with_its_driver() {
        let chromium = Chromium::open(400, 300).await;
        let folder = chromium.folder().to_owned();
        assert!(is_used(&folder), "no process has the profile in its command line");
        drop(chromium);
        eventually("no process is left", Duration::from_secs(10), || async {
            if is_used(&folder) { Err("there is one") } else { Ok(()) }
        })
        .await;
    }
}
