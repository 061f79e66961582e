//! What a repair would do, and what became of one, as JSON: contracts that outlive versions of the
//! software.

use serde::{Deserialize, Serialize};

use crate::DifferenceReport;

/// How many keys a repair concerns, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RepairCountsReport {
    /// Keys that the standby lacks: to be written.
    pub missed: u64,
    /// Keys with other values: to be overwritten.
    pub different: u64,
    /// Keys that the standby alone has: to be deleted.
    pub surplus: u64,
}

impl RepairCountsReport {
    /// Returns how many keys these are.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.missed.saturating_add(self.different).saturating_add(self.surplus)
    }
}

/// What a repair would do: the JSON of `etcd-sync repair -o json`, and of the file of
/// `etcd-check --repair-plan`. Readers must ignore fields that they don't know.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RepairPlanReport {
    /// `ok` if there is nothing to repair, else `action-needed`.
    pub verdict: String,
    /// Why, on one line.
    pub reason: String,
    /// What to do, most urgent first; the command that carries the plan out among it.
    pub next_steps: Vec<String>,
    /// The mirror's name.
    pub mirror: String,
    /// The kinds that were asked for, in words.
    pub kinds: Vec<String>,
    /// Names exactly this plan; it is refused once it would do anything else.
    pub digest: String,
    /// The primary's cluster id.
    pub primary_cluster_id: String,
    /// The primary's revision that was compared.
    pub primary_revision: i64,
    /// The standby's revision that was compared.
    pub standby_revision: i64,
    /// Keys to be mended.
    pub counts: RepairCountsReport,
    /// Keys that others made on the standby, and that stay.
    pub foreign_left: u64,
    /// Every key to be mended, ascending, each with why it differs.
    pub keys: Vec<DifferenceReport>,
    /// There are more keys than are named.
    pub truncated: bool,
}

/// What became of an order to repair.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RepairReport {
    /// The order's number.
    pub order: u64,
    /// The digest that was accepted.
    pub digest: String,
    /// `begun`, `done`, `refused` or `failed`.
    pub outcome: String,
    /// Why, if it was not carried out; empty if there is nothing to say.
    pub reason: String,
    /// The digest that was found instead, if that is why it was refused.
    pub found_digest: Option<String>,
    /// The primary's revision that was compared; `null` if none was.
    pub primary_revision: Option<i64>,
    /// The standby's revision that was compared; `null` if none was.
    pub standby_revision: Option<i64>,
    /// Keys to be mended.
    pub planned: RepairCountsReport,
    /// Keys that were mended.
    pub written: RepairCountsReport,
    /// Keys that somebody else wrote after they were compared: they were left alone.
    pub skipped: u64,
}
