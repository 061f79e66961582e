//! What a journal tells.

use serde::{Deserialize, Serialize};

use crate::finding::{Finding, Verdict};
use crate::plan::PlanName;

/// One thing that happened. The words are a contract: old journals are read for years.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A plan was begun.
    Opened(Opening),
    /// A plan was gone on with after a stop or a crash.
    Resumed,
    /// A gate was judged.
    GateJudged {
        /// Its name.
        gate: String,
        /// Whether it is open.
        open: bool,
        /// Why.
        evidence: Vec<Finding>,
    },
    /// A gate was passed although it was closed.
    GateOverridden {
        /// Its name.
        gate: String,
        /// Why, in the words of whoever did.
        reason: String,
        /// Why it was closed.
        evidence: Vec<Finding>,
    },
    /// Somebody said yes.
    Confirmed {
        /// To which phase.
        phase: String,
        /// What was shown before.
        shown: Vec<Finding>,
    },
    /// Somebody did not say yes.
    Declined {
        /// To which phase.
        phase: String,
    },
    /// A step is about to be done.
    Begun {
        /// Its name.
        step: String,
    },
    /// A step is done, and verified.
    Done {
        /// Its name.
        step: String,
        /// How it was verified.
        evidence: Vec<Finding>,
    },
    /// What a step is to bring about held before it was begun.
    Skipped {
        /// Its name.
        step: String,
        /// How one knows.
        evidence: Vec<Finding>,
    },
    /// A step failed. It may be tried again.
    Failed {
        /// Its name.
        step: String,
        /// Why, in one line.
        why: String,
        /// Whether its action was refused: then it has moved nothing.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        refused: bool,
    },
    /// The run stopped before the end. It can be gone on with.
    Stopped {
        /// Why, in one line.
        why: String,
    },
    /// All is done.
    Completed,
    /// The plan is given up for good.
    Abandoned {
        /// Why, in the words of whoever did.
        reason: String,
    },
    /// A plan was rehearsed. It has no part in the plans around it.
    Drilled(Drill),
}

/// How a plan was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Which one.
    pub plan: PlanName,
    /// The digest of all that it says.
    pub plan_digest: String,
    /// The digest of the topology that it was made for.
    pub topology_digest: String,
}

/// What a drill found out: everything that the plan asks was looked at, and nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    /// Of which plan.
    pub plan: PlanName,
    /// The digest of all that it says.
    pub plan_digest: String,
    /// The digest of the topology that it was made for.
    pub topology_digest: String,
    /// How its gates stood, in its order.
    pub gates: Vec<GateLook>,
    /// How long its steps took to look at, in its order.
    pub steps: Vec<StepLook>,
    /// How long all of it took to look at, in milliseconds.
    pub took_ms: u64,
}

/// How a gate stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateLook {
    /// Its name.
    pub gate: String,
    /// Whether it is open; unknown also where a person would be asked.
    pub verdict: Verdict,
    /// How long it took to look at, in milliseconds.
    pub took_ms: u64,
}

/// How long a step took to look at; not what it takes to do it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepLook {
    /// Its name.
    pub step: String,
    /// Before and after it, in milliseconds.
    pub took_ms: u64,
}
