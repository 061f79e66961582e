//! Base copy and resync: a diff, applied.
//!
//! A copy is a sequence of rounds. A round compares both sides from the first key to the last and
//! writes what differs, then deletes what is stale. It is whole if the primary could be read at
//! one revision throughout; then the standby equals the primary at it. If compaction took the
//! revision away in the middle, the round goes on at a newer one, and another round follows that
//! looks only at what changed since the first: each is shorter than the one before.

use etcd_mvcc::{
    ClusterId, Committed, Entry, Expect, Failure, FailureClass, Page, PrimaryRevision,
    StandbyRevision, Step, Write,
};

use super::comparison::{Comparison, Pins};
use super::order::Queue;
use super::round::{DELETIONS_MAX, Lane, Round, note_entry};
use super::{Effect, Peer, Phase, Planner, Survey, Then};
use crate::record::{Checkpoint, CopyPosition, Phase as Stored};
use crate::status::State;

/// A copy that is under way.
#[derive(Debug)]
pub(super) struct Copying {
    stage: Stage,
    /// The next round compares only what the primary changed after this revision.
    since: Option<PrimaryRevision>,
    /// The operator has accepted the deletions, or there is nothing that could be deleted.
    unfused: bool,
    /// Why everything is compared, in a word.
    reason: &'static str,
}

#[derive(Debug)]
enum Stage {
    Survey { survey: Box<Survey>, enrol: bool },
    Enrol,
    Round(Box<Round>),
}

impl Copying {
    /// The first copy: what the standby alone has is others', and stays.
    pub(super) fn enrol(planner: &Planner, cluster: ClusterId) -> Self {
        let survey = Survey::new(&planner.scope, planner.settings.walk, cluster, true);
        Self {
            stage: Stage::Survey { survey: Box::new(survey), enrol: true },
            since: None,
            unfused: false,
            reason: "",
        }
    }

    /// A resync: first see what it would delete.
    pub(super) fn survey(
        planner: &Planner,
        cluster: ClusterId,
        since: Option<PrimaryRevision>,
    ) -> Self {
        let survey = Survey::new(&planner.scope, planner.settings.walk, cluster, false);
        Self {
            stage: Stage::Survey { survey: Box::new(survey), enrol: false },
            since,
            unfused: false,
            reason: "",
        }
    }

    /// A resync that the operator has accepted, after the history or the filter changed: nothing
    /// is known of what the values are.
    pub(super) fn accepted(planner: &Planner) -> Self {
        Self {
            stage: Stage::Round(Box::new(planner.round(None))),
            since: None,
            unfused: true,
            reason: "",
        }
    }

    /// Goes on where a copy was when the process ended.
    pub(super) fn resume(planner: &Planner, position: &CopyPosition) -> Self {
        let mut round = planner.round(position.since);
        if !position.cursor.is_empty() {
            round.lane = Lane::All;
            round.comparison = planner.comparison_of(Lane::All, position.since);
            round.comparison.resume(&position.cursor, position.base);
            round.resumed_at = position.cursor.clone();
            // It alone proves nothing: what lies before the cursor is as old as `base`.
            round.left_over = true;
        }
        Self {
            stage: Stage::Round(Box::new(round.begun())),
            since: position.since,
            unfused: position.accepted,
            reason: "",
        }
    }

    /// Says why everything is compared.
    pub(super) fn because(self, reason: &'static str) -> Self {
        Self { reason, ..self }
    }

    /// Tells whether it has yet to find out what a resync would delete.
    pub(super) fn is_survey(&self) -> bool {
        matches!(self.stage, Stage::Survey { enrol: false, .. })
    }

    fn comparison(&mut self) -> Option<&mut Comparison> {
        match &mut self.stage {
            Stage::Survey { survey, .. } => Some(&mut survey.comparison),
            Stage::Round(round) => Some(&mut round.comparison),
            Stage::Enrol => None,
        }
    }
}

impl Planner {
    pub(super) fn on_primary_page(&mut self, page: Result<Page<PrimaryRevision>, Failure>) {
        let Some(comparison) = self.comparison() else { return };
        match page {
            Ok(page) => comparison.primary_page(page),
            Err(failure) if failure.class == FailureClass::Resync => {
                comparison.primary_compacted();
                self.on_repair_compacted(Peer::Primary);
            }
            Err(failure) => self.on_failure(Peer::Primary, &failure),
        }
    }

    pub(super) fn on_standby_page(&mut self, page: Result<Page<StandbyRevision>, Failure>) {
        let Some(comparison) = self.comparison() else { return };
        match page {
            Ok(page) => comparison.standby_page(page),
            Err(failure) if failure.class == FailureClass::Resync => {
                comparison.standby_compacted();
                self.on_repair_compacted(Peer::Standby);
            }
            Err(failure) => self.on_failure(Peer::Standby, &failure),
        }
    }

    fn comparison(&mut self) -> Option<&mut Comparison> {
        match &mut self.phase {
            Phase::Copying(copying) => copying.comparison(),
            Phase::Blocked(held) => held.comparison(),
            Phase::Following(following) => following.comparison(),
            Phase::Starting(_) | Phase::Paused | Phase::Fenced { .. } | Phase::Ended => None,
        }
    }

    pub(super) fn pump_copy(&mut self) {
        let Phase::Copying(copying) = &mut self.phase else { return };
        match &mut copying.stage {
            Stage::Survey { .. } => self.pump_survey(),
            Stage::Enrol => self.pump_enrol(),
            Stage::Round(_) => self.pump_round(),
        }
    }

    fn pump_survey(&mut self) {
        let Phase::Copying(copying) = &mut self.phase else { return };
        let (since, unfused, reason) = (copying.since, copying.unfused, copying.reason);
        let Stage::Survey { survey, enrol } = &mut copying.stage else { return };
        if !survey.advance(&mut self.ledger, &self.own) {
            let standby = survey.comparison.want_standby(self.in_flight.is_none());
            self.effects.extend(standby.map(Effect::ReadStandby));
            // At enrolment an empty standby spares the primary a walk.
            if !*enrol || survey.comparison.standby_waits() {
                self.effects.extend(survey.comparison.want_primary().map(Effect::ReadPrimary));
            }
            return;
        }
        let waiting = survey.comparison.is_waiting();
        let found = survey.found;
        let enrol = *enrol;
        if !unfused && self.settings.fuse.blows(found.stale, found.standby_keys()) {
            return self.hold_fuse(found.stale, found.standby_keys());
        }
        if !enrol {
            self.status.copy.keys_total = found.missed + found.both;
        }
        if self.status.state == State::Blocked {
            self.say_copying(reason);
        }
        let next = if enrol { Stage::Enrol } else { Stage::Round(Box::new(self.round(since))) };
        if waiting {
            self.forget_reads();
        }
        if let Phase::Copying(copying) = &mut self.phase {
            copying.stage = next;
        }
        self.pump_copy();
    }

    /// Pages that are on their way would be taken for the next stage's: abandon them, and open
    /// the standby's watch again, which goes with them.
    fn forget_reads(&mut self) {
        self.forget();
        self.watch_standby();
    }

    /// The ledger is complete before the first key is written: a kill in between can't make
    /// others' keys look like ours.
    fn pump_enrol(&mut self) {
        if self.in_flight.is_some() {
            return;
        }
        if self.ledger.has_pending() {
            return self.commit_ledger();
        }
        let round = self.round(None);
        if let Phase::Copying(copying) = &mut self.phase {
            copying.stage = Stage::Round(Box::new(round));
        }
        self.pump_copy();
    }

    fn pump_round(&mut self) {
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

    /// Works through what has been read, as far as there is room for what comes of it.
    fn compare(&mut self) {
        let limits = self.settings.txn;
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
                    // back and not looked at this time.
                    if !self.withheld.holds(&standby.key) {
                        self.ledger.adopt(&self.own, &standby.key);
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
        let limits = self.settings.txn;
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

    pub(super) fn on_fetched(
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
        let (witnesses, held) = (&mut round.witnesses, &mut round.held);
        let withheld = &mut self.withheld;
        let (scope, own, ledger) = (&self.scope, &self.own, &mut self.ledger);
        // What waited for one that comes now may have been looked at before: the next round does.
        let mut came = false;
        // What was deleted at a newer pin, the next round finds surplus.
        let pinned = !round.unpinned && round.comparison.is_at_one_pin();
        let room = round.queue.fetched(scope, entries, pinned, |wanted, entry| {
            note_entry(witnesses, &entry.key, entry);
            let is_new = !wanted.is_there();
            let kept_off = withheld.judge(own, scope, &wanted.standby_key, &entry.value, is_new);
            if kept_off && !is_new {
                ledger.enter(own, &wanted.standby_key);
            }
            if kept_off {
                held.insert(wanted.standby_key.clone());
            }
            came |= !kept_off && withheld.came(own, &entry.value);
            !kept_off
        });
        round.again |= !room;
        round.left_over |= came;
    }

    /// Sends the next transaction of the round, if one is due, or closes it.
    fn apply_round(&mut self) {
        let limits = self.settings.txn;
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
            let deletions = round.stale.take(limits.ops);
            let record = self.copy_record();
            return self.commit(Then::RoundApplied, deletions, record);
        }
        if self.ledger.has_pending() || self.withheld.has_pending() {
            let record = self.copy_record();
            return self.commit(Then::RoundApplied, Vec::new(), record);
        }
        self.close_round();
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
        let limits = self.settings.txn;
        let Some(before) = self.copy_record() else { return };
        let room = self.room(&before);
        let Phase::Copying(copying) = &mut self.phase else { return };
        let Stage::Round(round) = &mut copying.stage else { return };
        let (writes, bytes) = round.queue.outbox.take(&limits, room);
        for write in &writes {
            self.ledger.adopt(&self.own, write.op.key());
        }
        if bytes > room {
            return self.commit_large(writes);
        }
        let record = self.copy_record();
        self.commit(Then::RoundApplied, writes, record);
    }

    /// Sends a write that is too large to travel with the checkpoint: alone, once the checkpoint
    /// says that a copy is under way.
    fn commit_large(&mut self, writes: Vec<Write>) {
        let copying = |c: &Checkpoint| matches!(c.phase, Stored::Copying(_));
        let marked = self.checkpoint.as_ref().is_some_and(copying);
        if marked {
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
        let Phase::Copying(copying) = &self.phase else { return None };
        let Stage::Round(round) = &copying.stage else { return None };
        let base = round.comparison.pins().map_or(PrimaryRevision::default(), |pins| pins.first);
        let accepted = copying.unfused;
        let position = CopyPosition { base, since: round.since, cursor: round.cursor(), accepted };
        let record = self.checkpoint.clone().unwrap_or_default();
        Some(Checkpoint { phase: Stored::Copying(position), ..record })
    }

    pub(super) fn on_round_applied(&mut self, committed: &Committed) {
        self.failures = 0;
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
            let witnesses = std::mem::take(&mut round.witnesses);
            self.ledger.close_gaps();
            let record = self.checkpoint.clone().unwrap_or_default();
            let record = Checkpoint { phase: Stored::Whole, revision: last, witnesses, ..record };
            return self.commit(Then::CopyClosed, Vec::new(), Some(record));
        }
        let since = if round.again { None } else { Some(first) };
        let witnesses = std::mem::take(&mut round.witnesses);
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
