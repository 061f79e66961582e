//! From a parsed command line to the code that answers it.

use indicatif::MultiProgress;
use mirror_config::{Config, Exit, Failure, Flags, Log, LogLevel, logging, output};
use serde_json::json;

use crate::cli::{self, Cli, Verb};
use crate::compare::compare;
use crate::compare_once::compare_once;
use crate::digest::digest;
use crate::options::Options;
use crate::values::Format;

/// Does what the command line says.
pub(crate) fn execute(cli: Cli) -> Result<Exit, Failure> {
    let Cli { output, log, mirror, check, verb } = cli;
    let bars = MultiProgress::new();
    match verb {
        None => {
            let options = Options::new(*check, output)?;
            compare_once(&quiet(&mirror, &log, &bars)?, &options, &bars)
        }
        Some(Verb::Digest { digest: flags, mirror }) => {
            digest(&quiet(&mirror, &log, &bars)?, &flags, output)
        }
        Some(Verb::Compare(flags)) => {
            start_log(&log, &log, &bars);
            compare(&flags, output)
        }
        Some(Verb::Completion { shell }) => completion(shell),
        Some(Verb::Version) => version(output),
    }
}

/// Merges the settings and starts a log that is for trouble only.
fn quiet(mirror: &Flags, log: &Log, bars: &MultiProgress) -> Result<Config, Failure> {
    let config = Config::new(mirror.settings(log), mirror.file()?)?;
    start_log(log, config.log(), bars);
    Ok(config)
}

/// A check asks one question: a level that only the file asks for is meant for the mirror.
fn start_log(flags: &Log, merged: &Log, bars: &MultiProgress) {
    let level = flags.level.or(Some(LogLevel::Warn));
    logging::start(&Log { level, ..merged.clone() }, bars.clone());
}

fn completion(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::grammar(), "etcd-check", &mut script);
    output::done(&String::from_utf8_lossy(&script))
}

fn version(format: Format) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let described = json!({ "name": "etcd-check", "version": version });
    match format {
        Format::Json => output::json(&described).map(|()| Exit::Done),
        Format::Ndjson => output::done(&format!("{described}\n")),
        Format::Text => output::done(&format!("etcd-check {version}\n")),
    }
}
