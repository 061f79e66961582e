//! From a parsed command line to the code that answers it.

use indicatif::MultiProgress;
use mirror_config::output::{self, Format};
use mirror_config::{Config, Exit, Failure, FileConfig, Flags, Log, LogLevel, logging, parts};
use mirror_engine::orders::Order;
use mirror_engine::promotion;
use mirror_engine::{RepairKind, RepairKinds};
use serde_json::json;

use crate::cli::{self, Cli, ConfigVerb, InTheWay, Kind, OrderFlags, Verb};
use crate::flags::RunFlags;
use crate::{explain, orders, plan, preflight, release, repair, run};

/// Does what the command line says.
pub(crate) fn execute(cli: Cli) -> Result<Exit, Failure> {
    let Cli { output, log, verb } = cli;
    match verb {
        Verb::Run { mirror, run } => {
            let once = run.once;
            let config = merged(&mirror, Some(*run), &log)?;
            let bars = MultiProgress::new();
            logging::start(config.log(), bars.clone());
            run::run(&config, once, bars)
        }
        Verb::Status(mirror) => orders::status(&quiet(&mirror, &log)?, output),
        Verb::Pause { patience, mirror } => {
            orders::give(&quiet(&mirror, &log)?, &Order::Pause, patience, output)
        }
        Verb::Resume { patience, mirror } => {
            orders::give(&quiet(&mirror, &log)?, &Order::Resume, patience, output)
        }
        Verb::Repair { kinds, order, mirror } => {
            let kinds: Vec<RepairKind> = kinds.into_iter().map(RepairKind::from).collect();
            let kinds = RepairKinds::named(&kinds);
            repair(&quiet(&mirror, &log)?, kinds, &order, output)
        }
        Verb::Resync { order, mirror } => match &order.accept {
            Some(digest) if !order.execute => {
                let patience = order.patience;
                let order = Order::Accept(digest.clone());
                orders::give(&quiet(&mirror, &log)?, &order, patience, output)
            }
            _ => repair(&quiet(&mirror, &log)?, RepairKinds::default(), &order, output),
        },
        Verb::Preflight { allow, encryption, mirror } => {
            let settings = encryption.beside(mirror.settings(&log));
            let config = Config::new(settings, mirror.file()?)?;
            log_trouble(&config, &log);
            preflight::preflight(&config, allow.into_iter().collect(), output)
        }
        Verb::Plan { explain, by, limit, deletions, mirror } => {
            let config = quiet(&mirror, &log)?;
            match explain.as_slice() {
                [] => plan::plan(&config, by, limit, deletions.as_deref(), output),
                keys => explain::explain(&config, keys, output),
            }
        }
        Verb::Release { in_the_way, mirror } => {
            release::release(&quiet(&mirror, &log)?, in_the_way.into(), output)
        }
        Verb::Config { verb } => config(verb, output, &log),
        Verb::Completion { shell } => completion(shell),
        Verb::Version => version(output),
    }
}

fn repair(
    config: &Config,
    kinds: RepairKinds,
    order: &OrderFlags,
    output: Format,
) -> Result<Exit, Failure> {
    match &order.accept {
        Some(digest) if order.execute => {
            repair::execute(config, kinds, digest, order.patience, output)
        }
        Some(_) => Err(Failure::usage("--accept: goes with --execute")),
        None => repair::plan(config, kinds, output),
    }
}

impl From<InTheWay> for promotion::InTheWay {
    fn from(policy: InTheWay) -> Self {
        match policy {
            InTheWay::Overwrite => Self::Overwrite,
            InTheWay::Keep => Self::Keep,
            InTheWay::Report => Self::Report,
        }
    }
}

impl From<Kind> for RepairKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Missed => Self::Missed,
            Kind::Surplus => Self::Surplus,
            Kind::Different => Self::Different,
        }
    }
}

fn merged(mirror: &Flags, run: Option<RunFlags>, log: &Log) -> Result<Config, Failure> {
    let file = mirror.file()?;
    let settings = mirror.settings(log);
    let settings = match run {
        Some(run) => run.beside(settings),
        None => settings,
    };
    Config::new(settings, file)
}

fn config(verb: ConfigVerb, output: Format, log: &Log) -> Result<Exit, Failure> {
    match verb {
        ConfigVerb::Validate { mirror, run } => {
            validate(&merged(&mirror, Some(*run), log)?, output)
        }
        ConfigVerb::Show { mirror, run } => show(&merged(&mirror, Some(*run), log)?, output),
        ConfigVerb::Schema => output::json(&FileConfig::schema()).map(|()| Exit::Done),
    }
}

/// Settings for a verb that asks one question; its log is for trouble only.
fn quiet(mirror: &Flags, log: &Log) -> Result<Config, Failure> {
    let config = merged(mirror, None, log)?;
    log_trouble(&config, log);
    Ok(config)
}

/// Starts a log that is for trouble only, unless the command line asks for more.
fn log_trouble(config: &Config, log: &Log) {
    let level = log.level.or(Some(LogLevel::Warn));
    logging::start(&Log { level, ..config.log().clone() }, MultiProgress::new());
}

/// Does everything that `run` does before it connects.
fn validate(config: &Config, output: Format) -> Result<Exit, Failure> {
    let scope = parts::scope(config)?;
    parts::primary(config, &scope)?;
    parts::standby(config, Some(scope.clone()))?;
    parts::keyring(config)?;
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
