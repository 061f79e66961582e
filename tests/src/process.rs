//! A child process that does not outlive its handle.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A process that was started here. Killed when dropped, frozen or not.
pub struct Process {
    name: String,
    child: Child,
    ended: Option<ExitStatus>,
    log: PathBuf,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.child.id())
    }
}

impl Process {
    /// Starts `command` with both outputs going to the file `log`.
    ///
    /// # Panics
    ///
    /// If it can't be started.
    #[must_use]
    pub fn spawn(name: &str, command: &mut Command, log: &Path) -> Self {
        Self::spawn_at(name, command, log, Stdio::null())
    }

    /// Starts it with an input as well.
    ///
    /// # Panics
    ///
    /// If it can't be started.
    #[must_use]
    pub fn spawn_at(name: &str, command: &mut Command, log: &Path, input: Stdio) -> Self {
        let file = File::options().create(true).append(true).open(log).expect("log file");
        let child = command
            .stdin(input)
            .stdout(file.try_clone().expect("log file"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("can't start {name} ({command:?}): {error}"));
        Self { name: name.to_owned(), child, ended: None, log: log.to_owned() }
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns how it ended, or `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("wait for a child");
        }
        self.ended
    }

    /// Sends a signal; nothing happens if the process has ended.
    pub fn signal(&mut self, signal: Signal) {
        // Not yet waited for, so the id can't belong to anybody else.
        if self.ended().is_none() {
            let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
            kill_process(pid.expect("a child's id"), signal).expect("signal a child");
        }
    }

    /// Waits for the end.
    ///
    /// # Panics
    ///
    /// If the process still runs after `limit`.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(Instant::now() < deadline, "{} still runs after {limit:?}", self.name);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills it (SIGKILL) and waits.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait(Duration::from_secs(20));
    }

    /// Stops it in the middle of whatever it does (SIGSTOP).
    pub fn freeze(&mut self) {
        self.signal(Signal::STOP);
        // The signal is sent; each thread runs on until it has been seen.
        let begin = Instant::now();
        while self.ended().is_none() && !self.is_stopped() {
            assert!(begin.elapsed() < Duration::from_secs(5), "{} does not stop", self.name);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn is_stopped(&self) -> bool {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.id()));
        let stopped = |task: std::fs::DirEntry| {
            // After the name, which ends with the last parenthesis, comes the state.
            let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit(") ").next().is_none_or(|rest| rest.is_empty() || rest.starts_with('T'))
        };
        tasks.is_ok_and(|tasks| tasks.flatten().all(stopped))
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&mut self) {
        self.signal(Signal::CONT);
    }

    /// Returns everything that it has written so far.
    #[must_use]
    pub fn output(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Returns the last lines of [`Process::output`].
    #[must_use]
    pub fn tail(&self, lines: usize) -> String {
        let output = self.output();
        let skip = output.lines().count().saturating_sub(lines);
        output.lines().skip(skip).collect::<Vec<_>>().join("\n")
    }

    /// Returns the most memory that it ever had resident, in bytes; `None` once it has ended.
    #[must_use]
    pub fn peak_rss(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A child that has ended is an error here, and that is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("---- last output of {self:?}\n{}\n----", self.tail(25));
        }
    }
}
