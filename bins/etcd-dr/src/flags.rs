//! The flags of each verb.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use dr_plan::plan::PlanName;
use dr_plan::topology::Component;
use mirror_config::Failure;
use mirror_engine::promotion::FenceDigest;

/// What is known already.
#[derive(Debug, Args)]
pub(crate) struct InitFlags {
    /// Print the JSON Schema of the file instead, for editors
    #[arg(long)]
    pub(crate) schema: bool,
    /// The domain of the platform's address
    #[arg(long, default_value = "", value_name = "NAME")]
    pub(crate) domain: String,
    /// The file with the domain's certificate
    #[arg(long, default_value = "", value_name = "FILE")]
    pub(crate) certificate: String,
    /// The name of the cluster that serves the platform
    #[arg(long, default_value = "", value_name = "NAME", help_heading = "Primary")]
    pub(crate) primary_name: String,
    /// Its virtual IP
    #[arg(long, default_value = "", value_name = "IP", help_heading = "Primary")]
    pub(crate) primary_vip: String,
    /// One of its control-plane nodes (repeatable)
    #[arg(long, value_parser = node, value_name = "NAME=IP", help_heading = "Primary")]
    pub(crate) primary_node: Vec<(String, String)>,
    /// Its kubeconfig file
    #[arg(long, default_value = "", value_name = "FILE", help_heading = "Primary")]
    pub(crate) primary_kubeconfig: String,
    /// The context in that; the current one if not given
    #[arg(long, default_value = "", value_name = "NAME", help_heading = "Primary")]
    pub(crate) primary_context: String,
    /// The name of the cluster that is to take over
    #[arg(long, default_value = "", value_name = "NAME", help_heading = "Standby")]
    pub(crate) standby_name: String,
    /// Its virtual IP
    #[arg(long, default_value = "", value_name = "IP", help_heading = "Standby")]
    pub(crate) standby_vip: String,
    /// One of its control-plane nodes (repeatable)
    #[arg(long, value_parser = node, value_name = "NAME=IP", help_heading = "Standby")]
    pub(crate) standby_node: Vec<(String, String)>,
    /// Its kubeconfig file
    #[arg(long, default_value = "", value_name = "FILE", help_heading = "Standby")]
    pub(crate) standby_kubeconfig: String,
    /// The context in that; the current one if not given
    #[arg(long, default_value = "", value_name = "NAME", help_heading = "Standby")]
    pub(crate) standby_context: String,
    /// An installed component that a plan cares for (repeatable)
    #[arg(long, value_parser = Component::ALL.map(Component::as_str), value_name = "NAME")]
    pub(crate) component: Vec<String>,
}

/// Which runbook.
#[derive(Debug, Args)]
pub(crate) struct RunbookFlags {
    /// The plan; without it, all of them
    #[arg(value_parser = PlanName::ALL.map(PlanName::as_str), value_name = "PLAN")]
    pub(crate) plan: Option<String>,
    #[command(flatten)]
    pub(crate) topology: TopologyFlag,
}

/// Which report.
#[derive(Debug, Args)]
pub(crate) struct ReportFlags {
    #[command(flatten)]
    pub(crate) topology: TopologyFlag,
    /// The journal of what was done; journal.jsonl beside the topology file if not given
    #[arg(long, env = "ETCD_SYNC_JOURNAL", value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
    /// The samples of the lag, as the mirror keeps them with --samples-file
    #[arg(long, env = "ETCD_SYNC_SAMPLES", value_name = "FILE")]
    pub(crate) samples: Option<PathBuf>,
}

/// How a plan is run.
#[derive(Debug, Args)]
pub(crate) struct RunFlags {
    #[command(flatten)]
    pub(crate) topology: TopologyFlag,
    #[command(flatten)]
    pub(crate) look: LookFlags,
    /// The journal of what was done; journal.jsonl beside the topology file if not given
    #[arg(long, env = "ETCD_SYNC_JOURNAL", value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
    /// Look at everything, say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Ask nobody: confirm what has to be confirmed, and wait for what people do where that can be
    /// seen; stop where only a person can tell
    #[arg(long)]
    pub(crate) yes: bool,
    /// Do nothing before this step: what comes before it must be done already
    #[arg(long, value_name = "STEP")]
    pub(crate) from: Option<String>,
    /// Say yes beforehand to what only a person can tell of this gate or step (repeatable)
    #[arg(long, value_name = "GATE|STEP")]
    pub(crate) attest: Vec<String>,
    /// Pass this gate although it is closed (repeatable; each needs a --reason)
    #[arg(long = "override", value_name = "GATE")]
    pub(crate) overrides: Vec<String>,
    /// Why, in the order of --override, or once for all; it is kept in the journal
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Vec<String>,
}

impl RunFlags {
    /// Returns gates and reasons. A gate without one has an empty reason, which is refused later,
    /// with the gate's name.
    pub(crate) fn overridden(&self) -> Result<Vec<(String, String)>, Failure> {
        if self.reason.len() > self.overrides.len() {
            return Err(Failure::usage("--reason: there are more reasons than overrides"));
        }
        let for_all = (self.reason.len() == 1).then(|| self.reason.first()).flatten();
        let given = self.overrides.iter().enumerate().map(|(index, gate)| {
            let reason = self.reason.get(index).or(for_all).cloned();
            (gate.clone(), reason.unwrap_or_default())
        });
        Ok(given.collect())
    }
}

/// How a pair is looked at.
#[derive(Debug, Args)]
pub(crate) struct LookFlags {
    /// The mirror's configuration file, if its scope is not that of the preset kubernetes
    #[arg(long, env = "ETCD_SYNC_MIRROR_CONFIG", value_name = "FILE")]
    pub(crate) mirror_config: Option<PathBuf>,
    /// Ask this name server instead of the machine's own (repeatable)
    #[arg(long, env = "ETCD_SYNC_NAME_SERVER", value_name = "IP:PORT", value_delimiter = ',')]
    pub(crate) name_server: Vec<SocketAddr>,
}

/// What to rehearse.
#[derive(Debug, Args)]
pub(crate) struct DrillFlags {
    /// The plan
    #[arg(value_parser = PlanName::ALL.map(PlanName::as_str), value_name = "PLAN")]
    pub(crate) plan: String,
    #[command(flatten)]
    pub(crate) topology: TopologyFlag,
    #[command(flatten)]
    pub(crate) look: LookFlags,
    /// The journal that it is written into; journal.jsonl beside the topology file if not given
    #[arg(long, env = "ETCD_SYNC_JOURNAL", value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
    /// For how many seconds to look at the lag
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub(crate) seconds: u64,
    /// Add what was seen of the lag to this file, for `etcd-dr report`
    #[arg(long, env = "ETCD_SYNC_SAMPLES", value_name = "FILE")]
    pub(crate) samples: Option<PathBuf>,
}

impl DrillFlags {
    /// Returns the command that does what was rehearsed, to be pasted into a shell.
    pub(crate) fn in_earnest(&self) -> String {
        let mut words = vec![self.plan.clone()];
        let files = [("--mirror-config", &self.look.mirror_config), ("--journal", &self.journal)];
        for (flag, file) in files {
            let file = file.as_ref().map(|file| file.to_string_lossy().into_owned());
            words.extend(file.into_iter().flat_map(|file| [flag.to_owned(), file]));
        }
        for server in &self.look.name_server {
            words.extend(["--name-server".to_owned(), server.to_string()]);
        }
        self.topology.command(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

/// What to look at before the first write.
#[derive(Debug, Args)]
pub(crate) struct PreflightFlags {
    #[command(flatten)]
    pub(crate) topology: TopologyFlag,
    #[command(flatten)]
    pub(crate) look: LookFlags,
}

/// What to do with the fence.
#[derive(Debug, Args)]
pub(crate) struct FenceFlags {
    #[command(flatten)]
    pub(crate) topology: TopologyFlag,
    /// Show the fence that stands, and raise none
    #[arg(long, conflicts_with_all = ["release", "yes"])]
    pub(crate) show: bool,
    /// Take back the fence with this digest: a mirror may overwrite the cluster again
    #[arg(long, value_name = "DIGEST")]
    pub(crate) release: Option<FenceDigest>,
    /// Ask nobody
    #[arg(long)]
    pub(crate) yes: bool,
}

/// What to give up.
#[derive(Debug, Args)]
pub(crate) struct AbandonFlags {
    #[command(flatten)]
    pub(crate) topology: TopologyFlag,
    /// The journal; journal.jsonl beside the topology file if not given
    #[arg(long, env = "ETCD_SYNC_JOURNAL", value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
    /// Why; it is kept
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

/// Which pair of clusters.
#[derive(Debug, Args)]
pub(crate) struct TopologyFlag {
    /// The topology file
    #[arg(
        long = "topology",
        default_value = "topology.yaml",
        env = "ETCD_SYNC_TOPOLOGY",
        value_name = "FILE"
    )]
    pub(crate) file: PathBuf,
}

impl TopologyFlag {
    /// Returns a command of this program about the same pair, to be pasted into a shell.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        let file = self.file.to_string_lossy();
        let about = ["--topology", &file];
        shell_line(["etcd-dr"].iter().chain(words).chain(&about).copied())
    }
}

/// Joins words to a line that a shell takes apart as they are.
pub(crate) fn shell_line<'w>(words: impl Iterator<Item = &'w str> + Clone) -> String {
    // No argument of a process has the one character that can't be quoted.
    shlex::try_join(words.clone()).unwrap_or_else(|_| words.collect::<Vec<_>>().join(" "))
}

/// Reads a node.
pub(crate) fn node(text: &str) -> Result<(String, String), String> {
    match text.split_once('=').map(|(name, address)| (name.trim(), address.trim())) {
        Some((name, address)) if !name.is_empty() && !address.is_empty() => {
            Ok((name.to_owned(), address.to_owned()))
        }
        _ => Err("write NAME=IP".to_owned()),
    }
}
