//! Child processes that end with the task.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// A program that writes into a log file. Asked to end when dropped, then killed.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    pub(crate) fn start(name: &str, command: &mut Command, log: PathBuf) -> Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let file = File::create(&log).with_context(|| format!("can't write {}", log.display()))?;
        // A group of its own: Ctrl-C is for the task, which then ends its children in order.
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .with_context(|| format!("can't start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Fails, with the last it said, if the program has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        let output = self.output();
        let skip = output.lines().count().saturating_sub(12);
        let tail: Vec<&str> = output.lines().skip(skip).collect();
        bail!("{} ended ({status}); the last it said:\n{}", self.name, tail.join("\n"))
    }

    /// Waits until `done`, as long as the program runs.
    pub(crate) fn wait_until(
        &mut self,
        what: &str,
        limit: Duration,
        mut done: impl FnMut(&Self) -> Result<bool>,
    ) -> Result<Duration> {
        let begin = Instant::now();
        while !done(self)? {
            self.check()?;
            if begin.elapsed() > limit {
                bail!("{}: not {what} after {} s", self.name, limit.as_secs());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(begin.elapsed())
    }

    /// Asks it to end (SIGTERM) and waits; kills it after ten seconds.
    pub(crate) fn end(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM).context("can't signal a child")?;
        }
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(10) {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.child.kill()?;
        Ok(self.child.wait()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.end().is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Returns free ports on 127.0.0.1, all different.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut listeners = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}
