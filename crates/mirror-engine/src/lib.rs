#![doc = include_str!("../README.md")]
//!
//! The decisions are in [`planner`], the loop that carries them out is [`Mirror`].
#![forbid(unsafe_code)]

mod control;
mod driver;
pub mod orders;
mod own_keys;
mod plan;
pub mod planner;
mod record;
mod repair;
mod settings;
mod status;
mod tally;

pub use control::{Control, Desired};
pub use driver::{Mirror, Primary, Standby};
pub use own_keys::OwnKeys;
pub use plan::{PlanError, PlanReport, plan};
pub use planner::{Ended, PlanDigest};
pub use record::{Accounted, Checkpoint, CopyPosition, Epoch, Phase, RecordError, Witness};
pub use repair::{
    DigestError, NotRepairable, RepairCounts, RepairDifference, RepairDigest, RepairFinding,
    RepairKind, RepairKinds, RepairOrder, RepairOutcome, RepairPlan, RepairPlanError,
    RepairPosition, RepairRecord, Surplus, repair_plan,
};
pub use settings::{Coalesce, DeleteFuse, EncodeStatus, Settings, TxnLimits};
pub use status::{Blocked, CopyProgress, Counters, GuardKind, State, Status};
pub use tally::{Amount, GroupCount, GroupName};
