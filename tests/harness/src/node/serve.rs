//! What a started node does: take the exit status of ended processes, as the first process of a
//! namespace must, and end when asked to.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use crate::error::{Doing as _, Result};
use crate::node::processes::Processes;
use crate::report::say;

/// Serves until SIGTERM or SIGINT. The kernel ends all other processes of the namespace with this one.
pub(crate) fn serve(processes: Processes) -> Result<()> {
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD]);
    signals.thread_block().doing(|| "block the signals".to_owned())?;
    let components = processes.numbers();
    drop(processes);
    loop {
        reap(&components);
        let signal = signals.wait().doing(|| "wait for a signal".to_owned())?;
        if signal != Signal::SIGCHLD {
            say(format_args!("{signal}: the node ends"));
            return Ok(());
        }
    }
}

/// Takes the status of everything that ended; a component that did is named in the node's log.
fn reap(components: &[(String, u32)]) {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(_) => return,
            Ok(status) => {
                let pid = status.pid().map(nix::unistd::Pid::as_raw);
                let ended =
                    components.iter().find(|(_, number)| i32::try_from(*number).ok() == pid);
                if let Some((name, _)) = ended {
                    say(format_args!("{name} ended: {status:?}"));
                }
            }
        }
    }
}
