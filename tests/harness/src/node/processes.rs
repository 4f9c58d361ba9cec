//! The node's components as processes: started with a log each, watched while waiting.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::clock::Deadline;
use crate::cluster::config::Arguments;
use crate::cluster::state::State;
use crate::error::{Doing as _, Error, Result};
use crate::program::tail;

/// How many lines of a log an error shows.
const LINES: usize = 25;

/// What was started.
#[derive(Debug)]
pub(crate) struct Processes {
    state: State,
    running: Vec<(String, Child)>,
}

impl Processes {
    pub(crate) fn new(state: &State) -> Self {
        Self { state: state.clone(), running: Vec::new() }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Starts `program` as the component `name`.
    pub(crate) fn start(&mut self, name: &str, program: &Path, arguments: Arguments) -> Result<()> {
        let path = self.state.log(name);
        let log = File::create(&path).doing(|| format!("write {}", path.display()))?;
        let errors = log.try_clone().doing(|| format!("write {}", path.display()))?;
        let child = Command::new(program)
            .args(arguments.0)
            .current_dir("/")
            .env("TMPDIR", self.state.path("tmp"))
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .doing(|| format!("start {}", program.display()))?;
        self.running.push((name.to_owned(), child));
        Ok(())
    }

    /// Waits until `check` answers `Ok`; its `Err` says what was seen instead.
    ///
    /// Ends early when a component has ended. `log` is the component whose log tells most.
    pub(crate) fn wait(
        &mut self,
        what: &str,
        log: &str,
        mut check: impl FnMut() -> Result<(), String>,
    ) -> Result<()> {
        let deadline = Deadline::after(Duration::from_mins(3));
        loop {
            let Err(seen) = check() else {
                return Ok(());
            };
            if let Some((name, status)) = self.ended() {
                return Err(Error::Node(format!(
                    "{name} ended ({status}) while waiting for {what}{}",
                    self.log_tail(&name)
                )));
            }
            if deadline.passed() {
                return Err(Error::Late {
                    what: what.to_owned(),
                    limit: deadline.limit(),
                    seen,
                    log: self.log_tail(log),
                });
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn ended(&mut self) -> Option<(String, String)> {
        self.running.iter_mut().find_map(|(name, child)| {
            let status = child.try_wait().ok()??;
            Some((name.clone(), status.to_string()))
        })
    }

    fn log_tail(&self, name: &str) -> String {
        let path = self.state.log(name);
        let bytes = std::fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        format!("\n  end of {name}'s log:\n{}", tail(&text, LINES))
    }

    /// Name and number of every component.
    pub(crate) fn numbers(&self) -> Vec<(String, u32)> {
        self.running.iter().map(|(name, child)| (name.clone(), child.id())).collect()
    }
}
