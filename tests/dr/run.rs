//! The real `etcd-dr`, as users start it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use dr_plan::journal::{Entry, Event, Journal, Progress};
use dr_plan::plan::Plan;
use dr_plan::topology::Topology;
use end_to_end::process::Process;
use end_to_end::{binaries, eventually};

use crate::pair::Pair;

/// Plans have steps that take seconds; none takes as long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(100);

/// How `etcd-dr` is called on a pair.
#[derive(Clone)]
pub(crate) struct Dr {
    topology: PathBuf,
    name_server: String,
    log: PathBuf,
}

impl Dr {
    pub(crate) fn new(pair: &Pair) -> Self {
        Self {
            topology: pair.topology_file(),
            name_server: pair.dns.address.to_string(),
            log: pair.path("etcd-dr.log"),
        }
    }

    /// On whatever a topology file in a folder says; there is no name server.
    pub(crate) fn of(folder: &Path) -> Self {
        Self {
            topology: folder.join("topology.yaml"),
            name_server: "127.0.0.1:9".to_owned(),
            log: folder.join("etcd-dr.log"),
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binaries::etcd_dr());
        command.args(args).arg("--topology").arg(&self.topology).env("NO_COLOR", "1");
        // What stands in for `ssh` lies beside the topology file.
        let beside = self.topology.with_file_name("nodes");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(beside).chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(path).unwrap());
        if !["fence", "abandon", "report"].contains(&args[0]) {
            command.args(["--name-server", &self.name_server]);
        }
        command
    }

    /// Runs it to its end. The stand-ins answer meanwhile.
    pub(crate) async fn output(&self, args: &[&str]) -> Output {
        let mut command = self.command(args);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// Runs it to its end, which has to be this one; returns what it printed.
    pub(crate) async fn expect(&self, code: i32, args: &[&str]) -> String {
        let output = self.output(args).await;
        let (out, log) =
            (String::from_utf8(output.stdout), String::from_utf8(output.stderr).unwrap());
        let out = out.unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{log}\n{out}");
        format!("{out}{log}")
    }

    /// Starts it.
    pub(crate) fn start(&self, args: &[&str]) -> Process {
        Process::spawn("etcd-dr", &mut self.command(args), &self.log)
    }

    /// Starts it at a terminal.
    pub(crate) fn start_at(&self, terminal: File, args: &[&str]) -> Process {
        Process::spawn_at("etcd-dr", &mut self.command(args), &self.log, terminal.into())
    }

    /// What all that were started have told so far.
    pub(crate) fn told(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.topology.with_file_name("journal.jsonl")
    }

    /// Reads the journal; a line that is being written is none yet.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        entries(&self.journal())
    }

    pub(crate) fn plan(&self, name: dr_plan::plan::PlanName) -> Plan {
        let text = std::fs::read_to_string(&self.topology).unwrap();
        Plan::new(name, &Topology::parse(&text).unwrap())
    }

    /// The journal holds together, and its last plan is done.
    pub(crate) fn assert_completed(&self) {
        let bytes = std::fs::read(self.journal()).unwrap();
        let read = Journal::verify(&bytes).unwrap();
        assert_eq!(read.whole_bytes, bytes.len());
        assert!(matches!(read.entries.last().unwrap().event, Event::Completed));
        assert!(Progress::from(&read.entries).unwrap().ended());
    }

    /// Waits until the journal has an event.
    pub(crate) async fn wait_for(
        &self,
        what: &str,
        run: &mut Process,
        wanted: impl Fn(&Event) -> bool,
    ) {
        eventually(what, PATIENCE, async || {
            let found = self.entries().iter().any(|entry| wanted(&entry.event));
            if !found && let Some(status) = run.ended() {
                panic!("etcd-dr ended with {status} before: {what}\n{}", run.tail(40));
            }
            found.then_some(())
        })
        .await;
    }
}

pub(crate) fn entries(journal: &Path) -> Vec<Entry> {
    let bytes = std::fs::read(journal).unwrap_or_default();
    Journal::verify(&bytes).unwrap().entries
}

/// The step that an event says is begun.
pub(crate) fn begun(event: &Event) -> Option<&str> {
    let Event::Begun { step } = event else { return None };
    Some(step)
}

/// The step that an event says is done, or was.
pub(crate) fn ended(event: &Event) -> Option<&str> {
    let (Event::Done { step, .. } | Event::Skipped { step, .. }) = event else { return None };
    Some(step)
}
