//! Repairs that were ordered: when one is looked at, what it may do, how it ends.
//!
//! A repair runs while the mirror follows, between two transactions, from a whole checkpoint at R.
//! Until it has ended, nothing is taken off the backlog: the standby at S, the revision that the
//! survey pinned, differs from the primary at R by others' writes alone, and whatever is written
//! leaves the checkpoint at R a pair. The backlog keeps its limits, so a long repair makes the
//! watch wait, and the mirror lag.
//!
//! It reads both sides once to find out what it would do. If that is not what was accepted, the
//! order is refused. If it is, it reads them again, at the same R and S, and so finds the same
//! keys again; nothing else is kept of them, however many they are. Each write expects the key as
//! it was at S: what somebody has written since is left alone, and counted.
//!
//! The account of the order travels in the same transactions. It says that the repair has begun,
//! and how far it is: a mirror that starts over goes on from there if nothing else was written
//! meanwhile, and else says that the repair has failed. An order of which there is no account was
//! not begun, and is looked at.

mod differences;
mod mend;
mod survey;

use etcd_mvcc::{Entry, Expect, Op, PrimaryRevision, Revision as _, StandbyRevision, Write};

pub(crate) use self::differences::Difference;
use self::mend::Mend;
pub(crate) use self::survey::RepairSurvey;
use super::comparison::Comparison;
use super::{Peer, Phase, Planner, Then};
use crate::record::RecordError;
use crate::repair::{RepairOrder, RepairOutcome, RepairPosition, RepairRecord};

/// A survey is begun so many times for one order. What ends it early, compaction or a lost
/// connection, comes every few minutes at most: a survey that never gets through takes longer.
const TRIES_MAX: u32 = 5;

/// What is known of the orders to repair.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    /// The account of the last order that was looked at, and what its key must look like.
    account: Option<Account>,
    tries: Tries,
}

/// An account as it is stored.
#[derive(Debug)]
struct Account {
    record: RepairRecord,
    modified: Expect,
}

/// How often one order was looked at without an answer.
#[derive(Debug, Default)]
struct Tries {
    order: u64,
    count: u32,
    /// The primary has compacted this revision: it is no use before the checkpoint has moved.
    compacted: Option<PrimaryRevision>,
    /// What ended the last try.
    trouble: &'static str,
}

/// A repair that is running.
#[derive(Debug)]
pub(super) struct Repair {
    /// What has been done, as far as it is known to have happened.
    record: RepairRecord,
    stage: Stage,
    /// It can't go on: it ends when the transaction that is on its way has been answered.
    broken: Option<&'static str>,
}

#[derive(Debug)]
enum Stage {
    Survey(Box<RepairSurvey>),
    Mend(Box<Mend>),
}

impl Repairs {
    /// Goes on from the account that is stored.
    pub(super) fn read(
        &mut self,
        entry: Option<&Entry<StandbyRevision>>,
    ) -> Result<(), RecordError> {
        let read = |entry: &Entry<StandbyRevision>| {
            let record = RepairRecord::decode(&entry.value)?;
            Ok(Account { record, modified: Expect::ModifiedAt(entry.modified) })
        };
        self.account = entry.map(read).transpose()?;
        Ok(())
    }

    /// An account was stored.
    pub(super) fn stored(&mut self, record: RepairRecord, modified: Expect) {
        self.account = Some(Account { record, modified });
    }

    /// What the status says of it.
    pub(super) fn last(&self) -> Option<RepairRecord> {
        self.account.as_ref().map(|account| account.record.clone())
    }

    /// The account of a repair that is under way.
    fn begun(&self) -> Option<&Account> {
        self.account.as_ref().filter(|account| !account.record.outcome.is_final())
    }

    /// Counts one more try for the order; the reason to try no more, if there is one.
    fn try_again(&mut self, order: u64) -> Option<&'static str> {
        if self.tries.order != order {
            self.tries = Tries { order, ..Tries::default() };
        }
        let trouble = self.tries.trouble;
        self.tries.count += 1;
        self.tries.trouble = "the mirror started over";
        (self.tries.count > TRIES_MAX).then_some(trouble)
    }
}

impl Repair {
    pub(super) fn comparison(&mut self) -> &mut Comparison {
        match &mut self.stage {
            Stage::Survey(survey) => survey.comparison(),
            Stage::Mend(mend) => mend.comparison(),
        }
    }
}

impl Planner {
    /// Begins the repair that is due, or goes on with one that was interrupted; `false` if there is
    /// nothing to do. Nothing is on its way to the standby.
    pub(super) fn begin_repair(&mut self) -> bool {
        let Some(checkpoint) = self.checkpoint.as_ref().filter(|checkpoint| checkpoint.is_whole())
        else {
            return false;
        };
        let (cluster, revision) = (checkpoint.cluster, checkpoint.revision);
        if revision.get() <= 0 {
            // It would mean the newest.
            return false;
        }
        if self.repairs.begun().is_some() {
            self.resume_repair();
            return true;
        }
        let Some(order) = self.repair_waiting() else { return false };
        let tries = &self.repairs.tries;
        if tries.order == order.id && tries.compacted == Some(revision) {
            return false;
        }
        let record = RepairRecord::new(order, revision);
        if let Some(trouble) = self.repairs.try_again(order.id) {
            let reason = format!("given up after {TRIES_MAX} attempts to compare: {trouble}");
            self.end_repair(record, RepairOutcome::Refused, reason);
            return true;
        }
        let survey =
            RepairSurvey::new(&self.scope, self.page_sizes, cluster, order.kinds, (revision, None));
        self.status.reason = format!("comparing for a repair ({})", order.kinds);
        self.run_repair(Repair { record, stage: Stage::Survey(Box::new(survey)), broken: None });
        true
    }

    fn mend_from(&self, record: &RepairRecord, position: &RepairPosition) -> Mend {
        Mend::new(&self.scope, self.page_sizes, self.settings.order, record, position)
    }

    /// The order that nobody has looked at.
    fn repair_waiting(&self) -> Option<RepairOrder> {
        let seen = self.repairs.account.as_ref().map(|account| account.record.order);
        self.control.repair.filter(|order| seen != Some(order.id))
    }

    fn run_repair(&mut self, repair: Repair) {
        if let Phase::Following(following) = &mut self.phase {
            following.repair = Some(Box::new(repair));
        }
        self.pump_repair();
    }

    /// Goes on where a repair was when the mirror started over.
    fn resume_repair(&mut self) {
        let Some(account) = self.repairs.begun() else { return };
        let record = account.record.clone();
        // Both are written by the same transaction: if the checkpoint's is a later one, the mirror
        // has gone on to other things, and what was compared is no guide any more.
        let untouched = account.modified == self.checkpoint_modified;
        if let RepairOutcome::Begun(position) = &record.outcome
            && untouched
        {
            let stage = Stage::Mend(Box::new(self.mend_from(&record, position)));
            return self.run_repair(Repair { record, stage, broken: None });
        }
        let reason = "the gap to the primary had to be closed in the middle of it; plan it again";
        self.end_repair(record, RepairOutcome::Failed, reason.to_owned());
    }

    pub(super) fn pump_repair(&mut self) {
        let Phase::Following(following) = &mut self.phase else { return };
        let Some(repair) = &mut following.repair else { return };
        match (&mut repair.stage, repair.broken) {
            (Stage::Survey(survey), _) => {
                if survey.advance(&self.ledger, &self.withheld, |_| {}) {
                    return self.judge_repair();
                }
                let comparison = survey.comparison();
                self.effects.extend(comparison.want_primary().map(super::Effect::ReadPrimary));
                self.effects.extend(comparison.want_standby(true).map(super::Effect::ReadStandby));
            }
            (Stage::Mend(_), None) => self.pump_mend(),
            (Stage::Mend(_), Some(trouble)) => {
                if self.in_flight.is_none() {
                    let reason = format!("{trouble} in the middle of it; plan it again");
                    self.finish_repair(RepairOutcome::Failed, reason);
                }
            }
        }
    }

    /// What the repair would do is known: is it what was accepted?
    fn judge_repair(&mut self) {
        let Phase::Following(following) = &mut self.phase else { return };
        let Some(repair) = &mut following.repair else { return };
        let Stage::Survey(survey) = &mut repair.stage else { return };
        let (found, planned) = (survey.digest(), survey.found);
        let standby = survey.comparison().standby_pin().unwrap_or_default();
        repair.record.planned = planned;
        repair.record.standby_revision = standby;
        let record = &repair.record;
        if self.control.repair.map(|order| order.id) != Some(record.order) {
            // Another order has taken its place meanwhile.
            following.repair = None;
            self.status.reason.clear();
            return;
        }
        if found != record.digest {
            repair.record.found = Some(found);
            let reason = format!("the world has moved: the repair would be {found} by now");
            return self.finish_repair(RepairOutcome::Refused, reason);
        }
        let RepairOutcome::Begun(position) = &record.outcome else { return };
        let order = self.settings.order;
        let mend = Mend::new(&self.scope, self.page_sizes, order, record, position);
        repair.stage = Stage::Mend(Box::new(mend));
        *self.status.counters.resyncs.entry("repair").or_default() += 1;
        self.status.reason = format!("repairing {} keys", planned.total());
        self.pump_repair();
    }

    /// A revision that the repair reads at is gone.
    pub(super) fn on_repair_compacted(&mut self, peer: Peer) {
        let begun = self.repairs.begun().is_some() || self.in_flight.is_some();
        let Phase::Following(following) = &mut self.phase else { return };
        let Some(repair) = &mut following.repair else { return };
        let trouble = match peer {
            Peer::Primary => "the primary compacted the revision that was compared",
            Peer::Standby => "the standby compacted the revision that was compared",
        };
        if begun {
            repair.broken = Some(trouble);
            return;
        }
        // The backlog moves the checkpoint on; then it is tried again.
        let waiting = repair.comparison().is_waiting();
        let tries = &mut self.repairs.tries;
        tries.trouble = trouble;
        tries.compacted = (peer == Peer::Primary).then_some(repair.record.revision);
        following.repair = None;
        self.status.reason.clear();
        if waiting {
            self.forget_pages();
        }
    }

    /// Ends the repair that runs. Nothing is on its way to the standby.
    fn finish_repair(&mut self, outcome: RepairOutcome, reason: String) {
        let Phase::Following(following) = &mut self.phase else { return };
        let Some(mut repair) = following.repair.take() else { return };
        if repair.comparison().is_waiting() {
            self.forget_pages();
        }
        self.end_repair(repair.record, outcome, reason);
    }

    /// Closes the account.
    fn end_repair(&mut self, record: RepairRecord, outcome: RepairOutcome, reason: String) {
        self.status.reason.clear();
        let record = RepairRecord { outcome, reason, ..record };
        self.commit_repair(Then::RepairEnded, Vec::new(), record);
    }

    /// Writes, with the account; the checkpoint stays at its revision.
    fn commit_repair(&mut self, then: Then, writes: Vec<Write>, record: RepairRecord) {
        let checkpoint = self.checkpoint.clone();
        self.commit_with(then, writes, checkpoint, Some(record));
    }

    /// The write that stores an account.
    pub(super) fn repair_op(&self, record: &RepairRecord) -> Op {
        Op::Put { key: self.own.repair.clone(), value: record.encode() }
    }
}
