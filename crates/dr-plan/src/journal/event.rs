//! What a journal tells.

use serde::{Deserialize, Serialize};

use crate::finding::Finding;
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
    /// Whether it is an exercise.
    pub drill: bool,
}
