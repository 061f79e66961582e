//! The command line.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use mirror_config::output::Format;
use mirror_config::{Flags, Log, Span};
use mirror_preflight::Gate;

use crate::flags::{EncryptionFlags, RunFlags};

/// Mirrors a primary Kubernetes cluster's etcd into a standby cluster's etcd.
#[derive(Debug, Parser)]
#[command(
    name = "etcd-sync",
    version,
    max_term_width = 100,
    propagate_version = false,
    after_help = "Flags win over environment variables, those over the file of --config, that over \
                  the defaults.\nThe variable of a flag is its name in capitals: \
                  ETCD_SYNC_PRIMARY_ENDPOINTS.\nPasswords and keys come from files only.\n\n\
                  Exit codes: 0 done, 1 the mirror is not healthy, 2 usage or configuration, \
                  3 could not reach or decide, 4 refused by a safety guard, 130 interrupted."
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
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) log: Log,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Copy, follow, and keep following until told to stop
    #[command(after_help = "Example:\n  \
        etcd-sync run \\\n    \
        --primary-endpoints https://10.0.0.1:2379,https://10.0.0.2:2379 \\\n    \
        --primary-cacert p/ca.crt --primary-cert p/client.crt --primary-key p/client.key \\\n    \
        --standby-endpoints https://127.0.0.1:2379 \\\n    \
        --standby-cacert s/ca.crt --standby-cert s/client.crt --standby-key s/client.key\n\n\
        Runs until SIGTERM or SIGINT, then exits with 0; with 4 if both sides are the same \
        cluster.\nA cluster that is away is waited for.")]
    Run {
        #[command(flatten)]
        mirror: Box<Flags>,
        #[command(flatten)]
        run: Box<RunFlags>,
    },
    /// Show what the mirror does and how far it is
    #[command(after_help = "Example:\n  \
        etcd-sync status --config etcd-sync.yaml\n\n\
        Reads what the mirror left on the standby; the primary is not asked. How old that is, the \
        leader key's lease\nproves at once; else the status is watched for 6 s. No clocks are \
        compared.\nExits with 0 while the mirror follows, 1 while it does not (starting, copying, \
        paused, blocked, fenced),\n3 if the standby can't be reached or nothing proves that a mirror \
        runs.")]
    Status(Box<Flags>),
    /// Tell the mirror to stand still, until `resume`
    #[command(after_help = "Example:\n  \
        etcd-sync pause --config etcd-sync.yaml\n\n\
        The order is kept on the standby: it outlives restarts of the mirror.\nWaits until the \
        mirror is paused: 0 it is, 3 it has not answered within --timeout (the order stays),\n4 \
        the standby is promoted.")]
    Pause {
        #[command(flatten)]
        patience: Patience,
        #[command(flatten)]
        mirror: Box<Flags>,
    },
    /// Tell a paused mirror to go on
    #[command(after_help = "Example:\n  etcd-sync resume --config etcd-sync.yaml\n\n\
        Waits until the mirror follows or has begun to copy: 0 it does, 3 it has not answered within \
        --timeout\n(the order stays), 4 a guard blocks it, or the standby is promoted.")]
    Resume {
        #[command(flatten)]
        patience: Patience,
        #[command(flatten)]
        mirror: Box<Flags>,
    },
    /// Put right what differs on the standby: show the plan, then have it carried out
    #[command(after_help = "Example:\n  \
        etcd-sync repair --config etcd-sync.yaml\n  \
        etcd-sync repair --config etcd-sync.yaml --execute --accept 6f1c…\n\n\
        The first shows every key and writes nothing; it exits with 0 if there is nothing to \
        repair, else with 1.\nThe second has the running mirror do exactly that, and waits: 0 \
        done, 1 done but for keys that others\nwrote meanwhile, 3 not done in time, 4 refused, \
        because it would do something else by now.\nKeys that others made on the standby are \
        deleted only with --kind surplus.")]
    Repair {
        /// Only keys that differ in this way; may be given several times
        #[arg(long = "kind", value_enum, value_name = "KIND")]
        kinds: Vec<Kind>,
        #[command(flatten)]
        order: OrderFlags,
        #[command(flatten)]
        mirror: Box<Flags>,
    },
    /// Compare everything anew and repair it; or allow the resync that a guard stopped
    #[command(after_help = "Example:\n  \
        etcd-sync resync --config etcd-sync.yaml\n  \
        etcd-sync resync --config etcd-sync.yaml --execute --accept 6f1c…\n  \
        etcd-sync resync --config etcd-sync.yaml --accept 6f1c…\n\n\
        The first two are a repair of everything but the keys that others made: see `etcd-sync \
        repair --help`.\nThe last one is for a mirror that is blocked: `etcd-sync status` names \
        the digest of exactly what it would\ndo. Any other digest is refused with 4. Then it waits \
        until the mirror follows: 0 it does, 3 it has not\nanswered within --timeout (the order \
        stays), 4 it refuses, because its plan has changed since, or a\nguard blocks it again.")]
    Resync {
        #[command(flatten)]
        order: OrderFlags,
        #[command(flatten)]
        mirror: Box<Flags>,
    },
    /// Tell what would go wrong if this pair were mirrored, before the first write
    #[command(after_help = "Example:\n  \
        etcd-sync preflight --config etcd-sync.yaml --encryption-config standby-encryption.yaml\n\n\
        Reads both sides in full and writes nothing. Exits with 0 if nothing forbids to mirror the \
        pair (warnings\nincluded), 1 if a gate refuses it, 4 if both sides are the same cluster.\n\
        docs/preflight.md says what each gate means.")]
    Preflight {
        /// Do not refuse because of this gate; may be given several times
        #[arg(
            long = "allow",
            value_name = "GATE",
            value_parser = PossibleValuesParser::new(Gate::NAMES).try_map(|name| name.parse::<Gate>())
        )]
        allow: Vec<Gate>,
        #[command(flatten)]
        encryption: EncryptionFlags,
        #[command(flatten)]
        mirror: Box<Flags>,
    },
    /// Show what a mirror would copy, change and delete, without writing anything
    #[command(after_help = "Example:\n  \
        etcd-sync plan --config etcd-sync.yaml\n  \
        etcd-sync plan --config etcd-sync.yaml --by namespace --deletions deleted.txt\n  \
        etcd-sync plan --config etcd-sync.yaml --explain /registry/secrets/team/password\n\n\
        The first two read both sides in full, less what stays local by whole resources, such as \
        events. They\nexit with 0 whatever they find, 3 if a side can't be reached, 4 if both \
        sides are the same cluster.\nThe last one asks the rules alone: it connects to nothing \
        and needs no endpoints.")]
    Plan {
        /// Tell which rule decides this key, as the primary spells it, and why; may be given several
        /// times
        #[arg(
            long,
            value_name = "KEY",
            conflicts_with = "by",
            value_parser = clap::builder::NonEmptyStringValueParser::new()
        )]
        explain: Vec<String>,
        /// Count the primary's keys, in scope or local, by this
        #[arg(long, value_enum, value_name = "WHAT")]
        by: Option<By>,
        /// How many of the keys to be deleted are named
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: usize,
        /// Write all keys to be deleted to this file, one a line
        #[arg(long, value_name = "FILE")]
        deletions: Option<PathBuf>,
        #[command(flatten)]
        mirror: Box<Flags>,
    },
    /// Move what is parked to its own place, once the standby is promoted
    #[command(after_help = "Example:\n  \
        etcd-sync release --config etcd-sync.yaml\n  \
        etcd-sync release --config etcd-sync.yaml --in-the-way overwrite\n\n\
        For keys that a rule with `action: hold-until-promote` holds. Needs the promotion fence; may \
        be interrupted\nand given again. The first only says what would be moved and what is in the \
        way. Exits with 0 when all is\nmoved, 1 when something is left, 4 if the standby is not \
        promoted.")]
    Release {
        /// What becomes of an object that has another of the standby's in its own place
        #[arg(long, value_enum, default_value_t = InTheWay::Report, value_name = "POLICY")]
        in_the_way: InTheWay,
        #[command(flatten)]
        mirror: Box<Flags>,
    },
    /// Look at the configuration without using it
    Config {
        #[command(subcommand)]
        verb: ConfigVerb,
    },
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  source <(etcd-sync completion bash)")]
    Completion {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the version
    #[command(after_help = "Example:\n  etcd-sync version -o json")]
    Version,
}

/// What keys are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum By {
    /// The resource, as etcd spells it.
    Resource,
    /// The namespace; a Namespace object belongs to itself.
    Namespace,
    /// The rule that decides.
    Rule,
}

/// What becomes of a parked object if the standby has another in its own place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum InTheWay {
    /// The parked one takes its place.
    Overwrite,
    /// The standby's stays, and the parked one stays parked.
    Keep,
    /// Nothing is moved: only what would be is told.
    Report,
}

/// How the standby may differ from the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// The standby lacks the key: it is written.
    Missed,
    /// The standby alone has the key: it is deleted, whoever made it.
    Surplus,
    /// Both have the key, with other values: it is overwritten.
    Different,
}

/// From a plan to an order.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Order")]
pub(crate) struct OrderFlags {
    /// Show the plan and write nothing; so it is without --execute, too
    #[arg(long, conflicts_with = "execute")]
    pub(crate) dry_run: bool,
    /// Have the running mirror carry out the plan with the digest of --accept
    #[arg(long, requires = "accept")]
    pub(crate) execute: bool,
    /// The digest of the plan, which names exactly what is done
    #[arg(long, value_name = "DIGEST", conflicts_with = "dry_run")]
    pub(crate) accept: Option<String>,
    #[command(flatten)]
    pub(crate) patience: Patience,
}

/// How long to wait for what becomes of an order.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = "Order")]
pub(crate) struct Patience {
    /// Wait until the mirror has answered the order; with =false, return as soon as it is given. A
    /// length of time is the same as --timeout
    #[arg(
        long,
        num_args = 0..=1,
        default_missing_value = "true",
        default_value = "true",
        value_name = "BOOL"
    )]
    pub(crate) wait: Wait,
    /// How long to wait without any sign of progress [default: 60s; 10m for --execute]
    #[arg(long, value_name = "DURATION")]
    pub(crate) timeout: Option<Span>,
}

impl Patience {
    /// How long to wait, if at all; `usual` unless told.
    pub(crate) fn limit(&self, usual: Duration) -> Option<Duration> {
        match (self.timeout, self.wait) {
            (_, Wait::No) => None,
            (Some(span), _) | (None, Wait::For(span)) => Some(span.0),
            (None, Wait::Yes) => Some(usual),
        }
    }
}

/// Whether to wait for an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Until there is one.
    Yes,
    /// Not at all.
    No,
    /// For so long.
    For(Span),
}

impl FromStr for Wait {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "true" => Ok(Self::Yes),
            "false" => Ok(Self::No),
            other => other.parse().map(Self::For).map_err(|why: String| format!("{why}, or false")),
        }
    }
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Tell whether `run` would accept these flags, variables and files
    #[command(after_help = "Example:\n  etcd-sync config validate --config etcd-sync.yaml\n\n\
        Reads certificates and rules; connects to nothing.")]
    Validate {
        #[command(flatten)]
        mirror: Box<Flags>,
        #[command(flatten)]
        run: Box<RunFlags>,
    },
    /// Print the settings that count, defaults included, as a configuration file
    #[command(after_help = "Example:\n  etcd-sync config show --config etcd-sync.yaml > full.yaml")]
    Show {
        #[command(flatten)]
        mirror: Box<Flags>,
        #[command(flatten)]
        run: Box<RunFlags>,
    },
    /// Print the JSON Schema of the configuration file, for editors
    #[command(after_help = "Example:\n  etcd-sync config schema > etcd-sync.schema.json")]
    Schema,
}

/// Verbs that take every flag, so that a command line of `run` can be reused with another verb,
/// but whose help shows only what matters to them.
const ORDERS: [&str; 3] = ["status", "pause", "resume"];

/// Returns the command line's grammar.
pub(crate) fn grammar() -> clap::Command {
    let grammar = ORDERS.into_iter().fold(Cli::command(), |grammar, verb| {
        grammar.mut_subcommand(verb, |verb| {
            verb.mut_args(|arg| {
                let beside = matches!(arg.get_help_heading(), Some("Primary" | "Scope"));
                if beside { arg.hide(true) } else { arg }
            })
        })
    });
    without_env(grammar)
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
    fn every_flag_has_an_environment_variable_of_its_name() {
        let grammar = grammar();
        let run = grammar.find_subcommand("run").unwrap();
        for arg in
            run.get_arguments().filter(|arg| !["help", "version"].contains(&arg.get_id().as_str()))
        {
            let long = arg.get_long().unwrap();
            let variable = format!("ETCD_SYNC_{}", long.to_uppercase().replace('-', "_"));
            assert_eq!(arg.get_env().and_then(|env| env.to_str()), Some(variable.as_str()));
        }
    }
}
