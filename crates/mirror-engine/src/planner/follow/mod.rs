//! Following: the primary's revisions, applied as they come, each whole.

mod parts;

use std::collections::VecDeque;
use std::time::Duration;

use etcd_mvcc::{
    Batch, Change, Failure, FailureClass, Group, KeyRange, Op, PrimaryRevision, Revision,
    StandbyRevision, Write,
};

use super::batch::{Placed, Waiting, next_batch, write_bytes};
use super::comparison::Comparison;
use super::heal::Healing;
use super::ledger::Touch;
use super::repair::Repair;
use super::stall::WatchMeter;
use super::{Effect, Peer, Phase, Planner, Then};
use crate::history::note;
use crate::record::{Checkpoint, Phase as Stored, Witness};
use crate::settings::Coalesce;
use crate::status::State;

/// New ledger entries wait at most this long for data to travel with.
const LEDGER_WAITS: Duration = Duration::from_millis(200);

/// A mirror that follows.
#[derive(Debug)]
pub(super) struct Following {
    /// Everything up to here has been received: `seen >= applied`, always.
    seen: PrimaryRevision,
    /// Whether the watch keeps up with the polled head.
    pub(super) meter: WatchMeter,
    backlog: VecDeque<Waiting>,
    backlog_bytes: usize,
    /// The rest of a revision that is too wide for one transaction.
    torn: Option<Torn>,
    /// A repair that is running: nothing is taken off the backlog meanwhile.
    pub(super) repair: Option<Box<Repair>>,
    /// Drift is being put back: the same holds.
    pub(super) healing: Option<Box<Healing>>,
    committed_at: Duration,
    /// Nothing is written before everything up to here has been received: the standby was out of
    /// space, and what a waiting change removes is not to be written first.
    gathers: Option<PrimaryRevision>,
    /// An owner has come that held-back objects waited for: a diff finds and writes them.
    owner_came: bool,
    /// The newest change that was received, in scope or not: the checkpoint moves over revisions
    /// that hold nothing in scope, and must bear witness of them too.
    newest: Option<Witness>,
}

#[derive(Debug)]
struct Torn {
    revision: PrimaryRevision,
    writes: VecDeque<Write>,
    witnesses: Vec<Witness>,
    /// The checkpoint says so.
    marked: bool,
}

impl Following {
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.backlog_bytes < bytes
    }

    pub(super) fn seen(&self) -> PrimaryRevision {
        self.seen
    }

    /// What has been received and needs no write.
    pub(super) fn level(&self) -> Option<PrimaryRevision> {
        (self.backlog.is_empty() && self.torn.is_none()).then_some(self.seen)
    }

    pub(super) fn comparison(&mut self) -> Option<&mut Comparison> {
        self.repair.as_mut().map(|repair| repair.comparison())
    }
}

impl Planner {
    /// From the checkpoint on, by watch.
    pub(super) fn follow(&mut self) {
        let Some(checkpoint) = &self.checkpoint else { return };
        let applied = checkpoint.revision;
        self.phase = Phase::Following(Box::new(Following {
            seen: applied,
            meter: WatchMeter::new(self.now),
            backlog: VecDeque::new(),
            backlog_bytes: 0,
            torn: None,
            repair: None,
            healing: None,
            committed_at: self.now,
            gathers: self.out_of_space.then_some(self.status.primary_revision),
            owner_came: false,
            newest: None,
        }));
        if !self.write_blocked {
            self.status.state = State::Following;
            self.status.blocked = None;
            self.status.reason.clear();
        }
        if let Some(level) = self.level() {
            // What a copy has just proven is the first lag that is known.
            self.lag.reached(level);
        }
        self.watch_primary(applied);
    }

    /// Watches what follows `seen`.
    fn watch_primary(&mut self, seen: PrimaryRevision) {
        // All keys, so that every revision is seen to pass; or what the role allows.
        let range = if self.watch_all { KeyRange::all() } else { self.scope.primary_hull() };
        // Inclusive: a watch from applied+1 misses a deletion at exactly the compacted revision
        // (etcd-io/etcd#19179), a watch from applied is told that it was compacted.
        let from = seen.max(PrimaryRevision::new(1));
        self.effects.push_back(Effect::Watch { range, from });
    }

    /// Pages that are on their way would be taken for the next repair's: abandons them, and opens
    /// the watches again, which go with them. What has been received is kept.
    pub(super) fn forget_pages(&mut self) {
        let Phase::Following(following) = &self.phase else { return };
        let seen = following.seen;
        self.forget();
        self.watch_standby();
        self.watch_primary(seen);
    }

    pub(super) fn on_changed(&mut self, batch: Batch<PrimaryRevision>) {
        let Phase::Following(following) = &mut self.phase else { return };
        let mut newest = following.seen;
        if let Some(change) = batch.groups.last().and_then(|group| group.changes.last())
            && change.modified() >= following.seen
        {
            following.newest = Some(Witness::from(change));
        }
        for group in batch.groups {
            // What was seen is not only what was applied: it may be on its way.
            if group.revision <= newest {
                continue;
            }
            newest = group.revision;
            let counters = &mut self.status.counters;
            let waiting = place(&self.scope, group, counters);
            if !waiting.changes.is_empty() {
                following.backlog_bytes += waiting.bytes;
                following.backlog.push_back(waiting);
            }
        }
        let before = following.seen;
        following.seen = newest.max(batch.position);
        if following.seen > before {
            let level = following.seen >= self.status.primary_revision;
            following.meter.heard(self.now, level);
        }
        debug_assert!(self.checkpoint.as_ref().is_none_or(|c| following.seen >= c.revision));
        self.status.primary_revision = self.status.primary_revision.max(following.seen);
    }

    pub(super) fn on_watch_ended(&mut self, failure: &Failure) {
        if !matches!(self.phase, Phase::Following(_)) {
            return;
        }
        let reason = failure.class.as_str();
        *self.status.counters.watch_restarts.entry(reason).or_default() += 1;
        match failure.class {
            FailureClass::Resync => {
                self.resync = Some("compacted");
                self.start_over(&failure.message);
            }
            FailureClass::Blocked if self.watch_all => {
                self.watch_all = false;
                self.start_over(&failure.message);
            }
            FailureClass::Blocked
            | FailureClass::NoSpace
            | FailureClass::Corrupt
            | FailureClass::NotEtcd
            | FailureClass::OtherCluster
            | FailureClass::Retry
            | FailureClass::Reauthenticate
            | FailureClass::TooLarge
            | FailureClass::Fatal => self.on_failure(Peer::Primary, failure),
        }
    }

    pub(super) fn on_standby_changed(&mut self, batch: &Batch<StandbyRevision>) {
        let (scope, now, heal) = (&self.scope, self.now, self.settings.heal);
        let drift = &mut self.drift;
        let admits = |key: &[u8]| scope.admits_standby(key);
        let foreign = self.ledger.account(&self.own, batch, admits, |touch| match touch {
            Touch::Ours(key) => drift.overwritten(key),
            Touch::Deleted(key) if heal.deletions => {
                drift.wounded(now, key.clone(), None, heal.limit);
            }
            Touch::Changed(key, modified) if heal.changes => {
                drift.wounded(now, key.clone(), Some(modified), heal.limit);
            }
            Touch::Deleted(_) | Touch::Changed(..) => {}
        });
        self.standby_heard = self.now;
        let shown = self.ledger.next_revision().previous();
        let level = self.checkpoint_written_at().is_none_or(|written| written <= shown);
        self.standby_meter.heard(self.now, level);
        self.status.counters.foreign_puts += foreign.puts;
        self.status.counters.foreign_deletes += foreign.deletes;
        self.status.standby_revision = self.status.standby_revision.max(batch.position);
    }

    pub(super) fn on_standby_watch_ended(&mut self, failure: &Failure) {
        match failure.class {
            FailureClass::Resync => {
                self.skip_unseen = true;
                self.start_over("the standby compacted changes that nobody had looked at");
            }
            FailureClass::Blocked
            | FailureClass::NoSpace
            | FailureClass::Corrupt
            | FailureClass::NotEtcd
            | FailureClass::OtherCluster
            | FailureClass::Retry
            | FailureClass::Reauthenticate
            | FailureClass::TooLarge
            | FailureClass::Fatal => self.on_failure(Peer::Standby, failure),
        }
    }

    pub(super) fn pump_follow(&mut self) {
        let Phase::Following(following) = &self.phase else { return };
        if following.repair.is_some() {
            return self.pump_repair();
        }
        if self.in_flight.is_some() {
            return;
        }
        if following.torn.is_some() {
            return self.commit_part();
        }
        if following.healing.is_some() {
            return self.pump_healing();
        }
        if self.begin_repair() || self.begin_healing() {
            return;
        }
        let (now, limits) = (self.now, self.txn_limits());
        let room = self.wants_changes();
        let book_is_due = self.book_is_due();
        let Phase::Following(following) = &mut self.phase else { return };
        if following.gathers.is_some_and(|head| following.seen < head) && room {
            return;
        }
        following.gathers = None;
        // A value that could not be written may have been replaced or deleted since.
        let blocked = self.write_blocked || self.out_of_space;
        let coalesce = if blocked { Coalesce::Always } else { self.settings.coalesce };
        if let Some(batch) = next_batch(&mut following.backlog, coalesce, &limits) {
            following.backlog_bytes = following.backlog.iter().map(|waiting| waiting.bytes).sum();
            return self.commit_batch(batch);
        }
        let quiet = now.saturating_sub(following.committed_at);
        let due = quiet >= self.settings.idle_checkpoint;
        let entries = self.ledger.has_pending() || self.withheld.has_pending();
        // What was noted is stored soon after a burst of changes has ended.
        let entries = entries || book_is_due;
        let entries_due = entries && quiet >= LEDGER_WAITS;
        let Some(checkpoint) = &self.checkpoint else { return };
        if !checkpoint.is_whole() {
            // Torn, and the rest of that revision has not come yet: only it can make it whole.
            let record = entries_due.then(|| checkpoint.clone());
            return self.commit_idle(record);
        }
        let kept = checkpoint.witnesses.first();
        let unwitnessed = |newest: &Witness| kept.is_none_or(|w| newest.modified > w.modified);
        let moved = following.seen > checkpoint.revision
            || following.newest.as_ref().is_some_and(unwitnessed);
        if (moved && due) || entries_due {
            let revision = following.seen;
            let mut record = Checkpoint { revision, ..checkpoint.clone() };
            record.witnesses = self.book.summary();
            if let Some(newest) = following.newest.take() {
                // Out of scope or not: good for this one checkpoint.
                note(&mut record.witnesses, newest);
            }
            self.commit_idle(Some(record));
        }
    }

    /// Moves the checkpoint, or stores ledger entries with it as it is, without data.
    fn commit_idle(&mut self, record: Option<Checkpoint>) {
        if record.is_some() {
            self.commit(Then::FollowApplied, Vec::new(), record);
        }
    }

    fn commit_batch(&mut self, mut batch: Waiting) {
        self.book.note_all(&batch.changes, |change: &Placed| &change.primary_key);
        let witnesses = self.book.summary();
        let (own, scope, withheld) = (&self.own, &self.scope, &mut self.withheld);
        let ledger = &self.ledger;
        let mut came = false;
        batch.changes.retain(|change| match &change.op {
            Op::Put { key, value } => {
                let kept_off = withheld.judge(own, scope, key, value, change.is_new);
                came |= !kept_off && withheld.came(own, value, scope.is_parked(key.as_bytes()));
                !kept_off
            }
            Op::Delete { key } => {
                // What the standby has of its own under a name that is held back stays.
                let theirs = withheld.holds(key) && ledger.holds(key);
                withheld.release(own, key);
                !theirs
            }
        });
        for change in &batch.changes {
            self.drift.superseded(change.op.key());
        }
        if let Phase::Following(following) = &mut self.phase {
            following.owner_came |= came;
        }
        let Some(checkpoint) = &self.checkpoint else { return };
        let writes: Vec<Write> = batch.changes.into_iter().map(|change| change.op.into()).collect();
        let bytes: usize = writes.iter().map(write_bytes).sum();
        let revision = batch.revision;
        let room = self.room(checkpoint);
        let fits = bytes <= room && writes.len() <= self.ops_room();
        if !fits || !self.records_fit(room, bytes, writes.len()) {
            let torn = Torn { revision, writes: writes.into(), witnesses, marked: false };
            if let Phase::Following(following) = &mut self.phase {
                following.torn = Some(torn);
            }
            return self.commit_part();
        }
        let record = Checkpoint { revision, witnesses, phase: Stored::Whole, ..checkpoint.clone() };
        self.commit(Then::FollowApplied, writes, Some(record));
    }

    pub(super) fn on_follow_applied(&mut self) {
        let now = self.now;
        if let Phase::Following(following) = &mut self.phase {
            following.committed_at = now;
            self.out_of_space &= !following.backlog.is_empty();
        }
        if let Some(level) = self.level() {
            self.lag.reached(level);
        }
        if let Phase::Following(following) = &self.phase
            && following.owner_came
            && following.torn.is_none()
        {
            self.resync = Some("owner_came");
            self.start_over("an owner has come that others waited for");
        }
    }
}

/// Filters and spells a revision's changes for the standby.
fn place(
    scope: &keyspace_filter::Scope,
    group: Group<PrimaryRevision>,
    counters: &mut crate::status::Counters,
) -> Waiting {
    let mut changes = Vec::with_capacity(group.changes.len());
    for change in group.changes {
        let Some(key) = scope.place(change.key()) else {
            counters.filtered += 1;
            continue;
        };
        let (primary_key, modified) = (change.key().clone(), change.modified());
        let (mut is_new, mut created) = (false, None);
        let op = match change {
            Change::Put(entry) => {
                counters.puts_received += 1;
                is_new = entry.version == 1;
                created = Some(entry.created);
                Op::Put { key, value: entry.value }
            }
            Change::Delete { .. } => {
                counters.deletes_received += 1;
                Op::Delete { key }
            }
        };
        changes.push(Placed { op, primary_key, modified, created, is_new });
    }
    Waiting::new(group.revision, changes)
}
