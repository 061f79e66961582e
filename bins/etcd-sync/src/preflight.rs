//! `etcd-sync preflight`: what would go wrong if this pair were mirrored.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use etcd_link::{Primary, Standby};
use etcd_mvcc::Failure as Unanswered;
use keyspace_filter::Scope;
use mirror_config::output::{self, Format};
use mirror_config::{Config, Exit, Failure, parts};
use mirror_preflight::{
    Gate, GateReport, Outcome, PreflightError, PreflightReport, PreflightSettings, Verdict,
    Versions,
};

use crate::orders::block_on;
use crate::table;

/// Reads both sides and says what stands against mirroring them.
pub(crate) fn preflight(
    config: &Config,
    allow: BTreeSet<Gate>,
    format: Format,
) -> Result<Exit, Failure> {
    let scope = parts::scope(config)?;
    let primary = parts::primary(config, &scope)?;
    // Without a scope no key of the data may be written: this verb only reads.
    let standby = parts::standby(config, None)?;
    let keyring = parts::keyring(config)?.map(Arc::new);
    let settings = PreflightSettings { keyring, allow, ..PreflightSettings::default() };
    let report =
        block_on(ask(&primary, &standby, &scope, settings))?.map_err(|error| refused(&error))?;
    match format {
        Format::Json => output::json(&report)?,
        Format::Text => output::result(&as_text(&report))?,
    }
    Ok(match report.verdict {
        Verdict::Ready | Verdict::Warnings => Exit::Done,
        Verdict::Refused => Exit::Differs,
    })
}

pub(crate) async fn ask(
    primary: &Primary,
    standby: &Standby,
    scope: &Scope,
    mut settings: PreflightSettings,
) -> Result<PreflightReport, PreflightError> {
    settings.versions = Versions {
        primary: known(primary.version().await),
        standby: known(standby.version().await),
    };
    mirror_preflight::preflight(primary, standby, scope, &settings).await
}

/// Some etcds tell their version to root only; whatever else is wrong, the reading will tell.
fn known(version: Result<String, Unanswered>) -> Option<String> {
    version.inspect_err(|error| tracing::debug!(%error, "the version is not known")).ok()
}

fn refused(error: &PreflightError) -> Failure {
    match error {
        PreflightError::SameCluster(_) => {
            Failure::refused(format!("{error} (check --primary-endpoints and --standby-endpoints)"))
        }
        PreflightError::Primary(failure) | PreflightError::Standby(failure) => {
            Failure::unanswered(failure, error)
        }
    }
}

fn as_text(report: &PreflightReport) -> String {
    let mut lines = vec![("verdict", format!("{}: {}", report.verdict.as_str(), report.reason))];
    lines.extend([
        (
            "primary",
            format!("{} at revision {}", report.primary_cluster_id, report.primary_revision),
        ),
        (
            "standby",
            format!("{} at revision {}", report.standby_cluster_id, report.standby_revision),
        ),
        ("in scope", format!("{} keys", report.keys)),
    ]);
    let mut text = table::aligned(&lines);
    text.push('\n');
    // Writing to a string can't fail.
    for gate in &report.gates {
        let _ = writeln!(text, "{:<7} {:<19} {}", word(gate), gate.name, gate.reason);
    }
    for gate in report.gates.iter().filter(|gate| !gate.shown.is_empty()) {
        let _ = writeln!(text, "\n{} ({})", gate.name, gate.count);
        for finding in &gate.shown {
            let _ = writeln!(text, "  {}\t{}", finding.key, finding.detail);
        }
        let shown = u64::try_from(gate.shown.len()).unwrap_or(u64::MAX);
        if gate.count > shown {
            let _ = writeln!(text, "  and {} more", gate.count - shown);
        }
    }
    text.push('\n');
    for step in &report.next_steps {
        let _ = writeln!(text, "next: {step}");
    }
    text
}

/// What a gate comes to, as one word.
fn word(gate: &GateReport) -> &'static str {
    match gate.outcome {
        Outcome::Passed => "ok",
        Outcome::Found => gate.severity.as_str(),
        Outcome::Allowed => "allowed",
        Outcome::Unknown => "unknown",
    }
}
