//! A repair that was accepted is carried out: values first, owners before their dependents, then
//! deletions, dependents before their owners.
//!
//! Each of the two is a walk of its own over the pair that was surveyed, so that nothing has to be
//! kept between them. What needs no owner is written as it streams by, in key order; the rest when
//! the walk is at its end. Both sides are read at the same revisions whenever a repair goes on
//! after an interruption, so that its order is the same again, and a place in it is a number.

use etcd_mvcc::{Committed, Entry, Expect, Failure, FailureClass, Key, Op, PrimaryRevision};
use etcd_mvcc::{PageSizes, Write};
use keyspace_filter::Scope;

use super::differences::{Difference, Differences, Next};
use super::{Phase, Planner, Repair, Stage};
use crate::planner::batch::op_bytes;
use crate::planner::comparison::Comparison;
use crate::planner::order::{Deletions, Queue, Taken};
use crate::planner::round::DELETIONS_MAX;
use crate::planner::{Effect, Ledger, Peer, Then, Withheld};
use crate::repair::{RepairKind, RepairOutcome, RepairPosition, RepairRecord};
use crate::settings::{TxnLimits, WriteOrder};

/// A repair that writes.
#[derive(Debug)]
pub(super) struct Mend {
    scope: Scope,
    differences: Differences,
    queue: Queue,
    deletions: Deletions,
    /// Where it began.
    position: RepairPosition,
    found_all: bool,
    /// How many had to wait until all was found, once that is known.
    waiting: Option<u64>,
    /// What is on its way, in the order of the transaction's writes.
    sent: Vec<(Key, RepairKind)>,
}

impl Mend {
    /// Begins, or goes on, at `position` of the repair that `record` tells of.
    pub(super) fn new(
        scope: &Scope,
        sizes: PageSizes,
        order: WriteOrder,
        record: &RepairRecord,
        position: &RepairPosition,
    ) -> Self {
        let values = record.planned.missed + record.planned.different > 0;
        let mut position = position.clone();
        if !values {
            position.deleting = true;
        }
        // What is deleted tells by its value who owns it; what is written, by the primary's.
        let comparison = Comparison::new(scope, sizes, position.deleting, false)
            .pinned(record.revision, Some(record.standby_revision));
        let kinds = if position.deleting { record.kinds.deletions() } else { record.kinds.puts() };
        // Nothing to delete: no need to look for it.
        let found_all = position.deleting && record.planned.surplus == 0;
        Self {
            scope: scope.clone(),
            differences: Differences::new(comparison, kinds),
            queue: Queue::new(order, scope, false).that_leaves_nothing(),
            deletions: Deletions::default(),
            position,
            found_all,
            waiting: None,
            sent: Vec::new(),
        }
    }

    pub(super) fn comparison(&mut self) -> &mut Comparison {
        &mut self.differences.comparison
    }

    /// Works through what has been read, as far as there is room for what comes of it.
    fn find(&mut self, ledger: &Ledger, withheld: &Withheld, limits: &TxnLimits) {
        while !self.found_all && !self.queue.is_full(limits) {
            match self.differences.next(ledger, withheld) {
                Next::Found(found) => self.take_in(found),
                Next::Wait => break,
                Next::Done => self.found_all = true,
            }
        }
        if self.found_all && self.waiting.is_none() && self.queue.outbox.is_empty() {
            self.release();
        }
    }

    fn take_in(&mut self, found: Difference) {
        let done = *found.key() < self.position.cursor;
        let taken = match found {
            Difference::Missed(entry) => self.put(entry, Expect::Absent),
            Difference::Different(entry, modified) => self.put(entry, Expect::ModifiedAt(modified)),
            Difference::Surplus { entry, .. } => self.delete(entry),
        };
        if done && taken == Taken::Now {
            self.queue.outbox.forget_last();
        }
    }

    fn put(&mut self, entry: Entry<PrimaryRevision>, expect: Expect) -> Taken {
        let Some(primary_key) = self.scope.primary_key(&entry.key) else { return Taken::Left };
        self.queue.put(&self.scope, primary_key, entry, Some(expect))
    }

    fn delete(&mut self, entry: Entry<etcd_mvcc::StandbyRevision>) -> Taken {
        if self.deletions.len() < DELETIONS_MAX {
            self.deletions.push(entry);
            return Taken::Later;
        }
        let expect = Some(Expect::ModifiedAt(entry.modified));
        self.queue.outbox.push(Write { op: Op::Delete { key: entry.key }, expect });
        Taken::Now
    }

    /// All is found, and what did not have to wait is sent: now comes the rest, less what was
    /// written before the repair was interrupted.
    fn release(&mut self) {
        let done = self.position.waited;
        // The owners of which this queue has not heard are there, or nobody can say.
        let (orphans, left) = self.queue.release(true);
        debug_assert!(orphans.is_empty() && !left, "{orphans:?}");
        self.queue.skip_released(done);
        let deletions = self.deletions.take(DELETIONS_MAX, usize::MAX);
        self.waiting = Some(self.queue.released() + deletions.len() as u64);
        let done = usize::try_from(done).unwrap_or(usize::MAX);
        deletions.into_iter().skip(done).for_each(|write| self.queue.outbox.push(write));
    }

    fn is_done(&self) -> bool {
        self.found_all && self.waiting.is_some() && self.queue.is_spent()
    }

    /// Everything before it is done once what was taken is applied.
    fn position(&self) -> RepairPosition {
        let compared = &self.differences.compared;
        let deleting = self.position.deleting;
        if let Some(waiting) = self.waiting {
            let waited = waiting.saturating_sub(self.queue.not_taken());
            let end = compared.successor().max(self.position.cursor.clone());
            return RepairPosition { deleting, cursor: end, waited };
        }
        let cursor = match self.queue.outbox.first() {
            Some(key) => key.clone(),
            None if compared.is_empty() => Key::default(),
            None => compared.successor(),
        };
        let cursor = cursor.max(self.position.cursor.clone());
        RepairPosition { deleting, cursor, waited: self.position.waited }
    }
}

fn kind(write: &Write) -> RepairKind {
    match (&write.op, write.expect) {
        (Op::Delete { .. }, _) => RepairKind::Surplus,
        (Op::Put { .. }, Some(Expect::ModifiedAt(_))) => RepairKind::Different,
        (Op::Put { .. }, Some(Expect::Absent) | None) => RepairKind::Missed,
    }
}

impl Planner {
    pub(super) fn pump_mend(&mut self) {
        self.find_mends();
        self.fetch_mends();
        if self.in_flight.is_none() {
            self.send_mends();
            // What was sent has made room.
            self.find_mends();
            self.fetch_mends();
        }
        let Some((_, mend)) = self.mend() else { return };
        if mend.found_all {
            return;
        }
        let primary = mend.comparison().want_primary();
        // Both revisions are past: what is on its way to the standby does not show in them.
        let standby = mend.comparison().want_standby(true);
        self.effects.extend(primary.map(Effect::ReadPrimary));
        self.effects.extend(standby.map(Effect::ReadStandby));
    }

    fn mend(&mut self) -> Option<(&mut RepairRecord, &mut Mend)> {
        let Phase::Following(following) = &mut self.phase else { return None };
        let Repair { record, stage, .. } = &mut **following.repair.as_mut()?;
        match stage {
            Stage::Mend(mend) => Some((record, mend)),
            Stage::Survey(_) => None,
        }
    }

    fn find_mends(&mut self) {
        let limits = self.txn_limits();
        let Phase::Following(following) = &mut self.phase else { return };
        let Some(repair) = &mut following.repair else { return };
        if let Stage::Mend(mend) = &mut repair.stage {
            mend.find(&self.ledger, &self.withheld, &limits);
        }
    }

    fn fetch_mends(&mut self) {
        let limits = self.txn_limits();
        let Some((record, mend)) = self.mend() else { return };
        let at = Some(record.revision);
        let Some(keys) = mend.queue.next_fetch(&limits) else { return };
        self.effects.push_back(Effect::FetchPrimary { keys, at });
    }

    /// Values that a repair asked for have come.
    pub(in crate::planner) fn on_mends_fetched(
        &mut self,
        answer: Result<Vec<Option<Entry<PrimaryRevision>>>, Failure>,
    ) {
        let scope = self.scope.clone();
        let Some((_, mend)) = self.mend() else { return };
        match answer {
            Ok(entries) => {
                // Everything was found at the revision that is fetched at: nothing is missing.
                mend.queue.fetched(&scope, entries, true, |_, _| true);
            }
            Err(failure) if failure.class == FailureClass::Resync => {
                mend.queue.fetch_failed();
                self.on_repair_compacted(Peer::Primary);
            }
            Err(failure) => self.on_failure(Peer::Primary, &failure),
        }
    }

    fn send_mends(&mut self) {
        let limits = self.txn_limits();
        let (scope, sizes, order) = (self.scope.clone(), self.page_sizes, self.settings.order);
        let Some((record, mend)) = self.mend() else { return };
        let outbox = &mend.queue.outbox;
        let flushing = mend.found_all && (mend.waiting.is_none() || mend.queue.is_spent());
        if outbox.is_due(&limits) || (flushing && !outbox.is_empty()) {
            return self.commit_mends();
        }
        if !mend.is_done() {
            return;
        }
        if !mend.position.deleting && record.planned.surplus > 0 {
            let deletions = RepairPosition { deleting: true, ..RepairPosition::default() };
            *mend = Mend::new(&scope, sizes, order, record, &deletions);
            return;
        }
        let reason = match record.skipped {
            0 => String::new(),
            skipped => format!("{skipped} keys were written by others meanwhile and left alone"),
        };
        self.finish_repair(RepairOutcome::Done, reason);
    }

    fn commit_mends(&mut self) {
        let limits = self.txn_limits();
        let begun = self.repairs.begun().is_some();
        let unnamed = self.ledger.is_unnamed();
        let Some(checkpoint) = self.checkpoint.clone() else { return };
        let room = self.room(&checkpoint);
        let Some((record, mend)) = self.mend() else { return };
        let (mut account, position) = (record.clone(), mend.position());
        account.outcome = RepairOutcome::Begun(position);
        let room = room.saturating_sub(op_bytes(&self.repair_op(&account)));
        let Some((_, mend)) = self.mend() else { return };
        let (writes, bytes) = mend.queue.outbox.take(&limits, room);
        let alone = bytes > room;
        if alone && (!begun || unnamed) {
            // It goes alone, once the account says that the repair has begun, and the checkpoint
            // names the one that went alone before it.
            mend.queue.outbox.put_back(writes);
            return self.commit_repair(Then::Mended, Vec::new(), account);
        }
        account.outcome = RepairOutcome::Begun(mend.position());
        mend.sent = writes.iter().map(|write| (write.op.key().clone(), kind(write))).collect();
        mend.sent.iter().for_each(|(_, kind)| account.written.count(*kind));
        if alone {
            self.commit_lean(Then::Mended, writes);
        } else {
            self.commit_repair(Then::Mended, writes, account);
        }
    }

    pub(in crate::planner) fn on_mended(&mut self, committed: &Committed) {
        self.on_follow_applied();
        let Some((record, mend)) = self.mend() else { return };
        for (index, (_, kind)) in std::mem::take(&mut mend.sent).into_iter().enumerate() {
            if committed.skipped.binary_search(&index).is_ok() {
                record.skipped += 1;
            } else {
                record.written.count(kind);
            }
        }
    }
}
