//! What a round does: compares, fetches, writes in order, deletes what is stale, and closes, or is
//! followed by another one.

use etcd_mvcc::{
    Committed, Entry, Expect, Failure, FailureClass, Key, PrimaryRevision, Step, Write,
};

use super::Stage;
use crate::planner::comparison::Pins;
use crate::planner::order::Queue;
use crate::planner::round::{DELETIONS_MAX, Lane};
use crate::planner::{Effect, Peer, Phase, Planner, Then};
use crate::record::{Checkpoint, CopyPosition, Phase as Stored, Witness};

impl Planner {
    pub(super) fn pump_round(&mut self) {
        if self.frees_space() {
            return;
        }
        self.compare();
        self.fetch();
        if self.in_flight.is_none() {
            self.apply_round();
            // What was sent has made room.
            self.compare();
            self.fetch();
        }
        let quiet = self.in_flight.is_none();
        let Phase::Copying(copying) = &mut self.phase else { return };
        let Stage::Round(round) = &mut copying.stage else { return };
        self.status.copy.keys_read = round.comparison.keys_read;
        self.status.copy.bytes_read = round.comparison.bytes_read;
        let counted = round.comparison.keys_counted;
        if round.since.is_none() {
            self.status.copy.keys_total = counted;
        }
        self.effects.extend(round.comparison.want_primary().map(Effect::ReadPrimary));
        self.effects.extend(round.comparison.want_standby(quiet).map(Effect::ReadStandby));
    }

    /// Deletes what is stale before anything is compared: the standby has been out of space. `true`
    /// while that goes on.
    fn frees_space(&mut self) -> bool {
        let quiet = self.in_flight.is_none();
        let Phase::Copying(copying) = &mut self.phase else { return false };
        let Stage::Round(round) = &mut copying.stage else { return false };
        if !round.frees || !quiet {
            return round.frees;
        }
        round.frees = !round.stale.is_empty();
        if round.frees {
            self.commit_deletions();
            return true;
        }
        false
    }

    /// Works through what has been read, as far as there is room for what comes of it.
    fn compare(&mut self) {
        let limits = self.txn_limits();
        let Phase::Copying(copying) = &mut self.phase else { return };
        let Stage::Round(round) = &mut copying.stage else { return };
        while !round.is_full(&limits) && !round.compared_all {
            match round.comparison.step() {
                Step::Missed(entry) => {
                    round.saw(&self.scope, &entry);
                    // Where only keys are read, the value has to come first.
                    let kept_off = round.since.is_none()
                        && self.withheld.judge_value(&self.own, &self.scope, &entry);
                    if self.withheld.holds(&entry.key) {
                        round.held.insert(entry.key.clone());
                    }
                    if !kept_off {
                        round.differs(&self.scope, entry, None);
                    }
                }
                Step::Both(primary, standby) => {
                    round.standby_keys += 1;
                    round.saw(&self.scope, &primary);
                    let differs = match round.since {
                        Some(since) => primary.modified > since,
                        None => primary.value != standby.value,
                    };
                    let kept_off = differs
                        && round.since.is_none()
                        && self.withheld.judge_value(&self.own, &self.scope, &primary);
                    if !differs && round.since.is_none() {
                        self.withheld.release(&self.own, &standby.key);
                    }
                    if self.withheld.holds(&standby.key) {
                        round.held.insert(standby.key.clone());
                    }
                    if kept_off {
                        // It is the standby's own, whatever the primary calls so.
                        self.ledger.enter(&self.own, &standby.key);
                        continue;
                    }
                    // What the primary has is not others', whoever made it here, unless it is held
                    // back and not looked at this time. What differs is theirs until it is written.
                    if !differs && !self.withheld.holds(&standby.key) {
                        self.ledger.adopt(&self.own, &standby.key, standby.modified);
                    }
                    if differs {
                        let expect = Some(Expect::ModifiedAt(standby.modified));
                        round.differs(&self.scope, primary, expect);
                    } else {
                        round.is_equal(&primary);
                    }
                }
                // All of it is looked at in the other lane.
                Step::Surplus(_) if round.lane == Lane::First => {}
                Step::Surplus(entry) if self.ledger.is_foreign(&entry) => {
                    self.ledger.enter(&self.own, &entry.key);
                    round.compared = entry.key;
                }
                Step::Surplus(entry) => {
                    round.standby_keys += 1;
                    round.compared = entry.key.clone();
                    if round.stale.len() < DELETIONS_MAX {
                        round.stale.push(entry);
                    } else {
                        round.left_over = true;
                    }
                }
                Step::Need(_) => break,
                Step::Done => {
                    round.compared_all = true;
                    if round.lane == Lane::All && round.resumed_at.is_empty() {
                        self.withheld.retain(&self.own, &round.held);
                    }
                }
            }
        }
    }

    fn fetch(&mut self) {
        let limits = self.txn_limits();
        let Phase::Copying(copying) = &mut self.phase else { return };
        let Stage::Round(round) = &mut copying.stage else { return };
        if round.compared_all && round.lane == Lane::All {
            let pinned = round.comparison.is_at_one_pin();
            let seen_all = pinned && round.queue.has_seen_all();
            let (orphans, left) = round.queue.release(pinned);
            round.again |= left;
            if seen_all && !std::mem::replace(&mut round.judged, true) {
                self.withheld.replace(&self.own, orphans);
            }
        }
        let Some(keys) = round.queue.next_fetch(&limits) else { return };
        let at = round.comparison.pin().filter(|_| !round.unpinned);
        // Values of another revision: the next round looks at what changed meanwhile.
        round.left_over |= at.is_none();
        self.effects.push_back(Effect::FetchPrimary { keys, at });
    }

    pub(in crate::planner) fn on_fetched(
        &mut self,
        answer: Result<Vec<Option<Entry<PrimaryRevision>>>, Failure>,
    ) {
        let Phase::Copying(copying) = &mut self.phase else { return };
        let Stage::Round(round) = &mut copying.stage else { return };
        let entries = match answer {
            Ok(entries) => entries,
            Err(failure) if failure.class == FailureClass::Resync => {
                round.unpinned = true;
                return round.queue.fetch_failed();
            }
            Err(failure) => return self.on_failure(Peer::Primary, &failure),
        };
        let held = &mut round.held;
        let book = &mut round.book;
        let withheld = &mut self.withheld;
        let (scope, own, ledger) = (&self.scope, &self.own, &mut self.ledger);
        // What waited for one that comes now may have been looked at before: the next round does.
        let mut came = false;
        // What was deleted at a newer pin, the next round finds surplus.
        let pinned = !round.unpinned && round.comparison.is_at_one_pin();
        let room = round.queue.fetched(scope, entries, pinned, |wanted, entry| {
            if book.wants(entry.modified, entry.created) {
                book.note(Witness::from(entry));
            }
            let is_new = !wanted.is_there();
            let kept_off = withheld.judge(own, scope, &wanted.standby_key, &entry.value, is_new);
            if kept_off && !is_new {
                ledger.enter(own, &wanted.standby_key);
            }
            if kept_off {
                held.insert(wanted.standby_key.clone());
            }
            came |= !kept_off
                && withheld.came(own, &entry.value, scope.is_parked(wanted.standby_key.as_bytes()));
            !kept_off
        });
        round.again |= !room;
        round.left_over |= came;
    }

    /// Sends the next transaction of the round, if one is due, or closes it.
    fn apply_round(&mut self) {
        let limits = self.txn_limits();
        let Phase::Copying(copying) = &mut self.phase else { return };
        let unfused = copying.unfused;
        let Stage::Round(round) = &mut copying.stage else { return };
        let flushing = round.nothing_more_comes();
        let outbox = &round.queue.outbox;
        if outbox.is_due(&limits) || (flushing && !outbox.is_empty()) {
            return self.commit_writes();
        }
        if !flushing {
            return;
        }
        if round.lane == Lane::First {
            return self.look_at_all();
        }
        if !round.fuse_checked {
            round.fuse_checked = true;
            let (stale, keys) = (round.stale.len() as u64, round.standby_keys);
            if !unfused && self.settings.fuse.blows(stale, keys) {
                return self.hold_fuse(stale, keys);
            }
        }
        if !round.stale.is_empty() {
            return self.commit_deletions();
        }
        if self.ledger.has_pending() || self.withheld.has_pending() {
            let record = self.copy_record();
            return self.commit(Then::RoundApplied, Vec::new(), record);
        }
        self.close_round();
    }

    fn commit_deletions(&mut self) {
        let limits = self.txn_limits();
        let Some(record) = self.copy_record() else { return };
        let room = self.room(&record).min(limits.bytes);
        let Phase::Copying(copying) = &mut self.phase else { return };
        let Stage::Round(round) = &mut copying.stage else { return };
        let deletions = round.stale.take(limits.ops, room);
        let record = self.copy_record();
        self.commit(Then::RoundApplied, deletions, record);
    }

    /// What goes first is written: now the round looks at everything, at the same revision.
    fn look_at_all(&mut self) {
        let Phase::Copying(copying) = &mut self.phase else { return };
        let Stage::Round(round) = &mut copying.stage else { return };
        let since = round.since;
        let (pins, pin) = (round.comparison.pins(), round.comparison.pin());
        let mut comparison = self.comparison_of(Lane::All, since);
        if let (Some(Pins { first, last }), Some(pin)) = (pins, pin)
            && first == last
        {
            comparison = comparison.pinned(pin, None);
        }
        let Phase::Copying(copying) = &mut self.phase else { return };
        let Stage::Round(round) = &mut copying.stage else { return };
        round.comparison = comparison;
        round.lane = Lane::All;
        round.compared_all = false;
        round.compared = round.resumed_at.clone();
        round.standby_keys = 0;
        // What waited there for its turn is found again.
        let queue = std::mem::replace(
            &mut round.queue,
            Queue::new(self.settings.order, &self.scope, since.is_none()),
        );
        debug_assert!(queue.outbox.is_empty(), "all of it was sent");
        self.pump_copy();
    }

    fn commit_writes(&mut self) {
        let limits = self.txn_limits();
        let Some(before) = self.copy_record() else { return };
        let room = self.room(&before);
        let Phase::Copying(copying) = &mut self.phase else { return };
        let Stage::Round(round) = &mut copying.stage else { return };
        let (writes, bytes) = round.queue.outbox.take(&limits, room);
        if bytes > room {
            return self.commit_large(writes);
        }
        // A write whose key somebody else has written is left out. If that is never heard of, a copy
        // that goes on has to look at the key again.
        let guarded = writes.iter().filter(|write| write.expect.is_some());
        let unsure = guarded.map(|write| write.op.key()).min();
        let record = self.copy_record_until(unsure);
        self.commit(Then::RoundApplied, writes, record);
    }

    /// Sends a write that is too large to travel with the checkpoint: alone, once the checkpoint
    /// says that a copy is under way, and names the one that went alone before it.
    fn commit_large(&mut self, writes: Vec<Write>) {
        let copying = |c: &Checkpoint| matches!(c.phase, Stored::Copying(_));
        let marked = self.checkpoint.as_ref().is_some_and(copying);
        if marked && !self.ledger.is_unnamed() {
            return self.commit_lean(Then::RoundApplied, writes);
        }
        if let Phase::Copying(copying) = &mut self.phase
            && let Stage::Round(round) = &mut copying.stage
        {
            round.queue.outbox.put_back(writes);
        }
        let record = self.copy_record();
        self.commit(Then::RoundApplied, Vec::new(), record);
    }

    /// The checkpoint that says how far the round has come once the writes sent are applied.
    fn copy_record(&self) -> Option<Checkpoint> {
        self.copy_record_until(None)
    }

    /// The same, if it is not known whether this key will be applied.
    fn copy_record_until(&self, unsure: Option<&Key>) -> Option<Checkpoint> {
        let Phase::Copying(copying) = &self.phase else { return None };
        let Stage::Round(round) = &copying.stage else { return None };
        let base = round.comparison.pins().map_or(PrimaryRevision::default(), |pins| pins.first);
        let accepted = copying.unfused;
        let cursor = round.cursor();
        let cursor = unsure.map_or(cursor.clone(), |unsure| cursor.min(unsure.clone()));
        let cursor = shortened(cursor);
        let position = CopyPosition { base, since: round.since, cursor, accepted };
        let record = self.checkpoint.clone().unwrap_or_default();
        Some(Checkpoint { phase: Stored::Copying(position), ..record })
    }

    pub(in crate::planner) fn on_round_applied(&mut self, committed: &Committed) {
        let Phase::Copying(copying) = &mut self.phase else { return };
        let Stage::Round(round) = &mut copying.stage else { return };
        if !committed.skipped.is_empty() {
            // Somebody else was faster; look at everything once more.
            round.again = true;
        }
    }

    fn close_round(&mut self) {
        let Phase::Copying(copying) = &mut self.phase else { return };
        let Stage::Round(round) = &mut copying.stage else { return };
        let Some(Pins { first, last }) = round.comparison.pins() else { return };
        if first == last && !round.again && !round.left_over {
            self.book = std::mem::take(&mut round.book);
            let witnesses = self.book.summary();
            // A resumed round has not seen what lies before its cursor.
            self.book_stored = None;
            self.ledger.close_gaps();
            let record = self.checkpoint.clone().unwrap_or_default();
            let record = Checkpoint { phase: Stored::Whole, revision: last, witnesses, ..record };
            return self.commit(Then::CopyClosed, Vec::new(), Some(record));
        }
        let since = if round.again { None } else { Some(first) };
        self.book = std::mem::take(&mut round.book);
        let witnesses = self.book.summary();
        if let Some(checkpoint) = &mut self.checkpoint {
            checkpoint.witnesses = witnesses;
        }
        let next = self.round(since);
        self.forget_reads();
        if let Phase::Copying(copying) = &mut self.phase {
            copying.stage = Stage::Round(Box::new(next));
            copying.since = since;
        }
        *self.status.counters.resyncs.entry("round").or_default() += 1;
    }
}

/// A longer cursor is cut: what lies between is compared once more.
const CURSOR_MAX: usize = 1_024;

fn shortened(cursor: Key) -> Key {
    match cursor.as_bytes().get(..CURSOR_MAX) {
        Some(start) => Key::from(start.to_vec()),
        None => cursor,
    }
}
