//! The command line.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use dr_plan::plan::PlanName;
use dr_plan::topology::Component;
use mirror_config::Log;

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
                  etcd-dr runbook failover -o html > failover.html\n\n\
                  Flags win over environment variables, those over the defaults. The variable of \
                  a flag is its\nname in capitals: ETCD_SYNC_TOPOLOGY.\n\n\
                  Exit codes: 0 done, 2 usage or topology file, 3 could not decide or reach."
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
