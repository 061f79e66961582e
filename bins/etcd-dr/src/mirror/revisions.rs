//! How the revisions and identities of the two etcds stand to one another.

use dr_plan::Answer;
use etcd_mvcc::{ReadHead as _, Revision as _, Side, distinct};
use mirror_engine::history::{Judgement, ProofError, prove_stored};

use super::Etcds;
use super::words::{either, fails, holds, unknown, unread};

impl Etcds {
    /// Whether the two etcds are two clusters.
    pub(super) async fn different(&self) -> Answer {
        match distinct(&self.primary, &self.standby, &self.scope.primary_hull()).await {
            Ok(Ok(())) => match (self.primary.head().await, self.standby.head().await) {
                (Ok(one), Ok(other)) => {
                    holds(format!("etcd clusters {} and {}", one.cluster, other.cluster))
                }
                (Err(failure), _) => unread(&self.topology.primary.name, &failure),
                (_, Err(failure)) => unread(&self.topology.standby.name, &failure),
            },
            Ok(Err(same)) => fails(format!("etcd clusters {0} and {0}: {same}", same.cluster)),
            Err((Side::Primary, failure)) => unread(&self.topology.primary.name, &failure),
            Err((Side::Standby, failure)) => unread(&self.topology.standby.name, &failure),
        }
    }

    /// Whether the standby's revision is above the primary's by a margin. A primary that is gone
    /// counts with the last revision that the mirror saw of it.
    pub(super) async fn floor(&self, margin: u64) -> Answer {
        let standby = match self.standby.head().await {
            Ok(head) => head.revision.get(),
            Err(failure) => return unread(&self.topology.standby.name, &failure),
        };
        let (primary, seen) = match self.primary.head().await {
            Ok(head) => (head.revision.get(), "is at"),
            Err(failure) => match self.last_seen().await {
                Some(revision) => (revision, "was last seen at"),
                None => return unread(&self.topology.primary.name, &failure),
            },
        };
        let margin = i64::try_from(margin).unwrap_or(i64::MAX);
        let evidence = format!("the standby is at {standby}, the primary {seen} {primary}");
        either(standby.saturating_sub(primary) >= margin, evidence)
    }

    /// Whether less has to be drained than the primary keeps of its history.
    pub(super) async fn headroom(&self) -> Answer {
        let checkpoint = match self.checkpoint().await {
            Ok(checkpoint) => checkpoint.revision.get(),
            Err(answer) => return answer,
        };
        let head = match self.primary.head().await {
            Ok(head) => head.revision.get(),
            Err(failure) => return unread(&self.topology.primary.name, &failure),
        };
        let compacted = match self.primary.compacted().await {
            Ok(Some(compacted)) => compacted.get(),
            Ok(None) => return holds("the primary keeps its whole history"),
            Err(failure) => return unread(&self.topology.primary.name, &failure),
        };
        let (room, left) = (checkpoint.saturating_sub(compacted), head.saturating_sub(checkpoint));
        let history = if room < 0 {
            format!(
                "the primary is compacted up to {compacted}, past the checkpoint at {checkpoint}"
            )
        } else {
            format!("{room} lie between the checkpoint and what is compacted")
        };
        let evidence = format!("{left} revisions are to be mirrored; {history}");
        // One that has everything has nothing to lose to compaction.
        either(left <= 0 || room > left, evidence)
    }

    /// Whether the primary is the cluster of the checkpoint, and shows what was mirrored last.
    pub(super) async fn history_proven(&self) -> Answer {
        match prove_stored(&self.primary, &self.standby, self.name(), None).await {
            Ok(Some(Judgement::Proven(proof))) => holds(proof.evidence),
            Ok(Some(Judgement::Refuted(refutation))) => fails(refutation.evidence),
            Ok(Some(Judgement::Undecided(reason))) => unknown(reason),
            Ok(None) => unknown("the standby has no checkpoint of a mirror"),
            Err(ProofError::Unread { side: Side::Primary, failure }) => {
                unread(&self.topology.primary.name, &failure)
            }
            Err(ProofError::Unread { side: Side::Standby, failure }) => {
                unread(&self.topology.standby.name, &failure)
            }
            Err(ProofError::Record(error)) => unknown(error.to_string()),
        }
    }
}
