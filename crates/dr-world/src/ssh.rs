//! Commands on nodes, over `ssh` as it is set up for whoever runs the plan.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use dr_plan::topology::{Cluster, Node};
use tokio::process::Command;
use tokio::time::timeout;

use crate::Settings;

/// How `ssh` ends when it did not get as far as the command.
const SSH_FAILED: i32 = 255;

/// How long a command may take besides connecting, and besides what it waits for on purpose.
const COMMAND_LIMIT: Duration = Duration::from_secs(5);

/// Why a command did not succeed.
#[derive(Debug)]
pub(crate) enum SshError {
    /// The node was not reached; or, once connected, it has said nothing more.
    Unreached(String),
    /// The node was reached, and the command failed there.
    Failed(String),
}

/// The program, and how long connecting may take.
pub(crate) struct Ssh {
    program: PathBuf,
    time_limit: Duration,
}

impl Ssh {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { program: settings.ssh.clone(), time_limit: settings.time_limit }
    }

    /// Runs a command, and returns what it prints. It may take `pause` longer than others.
    ///
    /// Dropped in the middle, the command may go on over there.
    pub(crate) async fn run(
        &self,
        to: &str,
        command: &str,
        pause: Duration,
    ) -> Result<String, SshError> {
        let seconds = self.time_limit.as_secs().max(1);
        let mut ssh = Command::new(&self.program);
        // Nobody is there to be asked for a password.
        ssh.args(["-o", "BatchMode=yes", "-o", &format!("ConnectTimeout={seconds}"), "--", to])
            .arg(command)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let limit = self.time_limit + COMMAND_LIMIT + pause;
        let output = match timeout(limit, ssh.output()).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => {
                let why = format!("{} can't be run: {error}", self.program.display());
                return Err(SshError::Unreached(why));
            }
            Err(_) => {
                let why = format!("no answer for {} s", limit.as_secs());
                return Err(SshError::Unreached(why));
            }
        };
        let said = String::from_utf8_lossy(&output.stderr);
        let why = || said.lines().last().unwrap_or("it says nothing").trim().to_owned();
        match output.status.code() {
            Some(0) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            Some(SSH_FAILED) | None => Err(SshError::Unreached(why())),
            Some(_) => Err(SshError::Failed(why())),
        }
    }
}

/// Where a node is reached.
pub(crate) fn destination(cluster: &Cluster, node: &Node) -> String {
    format!("{}@{}", cluster.ssh_user, node.address)
}

/// The command as root, whoever the user is: `sudo` may be missing where it is root already.
pub(crate) fn sudo(command: &str) -> String {
    let command = command.replace('\'', r"'\''");
    format!("s='sudo -n'; [ \"$(id -u)\" -ne 0 ] || s=; $s sh -c '{command}'")
}
