//! What can be set about a mirror.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use etcd_mvcc::{Failure, Key, PrimaryRevision, Value, WalkLimits};

use crate::Status;

/// When several primary revisions may share one standby transaction.
///
/// Sharing is what lets a mirror catch up. Its price: keys written together carry the same
/// revision on the standby, and a watcher that reconnects between two of them misses the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coalesce {
    /// Only while more revisions wait than one round trip explains.
    #[default]
    Lagging,
    /// Whenever more than one revision waits.
    Always,
    /// Never: one transaction for each primary revision.
    Never,
}

/// In which order a copy, a repair or a healing writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteOrder {
    /// Owners before their dependents, wherever the scope is one of Kubernetes objects: a live
    /// standby collects what has no owner.
    #[default]
    Owners,
    /// As the keys come: for a standby that nobody collects on.
    Keys,
}

/// What of others' writes to the mirror's keys is undone by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heal {
    /// Keys that were deleted are put back. Default: yes.
    pub deletions: bool,
    /// Keys that were changed are written over. Default: no, because a live standby's controllers
    /// rewrite some kinds for ever.
    pub changes: bool,
    /// How often a key is put back before the standby is said to refuse it. Default 4: the waits
    /// in between double, from two seconds on.
    pub limit: u32,
}

impl Default for Heal {
    fn default() -> Self {
        Self { deletions: true, changes: false, limit: 4 }
    }
}

/// When a resync has to be accepted by somebody: both limits must be exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeleteFuse {
    /// Deletions that need no word, however small the scope. Default 500.
    pub keys: u64,
    /// Deletions that need no word, in per cent of the standby's keys in scope. Default 10.
    pub percent: u64,
}

impl Default for DeleteFuse {
    fn default() -> Self {
        Self { keys: 500, percent: 10 }
    }
}

impl DeleteFuse {
    /// Tells whether deleting `deletes` of `keys` keys must be accepted first.
    #[must_use]
    pub fn blows(&self, deletes: u64, keys: u64) -> bool {
        deletes > self.keys && deletes.saturating_mul(100) > keys.saturating_mul(self.percent)
    }
}

/// How large a standby transaction may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxnLimits {
    /// Writes to aim at when revisions or differences are put together. More does not get faster
    /// (one write-ahead-log sync costs about as much as 500 puts), it only adds latency.
    pub ops: usize,
    /// Bytes to aim at when revisions or differences are put together.
    pub bytes: usize,
    /// The largest request that the standby takes, in bytes: etcd's `--max-request-bytes`, 1.5 MiB
    /// by default, less 64 bytes for what the server adds to it (its request header).
    pub request_bytes: usize,
}

impl Default for TxnLimits {
    fn default() -> Self {
        Self { ops: 1_000, bytes: 1 << 20, request_bytes: (3 << 19) - 64 }
    }
}

/// Judges whether the standby can take a value; `Err` says on one line why it can't. Asked of every
/// value right before it is sent, with the key under which the standby will read it: what is parked,
/// with its own.
pub type JudgeValue = Arc<dyn Fn(&Key, &Value) -> Result<(), String> + Send + Sync>;

/// Looks at both sides before the first write of a mirror that has never written.
pub type Preflight = Arc<
    dyn Fn() -> Pin<Box<dyn Future<Output = Result<Preflighted, Failure>> + Send>> + Send + Sync,
>;

/// What a look at both sides before the first write has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preflighted {
    /// Nothing stands in the way.
    Clear,
    /// The mirror must not begin.
    Refused {
        /// What was found, on one line.
        reason: String,
        /// What has to be mended, or the command that lets it begin all the same.
        release: String,
    },
}

/// Turns a status into the bytes that are stored beside the checkpoint for `etcd-sync status`.
pub type EncodeStatus = Arc<dyn Fn(&Status) -> Bytes + Send + Sync>;

/// What can be set about a mirror.
#[derive(Clone)]
pub struct Settings {
    /// The mirror's name: its keys on the standby lie under `/etcd-sync/<name>/`.
    pub name: String,
    /// When revisions may share a transaction.
    pub coalesce: Coalesce,
    /// In which order a copy writes.
    pub order: WriteOrder,
    /// What others do that is undone.
    pub heal: Heal,
    /// How many deletions a resync may do unasked.
    pub fuse: DeleteFuse,
    /// How large a transaction may get.
    pub txn: TxnLimits,
    /// How large a page read from either side may get.
    pub walk: WalkLimits,
    /// Changes that may wait for the standby, in bytes of keys and values; beyond it the watch is
    /// not read on. Default 32 MiB: at most one watch answer more is held. Extremes: below the
    /// size of one change the mirror works one change at a time; memory grows with it.
    pub backlog_bytes: usize,
    /// How far behind a watch is still opened, in revisions; beyond it a diff closes the gap.
    /// Default 10,000: from there on, catching up by watch costs the primary's writers stalls of
    /// a second and grows with the square of the distance (etcd-io/etcd#22264).
    pub catch_up_revisions: u64,
    /// How often the checkpoint moves while there is nothing to write. Default 5 s.
    pub idle_checkpoint: Duration,
    /// How often the primary's newest revision and the orders are asked for. Default 1 s.
    pub poll: Duration,
    /// Start by watching at this revision, without a base copy; only where no checkpoint exists.
    pub start_at: Option<PrimaryRevision>,
    /// Both ends are two clusters although their ids are equal and nothing that can be read tells
    /// them apart: the operator says so. Default: no.
    pub assume_distinct_clusters: bool,
    /// Log one line for each key applied, without values.
    pub detail_logs: bool,
    /// What the standby can take; without it, everything.
    pub judge_value: Option<JudgeValue>,
    /// Asked before the first write; without it, nothing is.
    pub preflight: Option<Preflight>,
    /// How the status is stored on the standby; without it, it is not.
    pub encode_status: Option<EncodeStatus>,
    /// Names this process among all that ever write under this mirror's name.
    pub owner: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: "default".to_owned(),
            coalesce: Coalesce::default(),
            order: WriteOrder::default(),
            heal: Heal::default(),
            fuse: DeleteFuse::default(),
            txn: TxnLimits::default(),
            walk: WalkLimits::default(),
            backlog_bytes: 32 << 20,
            catch_up_revisions: 10_000,
            idle_checkpoint: Duration::from_secs(5),
            poll: Duration::from_secs(1),
            start_at: None,
            assume_distinct_clusters: false,
            detail_logs: false,
            judge_value: None,
            preflight: None,
            encode_status: None,
            owner: String::new(),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("name", &self.name)
            .field("coalesce", &self.coalesce)
            .field("order", &self.order)
            .field("heal", &self.heal)
            .field("fuse", &self.fuse)
            .field("txn", &self.txn)
            .field("walk", &self.walk)
            .field("backlog_bytes", &self.backlog_bytes)
            .field("catch_up_revisions", &self.catch_up_revisions)
            .field("start_at", &self.start_at)
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fuse_blows_only_beyond_both_limits() {
        let fuse = DeleteFuse::default();
        assert!(!fuse.blows(500, 500), "a small scope may empty itself");
        assert!(!fuse.blows(1_000, 10_000), "ten per cent is not more than ten per cent");
        assert!(fuse.blows(1_001, 10_000));
        assert!(fuse.blows(501, 501));
    }
}
