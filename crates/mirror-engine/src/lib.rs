#![doc = include_str!("../README.md")]
//!
//! The decisions are in [`planner`], the loop that carries them out is [`Mirror`].
#![forbid(unsafe_code)]

mod driver;
pub mod orders;
mod own_keys;
mod plan;
pub mod planner;
mod record;
mod settings;
mod status;

pub use driver::{Mirror, Primary, Standby};
pub use own_keys::OwnKeys;
pub use plan::{PlanError, PlanReport, RuleCount, plan};
pub use planner::{Ended, PlanDigest};
pub use record::{
    Accounted, Checkpoint, Control, CopyPosition, Desired, Epoch, Phase, RecordError, Witness,
};
pub use settings::{Coalesce, DeleteFuse, EncodeStatus, Settings, TxnLimits};
pub use status::{Blocked, CopyProgress, Counters, GuardKind, State, Status};
