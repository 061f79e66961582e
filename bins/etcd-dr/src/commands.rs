//! From a parsed command line to the code that answers it.

use dr_plan::plan::PlanName;
use indicatif::MultiProgress;
use mirror_config::{Exit, Failure, Log, LogLevel, logging, output};
use serde_json::json;

use crate::cli::{self, Cli, Form, Verb};
use crate::flags::RunFlags;
use crate::{abandon, fence, init, preflight, rehearse, report, run, runbook};

/// Does what the command line says.
pub(crate) fn execute(cli: Cli) -> Result<Exit, Failure> {
    let Cli { output, log, verb } = cli;
    // What is asked here is answered at once: only trouble is worth a line.
    let level = log.level.or(Some(LogLevel::Warn));
    logging::start(&Log { level, ..log }, MultiProgress::new());
    match verb {
        Verb::Init(flags) => init::init(*flags, output),
        Verb::Runbook(flags) => runbook::runbook(&flags, output),
        Verb::Report(flags) => report::report(&flags, output),
        Verb::Install(flags) => run_or_look(PlanName::Install, &flags, output),
        Verb::Enable(flags) => run_or_look(PlanName::Enable, &flags, output),
        Verb::Check(flags) => run_or_look(PlanName::Check, &flags, output),
        Verb::Switchover(flags) => run_or_look(PlanName::Switchover, &flags, output),
        Verb::Failover(flags) => run_or_look(PlanName::Failover, &flags, output),
        Verb::Failback(flags) => run_or_look(PlanName::Failback, &flags, output),
        Verb::Upgrade(flags) => run_or_look(PlanName::Upgrade, &flags, output),
        Verb::Upload(flags) => run_or_look(PlanName::Upload, &flags, output),
        Verb::Drill(flags) => rehearse::drill(&flags, output),
        Verb::Preflight(flags) => preflight::preflight(&flags, output),
        Verb::Fence(flags) => fence::fence(&flags, output),
        Verb::Abandon(flags) => abandon::abandon(&flags, output),
        Verb::Completion { shell } => completion(shell),
        Verb::Version => version(output),
    }
}

fn run_or_look(plan: PlanName, flags: &RunFlags, form: Form) -> Result<Exit, Failure> {
    if flags.dry_run { rehearse::dry_run(plan, flags, form) } else { run::run(plan, flags, form) }
}

fn completion(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::grammar(), "etcd-dr", &mut script);
    output::done(&String::from_utf8_lossy(&script))
}

fn version(form: Form) -> Result<Exit, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    match form {
        Form::Json => {
            output::json(&json!({ "name": "etcd-dr", "version": version })).map(|()| Exit::Done)
        }
        Form::Text | Form::Markdown | Form::Html => output::done(&format!("etcd-dr {version}\n")),
    }
}
