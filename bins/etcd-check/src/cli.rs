//! The command line.

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use mirror_config::{Flags, Log};

use crate::flags::{CheckFlags, CompareFlags, DigestFlags};
use crate::values::Format;

/// Compares what a primary and a standby hold, key by key, and exits.
///
/// Both sides are read at one pair of revisions at which they ought to be equal, so that it
/// doesn't matter how far a mirror lags. Nothing is written to either side.
#[derive(Debug, Parser)]
#[command(
    name = "etcd-check",
    version,
    max_term_width = 100,
    propagate_version = false,
    after_help = "Example:\n  \
                  etcd-check \\\n    \
                  --primary-endpoints https://10.0.0.1:2379 \\\n    \
                  --primary-cacert p/ca.crt --primary-cert p/client.crt --primary-key p/client.key \
                  \\\n    \
                  --standby-endpoints https://10.1.0.1:2379 \\\n    \
                  --standby-cacert s/ca.crt --standby-cert s/client.crt --standby-key s/client.key\
                  \n\n\
                  Where no place reaches both sides, take a digest of each and compare those.\n\n\
                  Flags win over environment variables, those over the file of --config, that over \
                  the defaults.\nThe variable of a flag is its name in capitals: \
                  ETCD_SYNC_PRIMARY_ENDPOINTS; file and variables\nare those of etcd-sync. \
                  Passwords and keys come from files only.\n\n\
                  Exit codes: 0 identical, 1 differences, 2 usage or configuration, \
                  3 could not decide or\nreach, 4 refused by a safety guard (the same cluster on \
                  both ends), 130 interrupted."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) mirror: Box<Flags>,
    #[command(flatten)]
    pub(crate) check: Box<CheckFlags>,
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
    pub(crate) verb: Option<Verb>,
}

/// What to do instead of comparing both sides at once.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Write down what one side holds, without its values, to be compared elsewhere
    #[command(after_help = "Example:\n  \
        etcd-check digest --side primary --out primary.digest \\\n    \
        --primary-endpoints https://10.0.0.1:2379 --primary-cacert p/ca.crt\n\n\
        Needs the endpoints of that side only. Give the same scope on both sides.")]
    Digest {
        #[command(flatten)]
        mirror: Box<Flags>,
        #[command(flatten)]
        digest: DigestFlags,
    },
    /// Compare two digests
    #[command(after_help = "Example:\n  \
        etcd-check compare primary.digest standby.digest --ranges-out differ.ranges\n  \
        etcd-check digest --side primary --ranges differ.ranges --out primary.again …\n\n\
        Needs no cluster. Exits with 0 if both hold the same, with 1 if not.")]
    Compare(CompareFlags),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  source <(etcd-check completion bash)")]
    Completion {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the version
    #[command(after_help = "Example:\n  etcd-check version -o json")]
    Version,
}

/// Returns the command line's grammar.
pub(crate) fn grammar() -> clap::Command {
    // A check starts no mirror: the flag is taken, so that a command line of `etcd-sync run` can
    // be reused, but its help would mislead.
    let hide = |grammar: clap::Command| grammar.mut_arg("rev", |arg| arg.hide(true));
    let grammar = hide(Cli::command()).mut_subcommand("digest", hide);
    // The mirror logs what it does; a check, only what is wrong.
    without_env(grammar.mut_arg("level", |arg| {
        arg.help("The least important lines that are logged [default: warn]")
    }))
}

/// One sentence says how variables are named; what they hold is nobody's business.
fn without_env(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| arg.hide_env(true).hide_env_values(true)).mut_subcommands(without_env)
}

/// Parses the process's arguments; the error is to be printed as it is.
pub(crate) fn parse() -> Result<Cli, clap::Error> {
    let mut grammar = grammar();
    let matches = grammar.try_get_matches_from_mut(std::env::args_os())?;
    refuse_misplaced(&grammar, &matches)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut grammar))
}

/// Refuses flags of the comparison before a verb: the verb would not see them.
fn refuse_misplaced(grammar: &clap::Command, matches: &ArgMatches) -> Result<(), clap::Error> {
    let Some(verb) = matches.subcommand_name() else { return Ok(()) };
    let misplaced = |arg: &&clap::Arg| {
        let source = matches.value_source(arg.get_id().as_str());
        !arg.is_global_set() && source == Some(ValueSource::CommandLine)
    };
    let Some(long) = grammar.get_arguments().find(misplaced).and_then(clap::Arg::get_long) else {
        return Ok(());
    };
    let known = grammar
        .find_subcommand(verb)
        .is_some_and(|verb| verb.get_arguments().any(|argument| argument.get_long() == Some(long)));
    let mend = if known { "give it after the verb" } else { "leave it out" };
    Err(clap::Error::raw(
        ErrorKind::ArgumentConflict,
        format!("--{long}: belongs to a check without a verb, not to `{verb}`; {mend}\n"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Cli, String> {
        let mut grammar = grammar();
        let args = ["etcd-check"].iter().chain(args);
        let matches = grammar.try_get_matches_from_mut(args).map_err(|error| error.to_string())?;
        refuse_misplaced(&grammar, &matches).map_err(|error| error.to_string())?;
        Cli::from_arg_matches(&matches).map_err(|error| error.to_string())
    }

    #[test]
    fn the_grammar_is_sound() {
        grammar().debug_assert();
    }

    #[test]
    fn every_flag_has_an_environment_variable_of_its_name() {
        for arg in grammar()
            .get_arguments()
            .filter(|arg| !["help", "version"].contains(&arg.get_id().as_str()))
        {
            let long = arg.get_long().unwrap();
            let variable = format!("ETCD_SYNC_{}", long.to_uppercase().replace('-', "_"));
            assert_eq!(arg.get_env().and_then(|env| env.to_str()), Some(variable.as_str()));
        }
    }

    #[test]
    fn without_a_verb_a_check_is_meant() {
        let cli = parsed(&["--namespace", "a,b", "--namespace", "c", "--keys-only"]).unwrap();
        assert!(cli.verb.is_none());
        let names: Vec<&str> = cli.check.namespaces.iter().map(|name| name.0.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!((cli.check.keys_only, cli.check.no_mirror), (Some(true), None));
        assert_eq!((cli.check.limit, cli.check.parallel), (1000, 4));
    }

    #[test]
    fn the_format_may_stand_before_or_after_the_verb() {
        for args in [["-o", "ndjson", "version"], ["version", "-o", "ndjson"]] {
            assert_eq!(parsed(&args).unwrap().output, Format::Ndjson);
        }
    }

    #[test]
    fn a_flag_that_the_verb_would_not_see_is_refused() {
        let digest = ["digest", "--side", "primary", "--out", "x"];
        let told = parsed(&[&["--prefix", "/a"], &digest[..]].concat()).unwrap_err();
        assert!(told.contains("--prefix") && told.ends_with("give it after the verb\n"), "{told}");
        let told = parsed(&[&["--keys-only"], &digest[..]].concat()).unwrap_err();
        assert!(told.contains("--keys-only") && told.ends_with("leave it out\n"), "{told}");
        assert!(parsed(&[&digest[..], &["--prefix", "/a"]].concat()).is_ok());
    }
}
