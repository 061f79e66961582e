//! The one transaction that may be on its way, and what follows when it is answered.

use std::time::Duration;

use etcd_mvcc::{Committed, Expect, Failure, FailureClass, Guard, Key, Op, Txn, Write};

use super::{Effect, Peer, Phase, Planner, batch};
use crate::record::Checkpoint;
use crate::repair::RepairRecord;
use crate::status::{GuardKind, State};

/// How often the witnesses are stored.
const BOOK_EVERY: Duration = Duration::from_secs(5);

/// The transaction that is on its way, and what follows from it.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) then: Then,
    /// The checkpoint that it writes, if it does.
    pub(super) record: Option<Checkpoint>,
    pub(super) puts: u64,
    pub(super) deletes: u64,
    pub(super) bytes: u64,
    /// The mirrored keys that it writes, in the order of its writes.
    pub(super) keys: Vec<Key>,
    /// All its operations, our own included.
    pub(super) ops: usize,
    /// The size of the request; 0 where it says nothing of the standby's limit.
    pub(super) request_bytes: usize,
    /// The account of a repair that it writes, if it does.
    pub(super) repair: Option<RepairRecord>,
}

/// What follows a transaction that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The epoch is ours.
    Claimed,
    /// Some of the keys that only the standby has are in the ledger.
    Enrolled,
    /// Writes, or deletions, of a round were applied.
    RoundApplied,
    /// The copy is whole.
    CopyClosed,
    /// A batch, a part of one, or an idle checkpoint was applied.
    FollowApplied,
    /// A repair has mended some keys.
    Mended,
    /// A repair has ended.
    RepairEnded,
    /// What others deleted or changed was put back.
    Healed,
}

impl InFlight {
    /// The key, if it writes just one.
    pub(super) fn only(&self) -> Option<&Key> {
        match self.keys.as_slice() {
            [key] => Some(key),
            _ => None,
        }
    }
}

impl Planner {
    /// Sends a transaction under the guard of epoch and checkpoint.
    pub(super) fn commit(&mut self, then: Then, writes: Vec<Write>, record: Option<Checkpoint>) {
        self.commit_with(then, writes, record, None);
    }

    /// The same, with the account of a repair.
    pub(super) fn commit_with(
        &mut self,
        then: Then,
        writes: Vec<Write>,
        record: Option<Checkpoint>,
        repair: Option<RepairRecord>,
    ) {
        let Some(epoch) = self.epoch else { return self.start_over("no epoch is held") };
        let mut own: Vec<_> = repair.iter().map(|repair| self.repair_op(repair)).collect();
        let record = record.map(|mut record| {
            record.epoch = epoch.number;
            record.raft = self.raft.or(record.raft);
            record.standby = self.status.standby_cluster.or(record.standby);
            let bytes = writes.iter().map(batch::write_bytes).sum::<usize>()
                + own.iter().map(batch::op_bytes).sum::<usize>();
            let room = self.room(&record).saturating_sub(bytes);
            let few = self.few_own_ops(writes.len() + own.len());
            // What is held back comes first: without its record the checkpoint would not be whole.
            own.extend(self.withheld.take_ops(room.min(few)));
            let bytes = own.iter().map(batch::op_bytes).sum::<usize>()
                + writes.iter().map(batch::write_bytes).sum::<usize>();
            let few = self.few_own_ops(writes.len() + own.len());
            own.extend(self.ledger.take_ops(self.room(&record).saturating_sub(bytes).min(few)));
            let bytes = own.iter().map(batch::op_bytes).sum::<usize>()
                + writes.iter().map(batch::write_bytes).sum::<usize>();
            if self.few_own_ops(writes.len() + own.len()) > 0 {
                own.extend(self.book_op(&record, bytes));
            }
            record.accounted = self.ledger.accounted();
            own.push(Op::Put { key: self.own.checkpoint.clone(), value: record.encode() });
            record
        });
        let guard = Guard(vec![
            (self.own.epoch.clone(), Expect::ModifiedAt(epoch.modified)),
            (self.own.checkpoint.clone(), self.checkpoint_modified),
        ]);
        self.send(then, Txn { guard, writes, own }, record);
        if let Some(flight) = &mut self.in_flight {
            flight.repair = repair;
        }
    }

    /// Tells whether the stored witnesses are old, and older than what was noted.
    pub(super) fn book_is_due(&self) -> bool {
        self.book_stored.is_none_or(|(at, through)| {
            through < self.book.newest() && self.now.saturating_sub(at) >= BOOK_EVERY
        })
    }

    /// The write that stores the witnesses, if it is time to and there is room beside `bytes`.
    fn book_op(&mut self, record: &Checkpoint, bytes: usize) -> Option<Op> {
        // What is stored bears witness of a history that was given up.
        let void = std::mem::take(&mut self.book_void);
        let key = self.own.history.clone();
        self.new_book_op(record, bytes).or_else(|| void.then_some(Op::Delete { key }))
    }

    fn new_book_op(&mut self, record: &Checkpoint, bytes: usize) -> Option<Op> {
        if !self.book_is_due() || !record.is_whole() || record.revision < self.book.newest() {
            return None;
        }
        self.book.through = record.revision;
        let op = Op::Put { key: self.own.history.clone(), value: self.book.encode() };
        // One that has no room waits for the next time all the same.
        self.book_stored = Some((self.now, record.revision));
        (batch::op_bytes(&op) + bytes <= self.room(record)).then_some(op)
    }

    pub(super) fn send(&mut self, then: Then, txn: Txn, record: Option<Checkpoint>) {
        if let Some(reason) = self.unwritable(&txn.writes) {
            return self.hold_until_mended(GuardKind::EncryptionKey, reason);
        }
        debug_assert!(self.in_flight.is_none(), "one transaction at a time");
        debug_assert!(txn.writes.iter().all(|w| self.scope.admits_standby(w.op.key().as_bytes())));
        let puts = txn.writes.iter().filter(|write| matches!(write.op, Op::Put { .. })).count();
        let bytes = txn.writes.iter().map(|write| write.op.size()).sum::<usize>();
        self.in_flight = Some(InFlight {
            then,
            record,
            puts: puts as u64,
            deletes: (txn.writes.len() - puts) as u64,
            bytes: bytes as u64,
            keys: txn.writes.iter().map(|write| write.op.key().clone()).collect(),
            ops: txn.writes.len() + txn.own.len(),
            request_bytes: batch::txn_bytes(&txn),
            repair: None,
        });
        self.effects.push_back(Effect::Commit(txn));
    }

    /// Why the standby can't take one of these, if so.
    fn unwritable(&self, writes: &[Write]) -> Option<String> {
        let judge = self.settings.judge_value.as_ref()?;
        writes.iter().find_map(|write| match &write.op {
            Op::Put { key, value } if self.scope.is_parked(key.as_bytes()) => {
                judge(&self.scope.primary_key(key)?, value).err()
            }
            Op::Put { key, value } => judge(key, value).err(),
            Op::Delete { .. } => None,
        })
    }

    /// What could not be written was, or is not wanted any more.
    fn unblock_writes(&mut self) {
        if !std::mem::take(&mut self.write_blocked) {
            return;
        }
        let copies = matches!(self.phase, Phase::Copying(_));
        self.status.state = if copies { State::Copying } else { State::Following };
        self.status.blocked = None;
        self.status.reason.clear();
    }

    pub(super) fn on_committed(&mut self, committed: &Committed) {
        let Some(flight) = self.in_flight.take() else { return };
        self.on_bytes_taken(flight.request_bytes);
        self.status.standby_revision = self.status.standby_revision.max(committed.revision);
        self.status.counters.txns += 1;
        self.status.counters.puts_applied += flight.puts;
        self.status.counters.deletes_applied += flight.deletes;
        self.ledger.wrote(committed.revision);
        // Not before it is known that the write happened: a key that somebody else has written in
        // between stays theirs, and so does its entry.
        for (index, key) in flight.keys.iter().enumerate() {
            if committed.skipped.binary_search(&index).is_err() {
                self.ledger.adopt(&self.own, key, committed.revision);
            }
        }
        let written = flight.puts + flight.deletes > committed.skipped.len() as u64;
        let moved = match (&flight.record, &self.checkpoint) {
            (Some(record), Some(before)) => record.revision > before.revision,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if written || moved {
            // Nothing less is progress: what comes to nothing again and again must pause longer.
            self.failures = 0;
        }
        if let Some(record) = flight.record {
            self.checkpoint_modified = Expect::ModifiedAt(committed.revision);
            self.checkpoint = Some(record);
            self.ledger.named();
        } else if !flight.keys.is_empty() {
            self.ledger.wrote_alone(committed.revision);
        }
        if let Some(repair) = flight.repair {
            self.repairs.stored(repair, Expect::ModifiedAt(committed.revision));
        }
        // What only stores witnesses or ledger entries says nothing of the value that waits.
        if written || flight.then == Then::CopyClosed {
            self.unblock_writes();
        }
        match flight.then {
            Then::Claimed => self.on_claimed(committed.revision),
            Then::Enrolled => {}
            Then::RoundApplied => {
                self.status.copy.keys_written += flight.puts;
                self.status.copy.bytes_written += flight.bytes;
                self.status.copy.keys_deleted += flight.deletes;
                self.on_round_applied(committed);
            }
            Then::CopyClosed => {
                self.out_of_space = false;
                self.follow();
            }
            Then::Mended => self.on_mended(committed),
            Then::Healed => self.on_healed(committed),
            Then::FollowApplied | Then::RepairEnded => self.on_follow_applied(),
        }
    }

    pub(super) fn on_refused(&mut self) {
        self.status.counters.fenced_txns += 1;
        self.start_over("the standby's own keys have moved: somebody else may lead");
    }

    pub(super) fn on_commit_failed(&mut self, failure: &Failure) {
        if failure.class == FailureClass::TooLarge && self.on_too_large(failure) {
            return;
        }
        self.on_failure(Peer::Standby, failure);
    }
}
