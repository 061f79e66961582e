//! `etcd-check`: both sides compared once, at one pair of revisions.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use consistency_checker::{CheckSettings, Progress, View};
use etcd_link::{Primary, Standby};
use etcd_mvcc::{Failure as Unread, Key, KeyRange, Side, distinct};
use indicatif::MultiProgress;
use keyspace_filter::Scope;
use mirror_audit::{AuditSettings, Auditor};
use mirror_config::{Config, Exit, Failure, parts};
use mirror_engine::RepairKinds;
use mirror_engine::freshness::Observer;
use mirror_engine::orders::{self, Stored};
use monitor_api::{CheckReport, CheckVerdict};

use crate::basis::{Basis, asked_for, basis};
use crate::interrupt::until_interrupted;
use crate::options::Options;
use crate::{progress, show};

/// Compares both sides and tells what differs; progress passes by on `bars`.
pub(crate) fn compare_once(
    config: &Config,
    options: &Options,
    bars: &MultiProgress,
) -> Result<Exit, Failure> {
    let scope = parts::scope(config)?;
    let primary = parts::primary(config, &scope)?;
    // Without a scope no key of the data may be written: a check only reads.
    let standby = parts::standby(config, None)?;
    for warning in scope.warnings() {
        tracing::warn!("scope: {warning}");
    }
    until_interrupted(async {
        refuse_one_cluster(&primary, &standby, &scope.primary_hull()).await?;
        let (basis, stored) = match asked_for(options) {
            Some(basis) => {
                let stored = orders::read_state(&standby, config.name()).await;
                (basis, stored.map_err(Failure::undecided)?)
            }
            None => {
                let look = Observer::default().look(&standby, config.name()).await;
                let look = look.map_err(Failure::undecided)?;
                (basis(&look), look.stored)
            }
        };
        let view =
            view(config, scope, &basis, &stored)?.of_namespaces(options.namespaces.iter().cloned());
        let auditor = Auditor::new(primary, standby, view, config.name(), settings(options));
        auditor.open_with(parts::keyring(config)?.map(Arc::new));
        let progress = Progress::default();
        let report = progress::shown(bars, &progress, run(&auditor, &basis, &progress)).await;
        let report = refuse_nothing(report, options).trimmed(options.named_max);
        if let Some(file) = &options.repair_plan {
            write_repair_plan(&auditor, &basis, file).await?;
        }
        show::report(&report, &basis, options)?;
        Ok(show::exit(&report))
    })
}

async fn run(
    auditor: &Auditor<Primary, Standby>,
    basis: &Basis,
    progress: &Progress,
) -> CheckReport {
    match basis {
        Basis::Mirror { refusal } => {
            Box::pin(auditor.at_newest_pair(|| refusal.clone(), progress)).await
        }
        Basis::Past(revision) => Box::pin(auditor.at_revision(*revision, progress)).await,
        Basis::Heads { .. } => Box::pin(auditor.at_heads(progress)).await,
    }
}

/// Writes what `etcd-sync repair` would do, to the whole scope.
async fn write_repair_plan(
    auditor: &Auditor<Primary, Standby>,
    basis: &Basis,
    file: &Path,
) -> Result<(), Failure> {
    let Basis::Mirror { .. } = basis else {
        return Err(Failure::undecided(
            "--repair-plan: there is no mirror that could carry a plan out; leave it out, or start \
             the mirror",
        ));
    };
    let plan = Box::pin(auditor.repair_plan(RepairKinds::default())).await;
    let plan = plan.map_err(Failure::undecided)?;
    let unwritten =
        |error: &dyn Display| Failure::undecided(format!("{}: {error}", file.display()));
    let text = serde_json::to_string_pretty(&plan).map_err(|error| unwritten(&error))?;
    std::fs::write(file, text + "\n").map_err(|error| unwritten(&error))
}

/// Two namespaces without a key in scope are equal, and nobody who names one means that.
fn refuse_nothing(report: CheckReport, options: &Options) -> CheckReport {
    let nothing = report.verdict() == CheckVerdict::InSync && report.found().keys == 0;
    if options.namespaces.is_empty() || !nothing {
        return report;
    }
    let reason = "neither side has a key in scope in the namespaces of --namespace";
    CheckReport::inconclusive(reason, report.found().clone())
}

/// What is asked why it differs does not depend on how many keys are to be named: the verdict rests
/// on it.
fn settings(options: &Options) -> AuditSettings {
    let check = CheckSettings::default();
    AuditSettings {
        check: CheckSettings {
            keys_only: options.keys_only,
            parallel: options.parallel,
            bytes_per_second: options.bytes_per_second,
            named_max: options.named_max.max(check.named_max),
            ..check
        },
        min_age: options.min_age,
    }
}

async fn refuse_one_cluster(
    primary: &Primary,
    standby: &Standby,
    range: &KeyRange,
) -> Result<(), Failure> {
    let unread = |side: &'static str| {
        move |failure: Unread| Failure::unanswered(&failure, format!("the {side}: {failure}"))
    };
    match distinct(primary, standby, range).await {
        Ok(told_apart) => told_apart.map_err(Failure::refused),
        Err((Side::Primary, failure)) => Err(unread("primary")(failure)),
        Err((Side::Standby, failure)) => Err(unread("standby")(failure)),
    }
}

/// What to look at. A mirror's pair holds for the mirror's scope: `--prefix` may choose from it,
/// and says then which part of it is of interest.
fn view(config: &Config, scope: Scope, basis: &Basis, stored: &Stored) -> Result<View, Failure> {
    let Some(checkpoint) = stored.checkpoint.as_ref().filter(|_| basis.rests_on_a_mirror()) else {
        return Ok(View::new(scope));
    };
    let prefixes = config.scope().prefixes.clone().unwrap_or_default();
    if checkpoint.scope != scope.hash().to_string() && !prefixes.is_empty() {
        let mirrored = parts::scope_without_prefixes(config)?;
        if checkpoint.scope == mirrored.hash().to_string() {
            return Ok(View::new(mirrored).within(prefixes.into_iter().map(Key::from)));
        }
    }
    // Another scope than the mirror's makes the answer inconclusive, and says so.
    Ok(View::new(scope))
}
