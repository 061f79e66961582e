//! The command line as scripts meet it: texts, streams and exit codes. No cluster is needed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail loudly")]

mod config;
mod plan;
mod process;
mod usage;

use std::process::{Command, Output};

/// What a command did.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The binary, with no environment that could speak for a flag.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_etcd-sync"));
    command.args(args).env_clear();
    command
}

fn etcd_sync(args: &[&str]) -> Ran {
    command(args).output().unwrap().into()
}

impl Ran {
    /// One clear line on stderr, nothing on stdout, this code.
    fn is_refused(&self, code: i32, naming: &str) {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        assert_eq!(self.stdout, "");
        assert_eq!(self.stderr.lines().count(), 1, "{}", self.stderr);
        assert!(self.stderr.starts_with("error: "), "{}", self.stderr);
        assert!(self.stderr.contains(naming), "`{naming}` is not named in: {}", self.stderr);
        assert!(!self.stderr.contains("panicked") && !self.stderr.contains("backtrace"));
    }
}
