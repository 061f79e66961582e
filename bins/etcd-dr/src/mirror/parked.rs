//! What a rule holds until promotion, and its release.

use dr_plan::Answer;
use dr_plan::plan::Side;
use dr_plan::runner::Acted;
use etcd_mvcc::{Failure, KeyRange, PageRequest, ReadRange as _};
use keyspace_filter::parked_prefix;
use mirror_engine::orders::OrderError;
use mirror_engine::promotion::{InTheWay, Released, release_parked};

use super::Etcds;
use super::orders::acted;
use super::words::{either, fails, holds, unknown, unread};

impl Etcds {
    /// Moves what is parked to its own place. What the standby has there of its own stays: which of
    /// the two is meant nobody can tell from here.
    pub(super) async fn release(&self) -> Acted {
        match self.parked().await {
            Ok(parked) => {
                if let Some(why) = self.stranger_to_rules(parked).await {
                    return Acted::Refused(why);
                }
            }
            Err(failure) => return Acted::Refused(failure.to_string()),
        }
        acted(self.releases(InTheWay::Keep).await)
    }

    /// Whether everything that can be released was.
    pub(super) async fn released(&self) -> Answer {
        let name = &self.cluster(Side::Standby).name;
        let parked = match self.parked().await {
            Ok(0) => return holds("nothing is parked"),
            Ok(parked) => parked,
            Err(failure) => return unread(name, &failure),
        };
        if let Some(why) = self.stranger_to_rules(parked).await {
            return fails(why);
        }
        match self.releases(InTheWay::Report).await {
            Ok(left) => either(left.moved + left.there == 0, told(&left)),
            Err(OrderError::Standby(failure)) => unread(name, &failure),
            Err(OrderError::NotPromoted) => fails("the standby is not promoted"),
            Err(error) => unknown(error.to_string()),
        }
    }

    async fn releases(&self, policy: InTheWay) -> Result<Released, OrderError> {
        release_parked(&self.releasing, &self.scope, self.name(), policy).await
    }

    /// How many keys are parked.
    async fn parked(&self) -> Result<u64, Failure> {
        let range = KeyRange::prefix(format!("{}/", parked_prefix(self.name())).as_bytes());
        let one = PageRequest { range, at: None, limit: 1, keys_only: true };
        Ok(self.standby.read_page(one).await?.count)
    }

    /// Says so if so many keys are parked by rules that are not known here: whoever releases by
    /// other rules leaves parked what should go.
    async fn stranger_to_rules(&self, parked: u64) -> Option<String> {
        if parked == 0 {
            return None;
        }
        let strange = match self.checkpoint().await {
            Ok(checkpoint) => self.other_scope(&checkpoint),
            Err(answer) => Some(answer.evidence),
        };
        strange.map(|why| format!("{parked} keys are parked, and {why}"))
    }
}

/// What is still parked, and why.
fn told(left: &Released) -> String {
    let Released { moved, there, in_the_way, ownerless, strays, .. } = left;
    format!(
        "{} keys can be released; to stay parked: {in_the_way} whose place is taken (`etcd-sync \
         release --in-the-way overwrite` puts them there), {ownerless} without their owners, \
         {strays} that no rule holds any more",
        moved + there
    )
}
