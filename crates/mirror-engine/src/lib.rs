#![doc = include_str!("../README.md")]
//!
//! The decisions are in [`planner`], the loop that carries them out is [`Mirror`].
#![forbid(unsafe_code)]

mod control;
mod driver;
pub mod freshness;
mod held_back;
pub mod history;
pub mod orders;
mod own_keys;
mod plan;
pub mod planner;
pub mod promotion;
mod record;
mod release;
mod repair;
mod settings;
mod status;
mod tally;

pub use control::{Control, Desired};
pub use driver::{Election, IsGone, Mirror, NameOf, Primary, Standby};
pub use held_back::HeldBack;
pub use own_keys::OwnKeys;
pub use plan::{PlanError, PlanReport, plan};
pub use planner::{Ended, PlanDigest};
pub use record::{
    Accounted, Checkpoint, CopyPosition, Epoch, Phase, RaftSeen, RecordError, Witness,
};
pub use repair::{
    DigestError, NotRepairable, RepairCounts, RepairDifference, RepairDigest, RepairFinding,
    RepairKind, RepairKinds, RepairOrder, RepairOutcome, RepairPlan, RepairPlanError,
    RepairPosition, RepairRecord, Surplus, repair_plan,
};
pub use settings::{
    Coalesce, DeleteFuse, EncodeStatus, Heal, JudgeValue, Preflight, Preflighted, Settings,
    TxnLimits, WriteOrder,
};
pub use status::{
    Blocked, CopyProgress, Counters, DriftStatus, GuardKind, RefusedKey, State, Status,
};
pub use tally::{Amount, GroupCount, GroupName};
