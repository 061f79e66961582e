//! What the mirror is told, and whether it is fenced.

use dr_plan::Answer;
use dr_plan::runner::Acted;
use mirror_engine::orders::{self, Order, OrderError};
use mirror_engine::promotion::{self, Fence};

use super::Etcds;
use super::status::since_1970;
use super::words::{fails, holds, unknown};

impl Etcds {
    pub(super) async fn pause(&self) -> Acted {
        acted(orders::give(&self.standby, self.name(), Order::Pause).await)
    }

    pub(super) async fn resume(&self) -> Acted {
        acted(orders::give(&self.standby, self.name(), Order::Resume).await)
    }

    /// Promotes the standby; a fence that stands already stays as it is.
    pub(super) async fn fence(&self, by: &str) -> Acted {
        let now = since_1970().as_secs();
        acted(promotion::promote(&self.standby, self.name(), by, now).await)
    }

    /// Takes back the fence that stands on what is a standby again. The epoch stays; the checkpoint
    /// goes, so that the next mirror compares everything.
    pub(super) async fn admit(&self) -> Acted {
        match promotion::fence(&self.standby, self.name()).await {
            Ok(None) => Acted::Accepted,
            Ok(Some(fence)) => {
                acted(promotion::take_back(&self.standby, self.name(), fence.digest()).await)
            }
            Err(error) => Acted::Refused(error.to_string()),
        }
    }

    /// Whether there is no fence on the standby.
    pub(super) async fn admitted(&self) -> Answer {
        match promotion::fence(&self.standby, self.name()).await {
            Ok(None) => holds("it is not promoted"),
            Ok(Some(fence)) => fails(told(&fence)),
            Err(error) => unknown(error.to_string()),
        }
    }

    /// Whether the standby is promoted, under an epoch that no mirror has.
    pub(super) async fn fenced(&self) -> Answer {
        let stored = match orders::read_state(&self.standby, self.name()).await {
            Ok(stored) => stored,
            Err(error) => return unknown(error.to_string()),
        };
        match promotion::fence(&self.standby, self.name()).await {
            Ok(None) => fails("the standby is not promoted"),
            Ok(Some(fence)) => {
                let epoch = stored.epoch.map_or(0, |epoch| epoch.number);
                if epoch < fence.promotion.epoch {
                    return fails(format!("{}, but epoch {epoch} is stored", told(&fence)));
                }
                holds(told(&fence))
            }
            Err(error) => unknown(error.to_string()),
        }
    }
}

/// A fence in one line.
pub(super) fn told(fence: &Fence) -> String {
    let promotion = &fence.promotion;
    let at = dr_plan::Timestamp::from_ms(promotion.at.saturating_mul(1_000));
    let pair = fence.checkpoint.map_or_else(
        || "the standby was not whole".to_owned(),
        |checkpoint| format!("whole up to primary revision {checkpoint}"),
    );
    format!(
        "promoted by {} at {at}, epoch {}, from standby revision {} on; {pair}; digest {}",
        promotion.by,
        promotion.epoch,
        fence.revision,
        fence.digest()
    )
}

/// An order that may have been taken is told as such: the `after` checks will tell.
pub(super) fn acted<T>(outcome: Result<T, OrderError>) -> Acted {
    match outcome {
        Ok(_) => Acted::Accepted,
        Err(OrderError::Standby(failure)) if failure.outcome_unknown => {
            Acted::Unknown(failure.to_string())
        }
        Err(error) => Acted::Refused(error.to_string()),
    }
}
