//! What only the standby has, of what is mirrored: the mirror deletes it when it is told to.

use std::time::Duration;

use dr_plan::Answer;
use dr_plan::runner::Acted;
use mirror_engine::orders;
use mirror_engine::{
    RepairKind, RepairKinds, RepairOutcome, RepairPlan, RepairPlanError, repair_plan,
};

use super::Etcds;
use super::orders::acted;
use super::words::{either, pending, unknown};

/// How long the mirror has for it.
const PATIENCE: Duration = Duration::from_secs(600);

impl Etcds {
    /// Orders what was found to be deleted, and waits until it is. The mirror looks again, and
    /// refuses if anything else would be.
    pub(super) async fn remove_surplus(&self) -> Acted {
        let plan = match self.surplus().await {
            Ok(plan) if plan.counts.total() == 0 => return Acted::Accepted,
            Ok(plan) => plan,
            Err(error) => return Acted::Refused(error.to_string()),
        };
        let ordered =
            orders::order_repair(&self.standby, self.name(), plan.kinds, plan.digest).await;
        let order = match ordered {
            Ok(order) => order,
            Err(error) => return acted::<()>(Err(error)),
        };
        match orders::repair_outcome(&self.standby, self.name(), order, PATIENCE).await {
            Some(record) if record.outcome == RepairOutcome::Done => Acted::Accepted,
            Some(record) => {
                Acted::Refused(format!("{}: {}", record.outcome.as_str(), record.reason))
            }
            None => Acted::Unknown("the mirror has not carried it out yet".to_owned()),
        }
    }

    /// Whether the standby has nothing that the primary lacks.
    pub(super) async fn no_surplus(&self) -> Answer {
        // What is ordered and not carried out is on its way.
        match orders::read_state(&self.standby, self.name()).await {
            Ok(stored) if stored.repair_waiting().is_some() => {
                return pending("the mirror has an order that it has not looked at yet");
            }
            Ok(stored)
                if stored.repair.as_ref().is_some_and(|record| !record.outcome.is_final()) =>
            {
                return pending("the mirror carries a repair out");
            }
            Ok(_) => {}
            Err(error) => return unknown(error.to_string()),
        }
        match self.surplus().await {
            Ok(plan) => {
                let surplus = plan.counts.total();
                either(surplus == 0, format!("{surplus} keys are on the standby only"))
            }
            Err(error) => unknown(error.to_string()),
        }
    }

    async fn surplus(&self) -> Result<RepairPlan, RepairPlanError> {
        let kinds = RepairKinds::named(&[RepairKind::Surplus]);
        let (primary, standby) = (&self.primary, &self.standby);
        // Boxed: it reads both sides, and is large.
        Box::pin(repair_plan(primary, standby, &self.scope, self.name(), kinds, |_| {})).await
    }
}
