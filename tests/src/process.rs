//! Child processes that end with the test, with their output kept for the failure message.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A running child; killed and reaped when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with both output streams going to the file `log`.
    ///
    /// # Panics
    /// When it can not be started; the message says how to install it if `install` is given.
    #[must_use]
    #[expect(clippy::panic, reason = "the way a test fails")]
    pub fn start(mut command: Command, log: PathBuf, install: &str) -> Self {
        let out = std::fs::File::create(&log).unwrap_or_else(|e| panic!("{}: {e}", log.display()));
        let err = out.try_clone().unwrap_or_else(|e| panic!("{}: {e}", log.display()));
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}; {install}", command.get_program().display()));
        Self { child, log }
    }

    /// What it has printed so far.
    #[must_use]
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit code if it has ended.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.child.try_wait().ok().flatten().map(|status| status.code().unwrap_or(-1))
    }

    /// Sends a signal by name, such as `TERM` or `HUP`.
    ///
    /// # Panics
    /// When `kill` can not be run.
    #[expect(clippy::expect_used, reason = "the way a test fails")]
    pub fn signal(&self, name: &str) {
        Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.id().to_string())
            .status()
            .expect("kill is installed");
    }

    /// Kills all processes of the group that this one leads.
    pub fn kill_group(&self) {
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.id())]).status();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port on the loopback address that was free a moment ago. No two calls of a process give the same, and none is one that
/// the system gives to outgoing connections.
///
/// # Panics
/// When all are taken.
#[must_use]
#[expect(clippy::expect_used, reason = "the way a test fails")]
pub fn free_port() -> u16 {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(131);
    (0..20_000)
        .map(|_| first.wrapping_add(CALLS.fetch_add(1, Ordering::Relaxed)) % 20_000)
        .filter_map(|offset| u16::try_from(10_000 + offset).ok())
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("a free port")
}

/// The root of the repository.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new("."))
}

/// A program of this workspace, built once per test process in the profile of the tests.
///
/// `OAUTH2_PROXY_BIN_DIR` names a folder with programs that are built already.
///
/// # Panics
/// When it does not build.
#[expect(clippy::panic, clippy::expect_used, reason = "the way a test fails")]
pub fn program(package: &str, name: &str) -> PathBuf {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    if let Some(dir) = std::env::var_os("OAUTH2_PROXY_BIN_DIR") {
        return PathBuf::from(dir).join(name);
    }
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "-p", package, "--bin", name])
        .current_dir(root())
        .status()
        .expect("cargo is installed");
    assert!(status.success(), "{name} does not build");
    let dir = DIR.get_or_init(|| {
        let exe = std::env::current_exe().expect("the path of the test");
        exe.ancestors()
            .nth(2)
            .map_or_else(|| panic!("{} is in no target folder", exe.display()), Path::to_path_buf)
    });
    dir.join(name)
}
