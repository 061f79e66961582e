//! From a parsed command line to the code that answers it.

use indicatif::MultiProgress;
use mirror_engine::orders::Order;
use serde_json::json;

use crate::cli::{self, Cli, Common, ConfigVerb, RunFlags, Verb};
use crate::config::{Config, FileConfig, Log, LogLevel};
use crate::exit::{Exit, Failure};
use crate::output::{self, Format};
use crate::{logging, orders, plan, run, settings};

/// Does what the command line says.
pub(crate) fn execute(cli: Cli) -> Result<Exit, Failure> {
    let Cli { output, log, verb } = cli;
    match verb {
        Verb::Run { common, flags } => {
            let config = merged(&common, Some(&flags), &log)?;
            let bars = MultiProgress::new();
            logging::start(config.log(), bars.clone());
            run::run(&config, bars)
        }
        Verb::Status(common) => orders::status(&quiet(&common, &log)?, output),
        Verb::Pause(common) => orders::give(&quiet(&common, &log)?, Order::Pause, output),
        Verb::Resume(common) => orders::give(&quiet(&common, &log)?, Order::Resume, output),
        Verb::Resync { accept, common } => {
            orders::give(&quiet(&common, &log)?, Order::Accept(accept), output)
        }
        Verb::Plan(common) => plan::plan(&quiet(&common, &log)?, output),
        Verb::Config { verb } => config(verb, output, &log),
        Verb::Completion { shell } => completion(shell),
        Verb::Version => version(output),
    }
}

fn merged(common: &Common, run: Option<&RunFlags>, log: &Log) -> Result<Config, Failure> {
    let file = common.config.as_deref().map(FileConfig::read).transpose()?.unwrap_or_default();
    Config::new(common.settings(run, log), file)
}

fn config(verb: ConfigVerb, output: Format, log: &Log) -> Result<Exit, Failure> {
    match verb {
        ConfigVerb::Validate { common, flags } => {
            validate(&merged(&common, Some(&flags), log)?, output)
        }
        ConfigVerb::Show { common, flags } => show(&merged(&common, Some(&flags), log)?, output),
        ConfigVerb::Schema => output::json(&FileConfig::schema()).map(|()| Exit::Done),
    }
}

/// Settings for a verb that asks one question; its log is for trouble only.
fn quiet(common: &Common, log: &Log) -> Result<Config, Failure> {
    let config = merged(common, None, log)?;
    let level = log.level.or(Some(LogLevel::Warn));
    logging::start(&Log { level, ..config.log().clone() }, MultiProgress::new());
    Ok(config)
}

/// Does everything that `run` does before it connects.
fn validate(config: &Config, output: Format) -> Result<Exit, Failure> {
    let scope = settings::scope(config)?;
    settings::primary(config, &scope)?;
    settings::standby(config, Some(scope.clone()))?;
    let warnings: Vec<String> = scope.warnings().iter().map(ToString::to_string).collect();
    match output {
        Format::Json => output::json(&json!({
            "verdict": "ok",
            "reason": "the configuration can be used",
            "next_steps": ["etcd-sync plan", "etcd-sync run"],
            "mirror": config.name(),
            "scope_hash": scope.hash().to_string(),
            "warnings": warnings,
        }))?,
        Format::Text => {
            warnings.iter().for_each(|warning| output::warn(&format!("scope: {warning}")));
            let name = config.name();
            output::result(&format!("ok: mirror `{name}`, scope {}\n", scope.hash()))?;
        }
    }
    Ok(Exit::Done)
}

fn show(config: &Config, output: Format) -> Result<Exit, Failure> {
    match output {
        Format::Json => output::json(config.as_file()).map(|()| Exit::Done),
        Format::Text => {
            let text = serde_saphyr::to_string(config.as_file())
                .map_err(|error| Failure::undecided(format!("can't be shown: {error}")))?;
            output::done(&text)
        }
    }
}

fn completion(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::grammar(), "etcd-sync", &mut script);
    output::done(&String::from_utf8_lossy(&script))
}

fn version(output: Format) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    match output {
        Format::Json => {
            output::json(&json!({ "name": "etcd-sync", "version": version })).map(|()| Exit::Done)
        }
        Format::Text => output::done(&format!("etcd-sync {version}\n")),
    }
}
