//! What does not fit into one request: a revision in parts, a value alone, a limit that is learned.

use etcd_mvcc::{
    Expect, Failure, FailureCause, Guard, Op, Revision, StandbyRevision, Txn, Value, Write,
};

use crate::planner::batch::{next_part, txn_bytes, write_bytes};
use crate::planner::{Peer, Phase, Planner, Then};
use crate::record::{Checkpoint, Phase as Stored};
use crate::settings::TxnLimits;
use crate::status::GuardKind;

/// What may still be added to a request once its writes are known: a longer cursor, another
/// witness.
const SLACK_BYTES: usize = 1 << 10;

/// What etcd adds to a request before it compares it with its limit: at most this much.
const SERVER_BYTES: usize = 512;

/// A standby that takes no request of so many bytes takes no checkpoint either.
const REQUEST_BYTES_MIN: usize = 4 << 10;

/// What a standby should take that is to be more than a trickle.
const REQUEST_BYTES_ADVISED: usize = 64 << 10;

/// A transaction has room for a checkpoint, a repair's account and some writes, or none at all.
const REQUEST_OPS_MIN: usize = 6;

/// Operations of our own that a transaction keeps room for.
const OWN_OPS: usize = 16;

/// No entry of the ledger, or of what is held back, takes fewer bytes.
const OWN_OP_BYTES_MIN: usize = 24;

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
        let (room, ops_room) = (self.room(&checkpoint), self.ops_room());
        let named = !self.ledger.is_unnamed();
        let (withheld, request_ops) = (&self.withheld, self.request_ops);
        let records_fit = |bytes: usize, ops: usize| {
            withheld.fits(room.saturating_sub(bytes).min(few_own_ops(request_ops, ops)), room)
        };
        let Phase::Following(following) = &mut self.phase else { return };
        let Some(mut torn) = following.torn.take() else { return };
        let alone = torn.writes.front().is_some_and(|write| write_bytes(write) > room);
        let part = match (alone, torn.marked && named) {
            (true, true) => torn.writes.pop_front().into_iter().collect(),
            (true, false) => Vec::new(),
            (false, _) => next_part(&mut torn.writes, room, ops_room),
        };
        let bytes: usize = part.iter().map(write_bytes).sum();
        let last = torn.writes.is_empty() && !alone && records_fit(bytes, part.len());
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
        let own = self.ledger.take_ops((self.request_bytes / 2).min(self.few_own_ops(0)));
        self.send(Then::Enrolled, Txn { guard, writes: Vec::new(), own }, None);
    }

    /// The standby takes less than was thought: learn how much, and cut smaller, or say that it
    /// can't be done. Nothing was written. `true` if that is an answer.
    ///
    /// Every refusal lowers a limit that is kept as long as this process lives, down to a floor: it
    /// can't go on for ever. The pause before the next attempt grows while nothing is written.
    pub(in crate::planner) fn on_too_large(&mut self, failure: &Failure) -> bool {
        if self.in_flight.is_none() {
            return false;
        }
        self.count_error(Peer::Standby, failure);
        if let FailureCause::Operations { max } = failure.cause {
            return self.on_too_many_ops(max, failure);
        }
        let Some(flight) = &self.in_flight else { return false };
        let told = match failure.cause {
            FailureCause::SizeMax(bytes) => {
                usize::try_from(bytes).ok().map(|most| most.saturating_sub(SERVER_BYTES))
            }
            FailureCause::Other
            | FailureCause::TimedOut
            | FailureCause::Size(_)
            | FailureCause::Operations { .. } => None,
        };
        if let (Some(key), None) = (flight.only(), &flight.record) {
            let reason = format!(
                "{key} with its value is {} bytes, more than the standby takes in one guarded \
                 request ({failure}): raise the standby's --max-request-bytes by 64 KiB or more",
                flight.bytes
            );
            self.hold_until_mended(GuardKind::TooLarge, reason);
            return true;
        }
        let before = self.request_bytes;
        let asked = flight.request_bytes.clamp(1, before);
        let alone = flight.only().is_some();
        self.request_bytes = if let Some(told) = told {
            (self.bytes_taken, self.bytes_refused) = (told, told);
            told.min(before)
        } else if alone {
            // It has to go alone next time.
            self.bytes_refused = asked;
            before.min(self.in_flight_bytes())
        } else {
            // A standby that took more before takes less now.
            let taken = if self.bytes_taken < asked { self.bytes_taken } else { 0 };
            self.bytes_taken = taken;
            self.bytes_refused = asked;
            taken + (asked - taken) / 2
        };
        if self.request_bytes < REQUEST_BYTES_MIN || self.request_bytes >= before {
            self.request_bytes = before;
            let reason = format!(
                "the standby does not even take requests of {asked} bytes ({failure}): raise the \
                 standby's --max-request-bytes to {REQUEST_BYTES_ADVISED} or more"
            );
            self.hold_until_mended(GuardKind::TooLarge, reason);
            return true;
        }
        self.start_over("the standby takes smaller requests than expected");
        true
    }

    /// The standby has taken a request of this size. What was learned from a refusal may have been
    /// too little: between what was taken and what was refused, it is looked for by halves, until
    /// the two are close.
    pub(in crate::planner) fn on_bytes_taken(&mut self, bytes: usize) {
        self.bytes_taken = self.bytes_taken.max(bytes);
        let (taken, refused) = (self.bytes_taken, self.bytes_refused);
        if bytes >= self.request_bytes / 4 * 3 && refused > taken + taken / 8 {
            let more = self.request_bytes.max(taken + (refused - taken) / 2);
            self.request_bytes = more.min(refused).min(self.settings.txn.request_bytes);
        }
    }

    fn on_too_many_ops(&mut self, max: Option<usize>, failure: &Failure) -> bool {
        let before = self.request_ops.min(self.in_flight_ops().max(1));
        let fewer = max.filter(|max| *max < before).unwrap_or(before / 2);
        if fewer < REQUEST_OPS_MIN {
            let reason = format!(
                "the standby takes too few operations in a transaction ({failure}): raise the \
                 standby's --max-txn-ops to 16 or more"
            );
            self.hold_until_mended(GuardKind::TooLarge, reason);
            return true;
        }
        self.request_ops = fewer;
        self.start_over("the standby takes fewer operations in a transaction than expected");
        true
    }

    /// How large a transaction may get, by the settings and by what was learned.
    pub(in crate::planner) fn txn_limits(&self) -> TxnLimits {
        let TxnLimits { ops, bytes, request_bytes } = self.settings.txn;
        TxnLimits {
            ops: ops.min(self.ops_room()),
            bytes: bytes.min(self.request_bytes),
            request_bytes,
        }
    }

    /// How many writes fit into one transaction beside some operations of our own.
    pub(in crate::planner) fn ops_room(&self) -> usize {
        self.request_ops - (self.request_ops / 4).min(OWN_OPS)
    }

    /// How many bytes of our own entries may go with so many operations: no more entries then
    /// than the standby takes.
    pub(in crate::planner) fn few_own_ops(&self, ops: usize) -> usize {
        few_own_ops(self.request_ops, ops)
    }

    /// Tells whether the records of what is held back go along with so many writes.
    pub(super) fn records_fit(&self, room: usize, bytes: usize, ops: usize) -> bool {
        self.withheld.fits(room.saturating_sub(bytes).min(self.few_own_ops(ops)), room)
    }

    fn in_flight_ops(&self) -> usize {
        self.in_flight.as_ref().map_or(0, |flight| flight.ops)
    }

    fn in_flight_bytes(&self) -> usize {
        let bytes = self.in_flight.as_ref().map_or(0, |flight| flight.bytes);
        usize::try_from(bytes).unwrap_or(usize::MAX / 2)
    }
}

fn few_own_ops(request_ops: usize, ops: usize) -> usize {
    // The checkpoint is one more.
    request_ops.saturating_sub(ops + 1).saturating_mul(OWN_OP_BYTES_MIN)
}
