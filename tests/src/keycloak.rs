//! A real Keycloak with the realm of `tests/keycloak/realm.json`; one for all tests of a process.

use crate::eventually::eventually;
use crate::process::{Process, free_port, root};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;

/// The pinned release; the same as in the demo.
pub const VERSION: &str = "26.7.3";

/// A running Keycloak.
#[derive(Debug)]
pub struct Keycloak {
    /// Port on 127.0.0.1.
    pub port: u16,
}

impl Keycloak {
    /// The Keycloak of this test process; the first call starts it, which takes 15 to 40 seconds.
    ///
    /// # Panics
    /// When it does not come up; the message holds its output.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Keycloak> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    /// Issuer of the test realm.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}/realms/test", self.port)
    }

    async fn start() -> Self {
        let port = free_port();
        let home = tokio::task::spawn_blocking(distribution)
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        let log = home.join("test.log");
        let (started, pid) = mpsc::channel();
        let thread_home = home.clone();
        // The kernel ends Keycloak when the thread that started it ends, so that thread stays as long as the process.
        thread::spawn(move || {
            let process = launch(&thread_home, port);
            let _ = started.send(process.id());
            loop {
                thread::park();
            }
        });
        let pid = pid.recv().unwrap_or_default();
        let ready = eventually("Keycloak listens", Duration::from_mins(4), || {
            let log = log.clone();
            async move {
                assert!(
                    Path::new(&format!("/proc/{pid}")).exists(),
                    "Keycloak ended:\n{}",
                    tail(&log)
                );
                TcpStream::connect(("127.0.0.1", port))
                    .await
                    .map_err(|error| format!("{error}\n{}", tail(&log)))
            }
        });
        ready.await;
        let keycloak = Self { port };
        let browser = crate::client::Browser::new();
        let discovery = format!("{}/.well-known/openid-configuration", keycloak.issuer());
        eventually("Keycloak serves its realm", Duration::from_mins(1), || async {
            let response =
                browser.http.get(&discovery).send().await.map_err(|error| error.to_string())?;
            if response.status().is_success() { Ok(()) } else { Err(response.status().to_string()) }
        })
        .await;
        keycloak
    }
}

fn launch(home: &Path, port: u16) -> Process {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(home.join("bin/kc.sh"));
    command.args([
        "start-dev",
        "--import-realm",
        "--db=dev-mem",
        "--http-host=127.0.0.1",
        "--http-management-host=127.0.0.1",
    ]);
    command
        .arg(format!("--http-port={port}"))
        .arg(format!("--http-management-port={}", free_port()));
    command
        .env("JAVA_OPTS_APPEND", "-Xms64m -Xmx512m")
        .env("KC_BOOTSTRAP_ADMIN_USERNAME", "admin")
        .env("KC_BOOTSTRAP_ADMIN_PASSWORD", "admin");
    Process::start(command, home.join("test.log"), "setpriv is part of util-linux")
}

/// The unpacked distribution with the realm in place, under `target/`.
///
/// Each test process gets a folder of its own: Keycloak writes into its home.
#[expect(clippy::expect_used, reason = "the way a test fails")]
fn distribution() -> PathBuf {
    let target = root().join("target/keycloak");
    fs::create_dir_all(&target).expect("target can be written");
    let zip = target.join(format!("keycloak-quarkus-dist-{VERSION}.zip"));
    if !zip.exists() {
        let artifact = format!("-Dartifact=org.keycloak:keycloak-quarkus-dist:{VERSION}:zip");
        let output = format!("-DoutputDirectory={}", target.display());
        run(Command::new("mvn")
            .args(["--batch-mode", "--quiet", "dependency:copy", &artifact, &output])
            .current_dir(&target));
    }
    for old in fs::read_dir(&target).expect("target can be read").flatten() {
        let name = old.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix("run-");
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_dir_all(old.path());
        }
    }
    let home = target.join(format!("run-{}", std::process::id()));
    run(Command::new("unzip").args(["-q", "-o"]).arg(&zip).arg("-d").arg(&home));
    let home = home.join(format!("keycloak-{VERSION}"));
    fs::create_dir_all(home.join("data/import")).expect("the distribution can be written");
    fs::copy(root().join("tests/keycloak/realm.json"), home.join("data/import/test-realm.json"))
        .expect("the realm can be copied");
    home
}

#[expect(clippy::panic, reason = "the way a test fails")]
fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{}: {error}; install it with apt-get", command.get_program().display())
    });
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(30)..).unwrap_or_default().join("\n")
}
