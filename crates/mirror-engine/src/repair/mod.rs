//! Repairs: an operator names kinds of differences, sees every key behind them, and has exactly
//! those mended.
//!
//! A repair compares the primary at the checkpoint's revision R with the standby as it is, values
//! and all. Between the checkpoint's last write and the standby as it is lie no writes of the
//! mirror, so whatever differs is the work of others, or a loss that nobody has explained.
//! [`repair_plan`] finds it out and writes nothing; [`order_repair`](crate::orders::order_repair)
//! hands the plan's digest to the running mirror, which looks for itself, and writes only if it
//! would do what the digest names.
//!
//! A full resync is the repair of [`RepairKinds::default`].

mod digest;
mod kinds;
mod plan;
mod record;

pub(crate) use self::digest::Digesting;
pub use self::digest::{DigestError, RepairDigest};
pub use self::kinds::{RepairCounts, RepairKind, RepairKinds, Surplus};
pub use self::plan::{
    NotRepairable, RepairDifference, RepairFinding, RepairPlan, RepairPlanError, repair_plan,
};
pub(crate) use self::record::OrderText;
pub use self::record::{RepairOrder, RepairOutcome, RepairPosition, RepairRecord};
