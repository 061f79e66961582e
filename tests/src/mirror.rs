//! The real `etcd-sync`, as users start it.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitStatus, Output};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::process::Process;
use crate::{binaries, eventually, http, ports};

/// What a mirror is to be like.
#[derive(Clone, Debug)]
pub struct MirrorBuilder {
    connection: Vec<OsString>,
    flags: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    patience: Duration,
}

impl MirrorBuilder {
    /// Mirrors with this preset.
    #[must_use]
    pub fn preset(self, preset: &str) -> Self {
        self.connection_flag("--preset").connection_flag(preset)
    }

    /// Adds a flag (or its value) that every verb gets: connection and scope.
    #[must_use]
    pub fn connection_flag(mut self, flag: impl Into<OsString>) -> Self {
        self.connection.push(flag.into());
        self
    }

    /// Adds a flag (or its value) to `run`.
    #[must_use]
    pub fn flag(mut self, flag: impl Into<OsString>) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// How long a wait may take before it fails; 30 s unless told.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Starts it.
    #[must_use]
    pub fn start(self) -> Mirror {
        let dir = tempfile::Builder::new().prefix("etcd-sync-e2e-").tempdir().expect("a directory");
        let address = format!("127.0.0.1:{}", ports::free());
        let process = self.spawn(&address, dir.path());
        Mirror { builder: self, address, dir, process }
    }

    /// Runs a verb that needs no mirror with this connection and scope: `plan`, `preflight`, …
    #[must_use]
    pub fn verb(&self, verb: &[&str]) -> Output {
        self.command(verb).output().expect("start etcd-sync")
    }

    /// Runs `etcd-check` with this connection and scope.
    #[must_use]
    pub fn audit(&self, flags: &[&str]) -> Output {
        let program = binaries::etcd_check();
        self.command_of(&program, &[]).args(flags).output().expect("start etcd-check")
    }

    fn command(&self, verb: &[&str]) -> Command {
        self.command_of(&binaries::etcd_sync(), verb)
    }

    fn command_of(&self, program: &Path, verb: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(verb).args(&self.connection).env("NO_COLOR", "1");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    fn spawn(&self, address: &str, dir: &Path) -> Process {
        let mut command = self.command(&["run"]);
        command.args(["--listen", address]);
        if !self.flags.iter().any(|flag| flag == "--check-interval") {
            // So that every test is one of the check as well: a defect is logged as an error.
            command.args(["--check-interval", "3s"]);
        }
        command.args(&self.flags);
        Process::spawn("etcd-sync", &mut command, &dir.join("etcd-sync.log"))
    }
}

/// A running mirror. Killed when dropped.
#[derive(Debug)]
pub struct Mirror {
    builder: MirrorBuilder,
    address: String,
    // Dropped in this order: a process that a test leaves shows the end of its log, which lies there.
    process: Process,
    dir: TempDir,
}

impl Mirror {
    /// Returns the settings of a mirror from `primary` to `standby`, to be changed and started.
    #[must_use]
    pub fn builder(primary: &[String], standby: &[String]) -> MirrorBuilder {
        let connection = [
            "--primary-endpoints".to_owned(),
            primary.join(","),
            "--standby-endpoints".to_owned(),
            standby.join(","),
        ];
        MirrorBuilder {
            connection: connection.map(OsString::from).to_vec(),
            flags: Vec::new(),
            variables: Vec::new(),
            patience: Duration::from_secs(30),
        }
    }

    /// Returns the address of its HTTP, such as `127.0.0.1:20123`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns its process: to freeze it, to signal it, to read its output and its memory.
    pub const fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Kills it (SIGKILL).
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Asks it to end (SIGTERM) and returns how it did.
    pub fn terminate(&mut self) -> ExitStatus {
        self.process.signal(Signal::TERM);
        self.process.wait(self.builder.patience)
    }

    /// Starts it again after its end, with the same flags.
    pub fn restart(&mut self) {
        assert!(self.process.ended().is_some(), "etcd-sync still runs");
        self.process = self.builder.spawn(&self.address, self.dir.path());
    }

    /// Gets one of its pages.
    ///
    /// # Errors
    ///
    /// If it does not answer.
    pub async fn get(&self, path: &str) -> std::io::Result<http::Response> {
        http::get(&self.address, path, &[]).await
    }

    /// Returns `/api/v1/status`, or `None` while that can't be had.
    pub async fn status(&self) -> Option<Value> {
        let response = self.get("/api/v1/status").await.ok()?;
        serde_json::from_str(&response.body).ok()
    }

    /// Waits until the status is as `wanted` says, and returns it.
    ///
    /// # Panics
    ///
    /// If the mirror ends, or patience does.
    pub async fn wait_for(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let address = self.address.clone();
        let process = &mut self.process;
        eventually(what, self.builder.patience, async || {
            if let Some(status) = process.ended() {
                panic!("etcd-sync ended with {status} instead of: {what}\n{}", process.tail(30));
            }
            let response = http::get(&address, "/api/v1/status", &[]).await.ok()?;
            serde_json::from_str(&response.body).ok().filter(&wanted)
        })
        .await
    }

    /// Waits until it is in a state: `following`, `blocked`, …
    pub async fn wait_for_state(&mut self, state: &str) -> Value {
        self.wait_for(&format!("state {state}"), |status| status["state"] == state).await
    }

    /// Waits until the standby holds everything up to a revision of the primary.
    pub async fn wait_for_checkpoint(&mut self, revision: i64) -> Value {
        self.wait_for(&format!("checkpoint at {revision} or later"), |status| {
            status["torn"] != true
                && status["checkpoint_revision"].as_i64().is_some_and(|at| at >= revision)
        })
        .await
    }

    /// Runs another verb with the same connection and scope: `status`, `pause`, `resync --accept …`.
    #[must_use]
    pub fn verb(&self, verb: &[&str]) -> Output {
        self.builder.verb(verb)
    }

    /// Runs `etcd-check` with the same connection and scope.
    #[must_use]
    pub fn audit(&self, flags: &[&str]) -> Output {
        self.builder.audit(flags)
    }

    /// Ends the test if the log has lines of level ERROR, or a panic, other than those that contain
    /// one of `expected`.
    ///
    /// # Panics
    ///
    /// If there are such lines; they are in the message.
    pub fn assert_no_errors(&self, expected: &[&str]) {
        let output = self.process.output();
        let found: Vec<&str> = unexpected_errors(&output, expected).collect();
        assert!(found.is_empty(), "etcd-sync logged errors:\n{}", found.join("\n"));
    }
}

/// What a check says that finds a defect of the engine: never to happen, in no test.
const DEFECT: &str = "the mirror itself wrote what the primary never had";

impl Drop for Mirror {
    /// Every mirror of every test is checked beside its work.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let output = self.process.output();
            assert!(!output.contains(DEFECT), "an engine defect:\n{}", self.process.tail(30));
        }
    }
}

/// Returns the lines of a log that tell of an error or a panic and contain none of `expected`.
pub fn unexpected_errors<'a>(
    log: &'a str,
    expected: &'a [&'a str],
) -> impl Iterator<Item = &'a str> {
    log.lines().filter(|line| {
        let level = line.split_whitespace().take(3).any(|word| word == "ERROR")
            || line.contains(r#""level":"ERROR""#);
        (level || line.contains("panicked at"))
            && !expected.iter().any(|expected| line.contains(expected))
    })
}
