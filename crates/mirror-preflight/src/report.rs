//! What preflight says: gate by gate, and as one verdict.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::findings::{Finding, Findings};
use crate::{Gate, Severity};

/// What preflight says. Its JSON is a written contract; readers ignore unknown fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PreflightReport {
    /// Whether the pair may be mirrored.
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub reason: String,
    /// What to do, most urgent first.
    pub next_steps: Vec<String>,
    /// The primary's id, in hexadecimal.
    pub primary_cluster_id: String,
    /// The primary's revision that was read.
    pub primary_revision: i64,
    /// The standby's id, in hexadecimal.
    pub standby_cluster_id: String,
    /// The standby's revision that was read.
    pub standby_revision: i64,
    /// Keys of the primary in scope.
    pub keys: u64,
    /// Every gate, met or not.
    pub gates: Vec<GateReport>,
}

/// Whether a pair may be mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing stands against it.
    Ready,
    /// Nothing forbids it, and somebody should look.
    Warnings,
    /// Not before what was found is resolved or allowed.
    Refused,
}

impl Verdict {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Warnings => "warnings",
            Self::Refused => "refused",
        }
    }
}

/// What one gate says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GateReport {
    /// The gate.
    pub name: Gate,
    /// Whether it is met.
    pub outcome: Outcome,
    /// How bad what was found is; for a gate that is met, how bad it would be.
    pub severity: Severity,
    /// How much was found, exactly.
    pub count: u64,
    /// Some of it.
    pub shown: Vec<Finding>,
    /// What it means.
    pub reason: String,
    /// What to do about it; empty if nothing needs to be done.
    pub next_step: String,
}

/// Whether a gate is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Nothing was found.
    Passed,
    /// Something was found.
    Found,
    /// Something was found, and somebody has allowed it.
    Allowed,
    /// It could not be found out.
    Unknown,
}

impl Outcome {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Found => "found",
            Self::Allowed => "allowed",
            Self::Unknown => "unknown",
        }
    }
}

impl GateReport {
    pub(crate) fn passed(name: Gate, reason: impl Into<String>) -> Self {
        Self {
            name,
            outcome: Outcome::Passed,
            severity: name.severity(),
            count: 0,
            shown: Vec::new(),
            reason: reason.into(),
            next_step: String::new(),
        }
    }

    pub(crate) fn found(
        name: Gate,
        findings: Findings,
        reason: impl Into<String>,
        next_step: impl Into<String>,
    ) -> Self {
        Self {
            outcome: Outcome::Found,
            count: findings.count(),
            shown: findings.into_shown(),
            next_step: next_step.into(),
            ..Self::passed(name, reason)
        }
    }

    pub(crate) fn unknown(
        name: Gate,
        reason: impl Into<String>,
        next_step: impl Into<String>,
    ) -> Self {
        Self {
            outcome: Outcome::Unknown,
            severity: Severity::Info,
            next_step: next_step.into(),
            ..Self::passed(name, reason)
        }
    }

    pub(crate) fn informing(self) -> Self {
        Self { severity: Severity::Info, ..self }
    }

    fn allowed_by(self, allow: &BTreeSet<Gate>) -> Self {
        let counts = self.outcome == Outcome::Found && self.severity > Severity::Info;
        match counts && allow.contains(&self.name) {
            true => Self { outcome: Outcome::Allowed, ..self },
            false => self,
        }
    }

    /// Tells whether the gate alone keeps the pair from being mirrored.
    #[must_use]
    pub fn refuses(&self) -> bool {
        self.outcome == Outcome::Found && self.severity == Severity::Refuse
    }

    /// Tells whether somebody should look: at what was found, or at what was allowed although it
    /// would be refused.
    #[must_use]
    pub fn warns(&self) -> bool {
        match self.outcome {
            Outcome::Found => self.severity == Severity::Warn,
            Outcome::Allowed => self.severity == Severity::Refuse,
            Outcome::Passed | Outcome::Unknown => false,
        }
    }
}

/// What the gates come to.
pub(crate) struct Conclusion {
    pub(crate) verdict: Verdict,
    pub(crate) reason: String,
    pub(crate) next_steps: Vec<String>,
    pub(crate) gates: Vec<GateReport>,
}

/// Draws the verdict, after what is allowed has been taken out.
pub(crate) fn conclude(gates: Vec<GateReport>, allow: &BTreeSet<Gate>) -> Conclusion {
    let gates: Vec<GateReport> = gates.into_iter().map(|gate| gate.allowed_by(allow)).collect();
    let names = |pick: fn(&GateReport) -> bool| -> Vec<&str> {
        gates.iter().filter(|gate| pick(gate)).map(|gate| gate.name.as_str()).collect()
    };
    let (refusing, warning) = (names(GateReport::refuses), names(GateReport::warns));
    let (verdict, reason) = match (refusing.as_slice(), warning.as_slice()) {
        ([], []) => (Verdict::Ready, "nothing stands against mirroring this pair".to_owned()),
        ([], warning) => {
            (Verdict::Warnings, format!("somebody should look at: {}", warning.join(", ")))
        }
        (refusing, _) => {
            (Verdict::Refused, format!("gates that are not met: {}", refusing.join(", ")))
        }
    };
    let steps = |pick: fn(&GateReport) -> bool| {
        let picked = gates.iter().filter(move |gate| pick(gate) && !gate.next_step.is_empty());
        picked.map(|gate| format!("{}: {}", gate.name, gate.next_step))
    };
    let mut next_steps: Vec<String> =
        steps(GateReport::refuses).chain(steps(GateReport::warns)).collect();
    if verdict != Verdict::Refused {
        next_steps.push("etcd-sync run".to_owned());
    }
    Conclusion { verdict, reason, next_steps, gates }
}

/// Condenses a report for whoever is to mirror the pair: why that must not be, and the command that
/// says what releases it; `None` if no gate refuses.
#[must_use]
pub fn gate(report: &PreflightReport) -> Option<(String, String)> {
    if report.verdict != Verdict::Refused {
        return None;
    }
    let found: Vec<String> = report
        .gates
        .iter()
        .filter(|gate| gate.refuses())
        .map(|gate| format!("{} ({}): {}", gate.name, gate.count, gate.reason))
        .collect();
    Some((found.join("; "), "etcd-sync preflight".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: Gate) -> GateReport {
        GateReport::found(name, Findings::new(0), "why", "what to do")
    }

    #[test]
    fn the_worst_gate_decides_and_what_is_allowed_does_not() {
        let none = BTreeSet::new();
        let verdict = |gates: &[Gate], allow: &BTreeSet<Gate>| {
            conclude(gates.iter().map(|gate| found(*gate)).collect(), allow).verdict
        };
        assert_eq!(verdict(&[], &none), Verdict::Ready);
        assert_eq!(verdict(&[Gate::Choices], &none), Verdict::Ready);
        assert_eq!(verdict(&[Gate::Choices, Gate::Owners], &none), Verdict::Warnings);
        assert_eq!(verdict(&[Gate::Owners, Gate::UidChange], &none), Verdict::Refused);
        let allow = BTreeSet::from([Gate::UidChange]);
        assert_eq!(verdict(&[Gate::UidChange], &allow), Verdict::Warnings, "it is still there");
        assert_eq!(verdict(&[Gate::UidChange, Gate::EncryptionKeys], &allow), Verdict::Refused);
        let allow = BTreeSet::from([Gate::Owners]);
        assert_eq!(verdict(&[Gate::Owners], &allow), Verdict::Ready);
    }

    #[test]
    fn what_refuses_is_told_first_and_a_run_is_offered_only_without_it() {
        let gates = vec![found(Gate::Owners), found(Gate::UidChange)];
        let steps = conclude(gates, &BTreeSet::new()).next_steps;
        assert_eq!(steps, ["uid-change: what to do", "owners: what to do"]);
        let steps = conclude(vec![found(Gate::Owners)], &BTreeSet::new()).next_steps;
        assert_eq!(steps.last().map(String::as_str), Some("etcd-sync run"));
    }
}
