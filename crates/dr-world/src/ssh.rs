//! One command on one node, over `ssh`.
//!
//! The program of this machine is used, with its keys, its agent and the hosts that it knows. It
//! asks nobody anything: a password or a host that is unknown ends it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// `ssh` itself ends with this if it did not come as far as the command.
const NOT_THERE: i32 = 255;

/// What a command on a node said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// Whether it ended with 0.
    pub(crate) done: bool,
    pub(crate) output: String,
    /// What it, or `ssh`, complained of.
    pub(crate) complaint: String,
}

/// Runs a command on a node as a user, within a time limit.
///
/// # Errors
///
/// Why it was not run, or is not known to have been.
///
/// # Cancel safety
///
/// Dropping the future ends the program here; the command there may go on.
pub(crate) async fn run(
    program: &Path,
    user: &str,
    node: &str,
    command: &str,
    limit: Duration,
) -> Result<Said, String> {
    // It gives up first, so that it is heard why.
    let seconds = (limit.as_secs() / 2).max(1);
    let child = Command::new(program)
        .args(["-o", "BatchMode=yes", "-o", &format!("ConnectTimeout={seconds}")])
        // Whatever the user is called, it is no option.
        .args(["--", &format!("{user}@{node}"), command])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ended = match timeout(limit, child).await {
        Ok(Ok(ended)) => ended,
        Ok(Err(error)) => return Err(format!("{}: {error}", program.display())),
        Err(_) => {
            let waited = humantime::format_duration(limit);
            return Err(format!("ssh to {node} did not end within {waited}"));
        }
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let (output, complaint) = (text(&ended.stdout), text(&ended.stderr));
    if ended.status.code().is_none_or(|code| code == NOT_THERE) {
        return Err(format!("no ssh to {node}: {complaint}"));
    }
    Ok(Said { done: ended.status.success(), output, complaint })
}
