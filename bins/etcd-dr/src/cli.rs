//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use dr_plan::plan::PlanName;
use dr_plan::topology::Component;
use mirror_config::{Failure, Log};
use mirror_engine::promotion::FenceDigest;

/// Plans for the day on which a cluster is lost, and for all days before.
///
/// One topology file describes two clusters and what stands around them. From it come runbooks in
/// which every address and command is filled in.
#[derive(Debug, Parser)]
#[command(
    name = "etcd-dr",
    version,
    max_term_width = 100,
    propagate_version = false,
    after_help = "Example:\n  \
                  etcd-dr init --domain platform.example.org > topology.yaml\n  \
                  etcd-dr runbook failover -o html > failover.html\n  \
                  etcd-dr switchover --dry-run\n  \
                  etcd-dr switchover\n\n\
                  Flags win over environment variables, those over the defaults. The variable of \
                  a flag is its\nname in capitals: ETCD_SYNC_TOPOLOGY.\n\n\
                  Exit codes: 0 done, 1 a gate or a step is not as it should be, 2 usage or topology\n\
                  file, 3 could not decide or reach, 4 refused by a safety guard, 130 interrupted."
)]
pub(crate) struct Cli {
    /// How results are written
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT",
        help_heading = "Output",
        env = "ETCD_SYNC_OUTPUT"
    )]
    pub(crate) output: Form,
    #[command(flatten)]
    pub(crate) log: Log,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// For people; a runbook is Markdown then.
    #[default]
    Text,
    /// For programs: a stable contract; readers ignore unknown fields.
    Json,
    /// For documents.
    Markdown,
    /// One page that needs nothing else.
    Html,
}

impl Form {
    /// Refuses the forms that are for pages.
    pub(crate) fn is_for_results(self) -> Result<(), Failure> {
        match self {
            Self::Text | Self::Json => Ok(()),
            Self::Markdown | Self::Html => {
                Err(Failure::usage("--output: a result is text or json; pages are for `runbook`"))
            }
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Write a topology file to fill in, with a comment on every field
    #[command(after_help = "Example:\n  \
        etcd-dr init --domain platform.example.org --certificate platform.crt \\\n    \
        --primary-name east --primary-vip 10.0.0.100 --primary-node east-m1=10.0.0.1 \\\n    \
        --standby-name west --standby-vip 10.1.0.100 --standby-node west-m1=10.1.0.1 \\\n    \
        > topology.yaml\n\n\
        What is not given becomes a placeholder; `etcd-dr runbook` names each one that is left.")]
    Init(Box<InitFlags>),
    /// Print a plan, or all of them, with every value filled in
    #[command(after_help = "Example:\n  \
        etcd-dr runbook switchover\n  \
        etcd-dr runbook --topology topology.yaml -o html > runbook.html\n\n\
        With -o json the plan is data: probes, actions, steps and gates. Nothing is asked of any \
        cluster,\nand nothing is done.")]
    Runbook(RunbookFlags),
    /// Say what would have been lost, how long a change of roles took, and what was proved
    #[command(after_help = "Example:\n  \
        etcd-dr report --journal journal.jsonl --samples samples.jsonl\n\n\
        A journal in which a line was changed, removed or put in is refused, and the line named.")]
    Report(ReportFlags),
    /// Install a pair: what must be equal, and what must not
    #[command(
        after_help = "Example:\n  etcd-dr install\n\nA run that ended early, or was killed, goes on when the same command is given again."
    )]
    Install(Box<RunFlags>),
    /// Start the mirror from the primary into the standby
    #[command(
        after_help = "Example:\n  etcd-dr enable --dry-run\n\nA run that ended early, or was killed, goes on when the same command is given again."
    )]
    Enable(Box<RunFlags>),
    /// Find out whether the standby could take over now
    #[command(
        after_help = "Example:\n  etcd-dr check\n\nA run that ended early, or was killed, goes on when the same command is given again."
    )]
    Check(Box<RunFlags>),
    /// Make the standby the primary while both are well; nothing is lost
    #[command(
        after_help = "Example:\n  etcd-dr switchover --dry-run\n  etcd-dr switchover\n\nA run that ended early, or was killed, goes on when the same command is given again."
    )]
    Switchover(Box<RunFlags>),
    /// Make the standby the primary without the primary's help
    #[command(
        after_help = "Example:\n  etcd-dr failover --override dns-known --reason 'ttl unknown'\n\nA run that ended early, or was killed, goes on when the same command is given again."
    )]
    Failover(Box<RunFlags>),
    /// Enrol the old primary as the new standby, and keep what only it has
    #[command(
        after_help = "Example:\n  etcd-dr failback\n\nA run that ended early, or was killed, goes on when the same command is given again."
    )]
    Failback(Box<RunFlags>),
    /// Upgrade both clusters, one after the other
    #[command(
        after_help = "Example:\n  etcd-dr upgrade\n\nA run that ended early, or was killed, goes on when the same command is given again."
    )]
    Upgrade(Box<RunFlags>),
    /// Upload to the primary, and see it arrive
    #[command(
        after_help = "Example:\n  etcd-dr upload\n\nA run that ended early, or was killed, goes on when the same command is given again."
    )]
    Upload(Box<RunFlags>),
    /// Look at everything that a plan asks, and at the lag meanwhile; nothing is touched
    #[command(
        after_help = "Example:\n  etcd-dr drill failover --seconds 60 --samples samples.jsonl"
    )]
    Drill(Box<DrillFlags>),
    /// Say what would go wrong if this pair were mirrored, before the first write
    #[command(after_help = "Example:\n  etcd-dr preflight -o json")]
    Preflight(PreflightFlags),
    /// Fence every mirror of the standby for good, show the fence, or take it back
    #[command(after_help = "Example:\n  \
        etcd-dr fence\n  etcd-dr fence --show\n  \
        etcd-dr fence --release 0123456789abcdef0123456789abcdef\n\n\
        The fence is the part of a promotion that can't be done by halves: one transaction on the \
        standby's\netcd. Once it stands nothing of a mirror's lands, whatever is still on its way.")]
    Fence(FenceFlags),
    /// Give up a plan that was begun; nothing is undone
    #[command(
        after_help = "Example:\n  etcd-dr abandon --reason 'the primary came back by itself'"
    )]
    Abandon(AbandonFlags),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  source <(etcd-dr completion bash)")]
    Completion {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the version
    #[command(after_help = "Example:\n  etcd-dr version -o json")]
    Version,
}

/// What is known already.
#[derive(Debug, Args)]
pub(crate) struct InitFlags {
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
    /// The journal of what was done
    #[arg(long, env = "ETCD_SYNC_JOURNAL", value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
    /// The samples of the lag
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
    /// For how many seconds to look at the lag
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub(crate) seconds: u64,
    /// Add what was seen of the lag to this file, for `etcd-dr report`
    #[arg(long, env = "ETCD_SYNC_SAMPLES", value_name = "FILE")]
    pub(crate) samples: Option<PathBuf>,
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

fn node(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, address)) if !name.is_empty() && !address.is_empty() => {
            Ok((name.to_owned(), address.to_owned()))
        }
        _ => Err("write NAME=IP".to_owned()),
    }
}

/// Returns the command line's grammar.
pub(crate) fn grammar() -> clap::Command {
    without_env(Cli::command())
}

/// One sentence says how variables are named; what they hold is nobody's business.
fn without_env(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| arg.hide_env(true).hide_env_values(true)).mut_subcommands(without_env)
}

/// Parses the process's arguments; the error is to be printed as it is.
pub(crate) fn parse() -> Result<Cli, clap::Error> {
    let mut grammar = grammar();
    let matches = grammar.try_get_matches_from_mut(std::env::args_os())?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut grammar))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        grammar().debug_assert();
    }

    #[test]
    fn every_verb_has_an_example() {
        for verb in grammar().get_subcommands() {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            let example = format!("etcd-dr {}", verb.get_name());
            assert!(help.starts_with("Example:") && help.contains(&example), "{example}");
        }
    }
}
