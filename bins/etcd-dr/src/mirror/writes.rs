//! Whether anything is still written into the scope.

use std::time::Duration;

use dr_plan::Answer;
use dr_plan::plan::Side;
use etcd_link::Primary;
use etcd_mvcc::{Failure, FailureClass, Key, PrimaryRevision, ReadHead as _};
use keyspace_filter::Scope;
use mirror_config::Failure as Unusable;
use mirror_engine::Checkpoint;
use tokio::time::sleep;

use super::Etcds;
use super::history::replay;
use super::words::{fails, holds, unknown, unread};

/// How long nobody may write for it to be called standing still: controllers that are at work
/// write more often.
const STILL: Duration = Duration::from_secs(3);

/// Writes into the scope.
#[derive(Debug, Default)]
pub(super) struct Writes {
    pub(super) count: u64,
    /// One of the keys.
    pub(super) key: Option<Key>,
}

impl Writes {
    fn told(&self) -> String {
        let one = self.key.as_ref().map(|key| format!(", one of them to {key}"));
        format!("{} writes{}", self.count, one.unwrap_or_default())
    }
}

/// Counts the writes into the scope after one revision, up to and including another.
///
/// # Errors
///
/// See [`replay`].
pub(super) async fn writes(
    cluster: &Primary,
    scope: &Scope,
    after: PrimaryRevision,
    until: PrimaryRevision,
) -> Result<Writes, Failure> {
    let mut writes = Writes::default();
    let each = |group: etcd_mvcc::Group<PrimaryRevision>| {
        for change in group.changes.iter().filter(|change| scope.admits(change.key().as_bytes())) {
            writes.count += 1;
            writes.key.get_or_insert_with(|| change.key().clone());
        }
        Ok(())
    };
    replay(cluster, after, until, each).await?;
    Ok(writes)
}

impl Etcds {
    /// Prepares to read one side.
    pub(super) fn reader(&self, side: Side) -> Result<Primary, Unusable> {
        match side {
            Side::Primary => Ok(self.primary.clone()),
            Side::Standby => self.at(side).reader(&self.scope),
        }
    }

    /// Says so if the checkpoint was written under another scope than the one that is looked at:
    /// then nothing that is seen here says anything of what the mirror left out.
    pub(super) fn other_scope(&self, checkpoint: &Checkpoint) -> Option<String> {
        let ours = self.scope.hash().to_string();
        (checkpoint.scope != ours).then(|| {
            format!(
                "the mirror's scope is {}, not {ours}; give its configuration with --mirror-config",
                checkpoint.scope
            )
        })
    }

    /// Whether nobody writes into the scope for a while.
    pub(super) async fn stands_still(&self, side: Side) -> Answer {
        let name = &self.cluster(side).name;
        let cluster = match self.reader(side) {
            Ok(cluster) => cluster,
            Err(wrong) => return unknown(wrong.message),
        };
        let found = async {
            let before = cluster.head().await?.revision;
            sleep(STILL).await;
            let after = cluster.head().await?.revision;
            writes(&cluster, &self.scope, before, after).await
        };
        match found.await {
            Ok(Writes { count: 0, .. }) => {
                holds(format!("nobody wrote into the scope for {} s", STILL.as_secs()))
            }
            Ok(some) => fails(format!("{} within {} s", some.told(), STILL.as_secs())),
            Err(failure) => unread(name, &failure),
        }
    }

    /// Whether nothing in scope is on the primary that the checkpoint does not cover. What it wrote
    /// since then outside of the scope is nobody's loss.
    pub(super) async fn drained(&self) -> Answer {
        let checkpoint = match self.checkpoint().await {
            Ok(checkpoint) => checkpoint,
            Err(answer) => return answer,
        };
        if let Some(other) = self.other_scope(&checkpoint) {
            return unknown(other);
        }
        let at = checkpoint.revision;
        if !checkpoint.is_whole() {
            return fails(format!(
                "the standby is not whole: a copy or a revision is under way at {at}"
            ));
        }
        let name = &self.topology.primary.name;
        let head = match self.primary.head().await {
            Ok(head) => head,
            Err(failure) => return unread(name, &failure),
        };
        if head.cluster != checkpoint.cluster {
            return fails(format!("the checkpoint is of another cluster, {}", checkpoint.cluster));
        }
        let newest = head.revision;
        match writes(&self.primary, &self.scope, at, newest).await {
            Ok(Writes { count: 0, .. }) => {
                holds(format!("checkpoint {at}, primary {newest}: nothing in scope between them"))
            }
            Ok(some) => fails(format!("checkpoint {at}, primary {newest}: {}", some.told())),
            Err(failure) if failure.class == FailureClass::Resync => {
                fails(format!("the primary has compacted its history from {at} on"))
            }
            Err(failure) => unread(name, &failure),
        }
    }
}
