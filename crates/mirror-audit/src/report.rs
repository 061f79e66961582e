//! From what a check has found to the words of its report.

use std::collections::BTreeMap;

use consistency_checker::{Finding, Kind, Outcome};
use etcd_mvcc::Revision as _;
use monitor_api::{
    CheckMode, Comparison, DifferenceKind, DifferenceReport, PinsReport, printable_key,
};

/// What was looked at.
pub(crate) fn mode(keys_only: bool) -> CheckMode {
    if keys_only { CheckMode::KeysOnly } else { CheckMode::Full }
}

/// Fills in the frame of a report.
pub(crate) fn comparison(outcome: &Outcome, unsettled: u64, frame: Comparison) -> Comparison {
    let mut classes = BTreeMap::new();
    for finding in &outcome.findings {
        *classes.entry(finding.class.as_str().to_owned()).or_default() += 1;
    }
    let pins = outcome.spans.iter().map(|span| PinsReport {
        primary_revision: span.pins.primary.get(),
        standby_revision: span.pins.standby.get(),
        through: span.through.as_ref().map(|key| printable_key(key.as_bytes())),
    });
    Comparison {
        pins: pins.collect(),
        keys: outcome.totals.keys,
        bytes: outcome.totals.bytes,
        missed: outcome.totals.missed,
        surplus: outcome.totals.surplus,
        different: outcome.totals.different,
        unsettled,
        classes,
        differences: outcome.findings.iter().map(difference).collect(),
        ..frame
    }
}

fn difference(finding: &Finding) -> DifferenceReport {
    let kind = match finding.kind {
        Kind::Missed => DifferenceKind::Missed,
        Kind::Surplus => DifferenceKind::Surplus,
        Kind::Different => DifferenceKind::Different,
    };
    DifferenceReport {
        class: finding.class.as_str().to_owned(),
        note: finding.note.clone(),
        primary_modified: finding.primary.as_ref().map(|held| held.modified.get()),
        standby_modified: finding.standby.as_ref().map(|held| held.modified.get()),
        ..DifferenceReport::new(kind, finding.key.as_bytes())
    }
}
