//! The command line.

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use mirror_config::{Failure, Log};

use crate::flags::{
    AbandonFlags, DrillFlags, FenceFlags, InitFlags, PreflightFlags, ReportFlags, RunFlags,
    RunbookFlags,
};

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
        > topology.yaml\n  \
        etcd-dr init --schema > topology.schema.json\n\n\
        At a terminal it asks for what is not given. What stays open becomes a placeholder; \
        `etcd-dr runbook`\nnames each one that is left.")]
    Init(Box<InitFlags>),
    /// Print a plan, or all of them, with every value filled in
    #[command(after_help = "Example:\n  \
        etcd-dr runbook switchover\n  \
        etcd-dr runbook --topology topology.yaml -o html > runbook.html\n\n\
        With -o json the plan is data: probes, actions, steps and gates. Nothing is asked of any \
        cluster,\nand nothing is done.")]
    Runbook(RunbookFlags),
    /// Say what would have been lost, how long a change of roles took, and what was proved and drilled
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
    /// Look at everything that a plan asks, and at the lag meanwhile; no cluster is touched, and the
    /// journal keeps what was found
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
