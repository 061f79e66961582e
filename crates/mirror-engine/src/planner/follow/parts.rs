//! What does not fit into one request: a revision in parts, a value alone, a limit that is learned.

use etcd_mvcc::{Expect, Failure, Guard, Op, Revision, StandbyRevision, Txn, Value, Write};

use crate::planner::batch::{next_part, txn_bytes, write_bytes};
use crate::planner::{Phase, Planner, Then};
use crate::record::{Checkpoint, Phase as Stored};
use crate::status::GuardKind;

/// What may still be added to a request once its writes are known: a longer cursor, another
/// witness.
const SLACK_BYTES: usize = 1 << 10;

impl Planner {
    /// How many bytes of writes fit into one request beside the guard and such a checkpoint.
    pub(in crate::planner) fn room(&self, record: &Checkpoint) -> usize {
        self.request_bytes.saturating_sub(txn_bytes(&self.guarded(record)) + SLACK_BYTES)
    }

    /// A transaction that only moves the checkpoint: what every request carries at least.
    fn guarded(&self, record: &Checkpoint) -> Txn {
        let expect = Expect::ModifiedAt(StandbyRevision::new(i64::MAX));
        let guard =
            Guard(vec![(self.own.epoch.clone(), expect), (self.own.checkpoint.clone(), expect)]);
        let value = record.encode();
        let own = vec![Op::Put { key: self.own.checkpoint.clone(), value }];
        Txn { guard, writes: Vec::new(), own }
    }

    /// Sends the next part of a revision that is too wide for one transaction.
    ///
    /// The checkpoint says torn until the last part is in: nobody takes the state in between for
    /// one that the primary had. A single write that does not even fit beside the checkpoint goes
    /// alone, under the epoch's guard, between two checkpoints.
    pub(super) fn commit_part(&mut self) {
        let Some(checkpoint) = self.checkpoint.clone() else { return };
        let room = self.room(&checkpoint);
        let named = !self.ledger.is_unnamed();
        let Phase::Following(following) = &mut self.phase else { return };
        let Some(mut torn) = following.torn.take() else { return };
        let alone = torn.writes.front().is_some_and(|write| write_bytes(write) > room);
        let part = match (alone, torn.marked && named) {
            (true, true) => torn.writes.pop_front().into_iter().collect(),
            (true, false) => Vec::new(),
            (false, _) => next_part(&mut torn.writes, room),
        };
        let last = torn.writes.is_empty() && !alone;
        torn.marked = true;
        let record = if last {
            let (revision, witnesses) = (torn.revision, torn.witnesses);
            Checkpoint { revision, witnesses, phase: Stored::Whole, ..checkpoint }
        } else {
            let phase = Stored::Torn { revision: torn.revision };
            following.torn = Some(torn);
            Checkpoint { phase, ..checkpoint }
        };
        if alone && !part.is_empty() {
            self.commit_lean(Then::FollowApplied, part);
        } else {
            self.commit(Then::FollowApplied, part, Some(record));
        }
    }

    /// Sends writes under the epoch's guard alone, without a checkpoint: for a value that fills
    /// the request. An attempt that is delayed is fenced by the next epoch, which every start
    /// over claims.
    ///
    /// A small key goes with it: it tells whoever did not hear the answer that the transaction is
    /// the mirror's, also after the standby has compacted it. It can tell so of one transaction
    /// only, so the next one waits until a checkpoint has named this one: see
    /// [`Ledger::is_unnamed`](crate::planner::Ledger::is_unnamed).
    pub(in crate::planner) fn commit_lean(&mut self, then: Then, writes: Vec<Write>) {
        let Some(epoch) = self.epoch else { return self.start_over("no epoch is held") };
        let guard = Guard(vec![(self.own.epoch.clone(), Expect::ModifiedAt(epoch.modified))]);
        debug_assert!(!self.ledger.is_unnamed(), "a checkpoint comes first");
        let own = vec![Op::Put { key: self.own.alone.clone(), value: Value::default() }];
        self.send(then, Txn { guard, writes, own }, None);
    }

    /// Writes ledger entries and nothing else; the checkpoint stays as it is.
    pub(in crate::planner) fn commit_ledger(&mut self) {
        let Some(epoch) = self.epoch else { return self.start_over("no epoch is held") };
        let guard = Guard(vec![
            (self.own.epoch.clone(), Expect::ModifiedAt(epoch.modified)),
            (self.own.checkpoint.clone(), self.checkpoint_modified),
        ]);
        let own = self.ledger.take_ops(self.request_bytes / 2);
        self.send(Then::Enrolled, Txn { guard, writes: Vec::new(), own }, None);
    }

    /// The standby takes less than was thought: cut smaller, or say that it can't be done.
    /// `true` if that is an answer.
    pub(in crate::planner) fn on_too_large(&mut self, failure: &Failure) -> bool {
        let Some(flight) = &self.in_flight else { return false };
        if let (Some(key), None) = (flight.only(), &flight.record) {
            let reason = format!(
                "{key} with its value is {} bytes, more than the standby takes in one guarded \
                 request ({failure}): raise the standby's --max-request-bytes by 64 KiB or more",
                flight.bytes
            );
            self.hold_until_mended(GuardKind::TooLarge, reason);
            return true;
        }
        self.request_bytes = match flight.only() {
            // It has to go alone next time.
            Some(_) => self.request_bytes.min(self.in_flight_bytes()),
            None => (self.request_bytes / 2).max(4 << 10),
        };
        self.failures = 0;
        self.start_over("the standby takes smaller requests than expected");
        true
    }

    fn in_flight_bytes(&self) -> usize {
        let bytes = self.in_flight.as_ref().map_or(0, |flight| flight.bytes);
        usize::try_from(bytes).unwrap_or(usize::MAX / 2)
    }
}
