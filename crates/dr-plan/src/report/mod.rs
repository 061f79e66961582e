//! What the pair was worth: what would have been lost, how long a change of roles took, and when
//! somebody last proved that both sides are equal.
//!
//! Everything in a report comes from the journal and from the samples. What nobody looked at is
//! said to be unknown, never counted as good.

mod render;
mod rpo;
mod rto;

pub use rpo::{Rpo, rpo};
pub use rto::{Rto, StepTime, rto};

use serde::Serialize;

use crate::journal::{Drill, Entry, Event};
use crate::samples::Samples;
use crate::time::Timestamp;
use crate::topology::{Objectives, Topology};

/// A report. Its JSON is a contract: readers ignore unknown fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// When it was made, in milliseconds since 1970.
    pub at_ms: Timestamp,
    /// The platform's domain.
    pub platform: String,
    /// The name of the cluster that serves it.
    pub primary: String,
    /// The name of the other.
    pub standby: String,
    /// What was promised.
    pub objectives: Promised,
    /// What would have been lost; `None` without samples.
    pub rpo: Option<Rpo>,
    /// How long the last change of roles took; `None` if there was none.
    pub rto: Option<Rto>,
    /// What the last drill found out; `None` if there was none.
    pub drill: Option<Drilled>,
    /// When an exact check last said in-sync in a plan; `None` if none ever did.
    pub last_exact_check_ms: Option<Timestamp>,
    /// Gates that somebody went past.
    pub overrides: Vec<Override>,
}

/// What was promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Promised {
    /// Seconds of writes that may be lost.
    pub rpo_seconds: u64,
    /// Seconds that the platform may be away.
    pub rto_seconds: u64,
}

/// A drill, and when it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drilled {
    /// When it ended, in milliseconds since 1970.
    pub at_ms: Timestamp,
    /// What it found out.
    #[serde(flatten)]
    pub found: Drill,
}

/// A gate that somebody went past.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Override {
    /// When, in milliseconds since 1970.
    pub at_ms: Timestamp,
    /// Which gate.
    pub gate: String,
    /// Why.
    pub reason: String,
}

impl Report {
    /// Makes a report from a journal and samples.
    #[must_use]
    pub fn new(now: Timestamp, topology: &Topology, journal: &[Entry], samples: &Samples) -> Self {
        let Objectives { rpo_seconds, rto_seconds } = topology.objectives;
        let checked = |entry: &&Entry| matches!(&entry.event, Event::Done { step, .. } if step.ends_with("-check"));
        let overrides = journal.iter().filter_map(|Entry { at, event, .. }| {
            let Event::GateOverridden { gate, reason, .. } = event else { return None };
            Some(Override { at_ms: *at, gate: gate.clone(), reason: reason.clone() })
        });
        let drilled = |Entry { at, event, .. }: &Entry| {
            let Event::Drilled(found) = event else { return None };
            Some(Drilled { at_ms: *at, found: found.clone() })
        };
        Self {
            at_ms: now,
            platform: topology.platform.domain.clone(),
            primary: topology.primary.name.clone(),
            standby: topology.standby.name.clone(),
            objectives: Promised { rpo_seconds, rto_seconds },
            rpo: rpo(samples, rpo_seconds),
            rto: rto(journal),
            drill: journal.iter().rev().find_map(drilled),
            last_exact_check_ms: journal.iter().rev().find(checked).map(|entry| entry.at),
            overrides: overrides.collect(),
        }
    }
}
