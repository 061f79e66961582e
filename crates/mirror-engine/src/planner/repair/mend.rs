//! A repair that was accepted is carried out: values first, in key order, then deletions.
//!
//! Each of the two is a walk of its own over the pair that was surveyed, so that nothing has to be
//! kept between them. (A live standby collects what has lost its owner: what is deleted goes last.)

use etcd_mvcc::{Committed, Expect, Key, Op, WalkLimits, Write};
use keyspace_filter::Scope;

use super::differences::{Differences, Next};
use super::{Phase, Planner, Repair, Stage};
use crate::planner::batch::op_bytes;
use crate::planner::comparison::Comparison;
use crate::planner::outbox::Outbox;
use crate::planner::{Effect, Ledger, Then};
use crate::repair::{RepairKind, RepairOutcome, RepairPosition, RepairRecord};
use crate::settings::TxnLimits;

/// A repair that writes.
#[derive(Debug)]
pub(super) struct Mend {
    differences: Differences,
    outbox: Outbox,
    position: RepairPosition,
    found_all: bool,
    /// What is on its way, in the order of the transaction's writes.
    sent: Vec<(Key, RepairKind)>,
}

impl Mend {
    /// Begins, or goes on, at `position` of the repair that `record` tells of.
    pub(super) fn new(
        scope: &Scope,
        limits: WalkLimits,
        record: &RepairRecord,
        position: &RepairPosition,
    ) -> Self {
        let values = record.planned.missed + record.planned.different > 0;
        let mut position = position.clone();
        if !values {
            position.deleting = true;
        }
        let keys_only = position.deleting;
        let mut comparison = Comparison::new(scope, limits, keys_only, keys_only)
            .pinned(record.revision, Some(record.standby_revision));
        if !position.cursor.is_empty() {
            comparison.resume(&position.cursor, record.revision);
        }
        let kinds = if position.deleting { record.kinds.deletions() } else { record.kinds.puts() };
        // Nothing to delete: no need to look for it.
        let found_all = position.deleting && record.planned.surplus == 0;
        Self {
            differences: Differences::new(comparison, kinds),
            outbox: Outbox::default(),
            position,
            found_all,
            sent: Vec::new(),
        }
    }

    pub(super) fn comparison(&mut self) -> &mut Comparison {
        &mut self.differences.comparison
    }

    /// Works through what has been read, as far as there is room for what comes of it.
    fn find(&mut self, ledger: &Ledger, limits: &TxnLimits) {
        while !self.found_all && !self.outbox.is_full(limits) {
            match self.differences.next(ledger) {
                Next::Found(found) => self.outbox.push(found.into_write()),
                Next::Wait => break,
                Next::Done => self.found_all = true,
            }
        }
    }

    /// Everything before it is done once what was taken is applied.
    fn position(&self) -> RepairPosition {
        let compared = &self.differences.compared;
        let cursor = match self.outbox.first() {
            Some(key) => key.clone(),
            None if compared.is_empty() => self.position.cursor.clone(),
            None => compared.successor(),
        };
        RepairPosition { cursor, deleting: self.position.deleting }
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
        if self.in_flight.is_none() {
            self.send_mends();
            // What was sent has made room.
            self.find_mends();
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
        let limits = self.settings.txn;
        let Phase::Following(following) = &mut self.phase else { return };
        let Some(repair) = &mut following.repair else { return };
        if let Stage::Mend(mend) = &mut repair.stage {
            mend.find(&self.ledger, &limits);
        }
    }

    fn send_mends(&mut self) {
        let limits = self.settings.txn;
        let (scope, walk) = (self.scope.clone(), self.settings.walk);
        let Some((record, mend)) = self.mend() else { return };
        if mend.outbox.is_due(&limits) || (mend.found_all && !mend.outbox.is_empty()) {
            return self.commit_mends();
        }
        if !mend.found_all {
            return;
        }
        if !mend.position.deleting && record.planned.surplus > 0 {
            let deletions = RepairPosition { deleting: true, cursor: Key::default() };
            *mend = Mend::new(&scope, walk, record, &deletions);
            return;
        }
        let reason = match record.skipped {
            0 => String::new(),
            skipped => format!("{skipped} keys were written by others meanwhile and left alone"),
        };
        self.finish_repair(RepairOutcome::Done, reason);
    }

    fn commit_mends(&mut self) {
        let limits = self.settings.txn;
        let begun = self.repairs.begun().is_some();
        let Some(checkpoint) = self.checkpoint.clone() else { return };
        let room = self.room(&checkpoint);
        let Some((record, mend)) = self.mend() else { return };
        let (mut account, position) = (record.clone(), mend.position());
        account.outcome = RepairOutcome::Begun(position);
        let room = room.saturating_sub(op_bytes(&self.repair_op(&account)));
        let Some((_, mend)) = self.mend() else { return };
        let (writes, bytes) = mend.outbox.take(&limits, room);
        let alone = bytes > room;
        if alone && !begun {
            // It goes alone, once the account says that the repair has begun.
            mend.outbox.put_back(writes);
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
        let mut ours = Vec::new();
        for (index, (key, kind)) in std::mem::take(&mut mend.sent).into_iter().enumerate() {
            let skipped = committed.skipped.binary_search(&index).is_ok();
            if skipped {
                record.skipped += 1;
            } else {
                record.written.count(kind);
            }
            // What the primary has is not others', whoever wrote it here.
            if !skipped || kind != RepairKind::Surplus {
                ours.push(key);
            }
        }
        // Not before: a surplus key that somebody has written in between stays theirs. If the
        // answer is lost, the standby's watch tells the same.
        ours.iter().for_each(|key| self.ledger.adopt(&self.own, key));
    }
}
