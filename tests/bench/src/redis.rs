//! A Redis server that keeps nothing on disk, beside the load.

use crate::Outcome;
use crate::process::{Process, free};
use std::path::Path;
use std::process::Command;

/// Starts it with everything it writes below `folder`.
pub(crate) fn start(folder: &Path) -> Outcome<Process> {
    let address = free()?;
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.arg("--port").arg(address.port().to_string()).arg("--dir").arg(folder);
    Process::start(&mut command, address, &folder.join("redis.log"))
}
