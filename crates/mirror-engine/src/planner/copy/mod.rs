//! Base copy and resync: a diff, applied.
//!
//! A copy is a sequence of rounds. A round compares both sides from the first key to the last and
//! writes what differs, then deletes what is stale. It is whole if the primary could be read at
//! one revision throughout; then the standby equals the primary at it. If compaction took the
//! revision away in the middle, the round goes on at a newer one, and another round follows that
//! looks only at what changed since the first: each is shorter than the one before.

mod rounds;

use etcd_mvcc::{ClusterId, Failure, FailureClass, Page, PrimaryRevision, StandbyRevision};

use super::comparison::Comparison;
use super::order::Deletions;
use super::round::{Lane, Round};
use super::{Effect, Peer, Phase, Planner, Survey};
use crate::record::CopyPosition;
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
        let survey = Survey::new(&planner.scope, planner.page_sizes, cluster, true);
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
        let mut survey = Survey::new(&planner.scope, planner.page_sizes, cluster, false);
        if planner.out_of_space {
            survey = survey.keeping_stale();
        }
        Self {
            stage: Stage::Survey { survey: Box::new(survey), enrol: false },
            since,
            unfused: false,
            reason: "",
        }
    }

    /// The same where nobody has to be asked about deletions: the watch would bring each.
    pub(super) fn unfused(self) -> Self {
        Self { unfused: true, ..self }
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
            let comparison = planner.comparison_of(Lane::All, position.since);
            round.comparison = comparison.resume(&position.cursor, position.base);
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
            Ok(page) => {
                comparison.primary_page(page);
                self.page_sizes.primary = comparison.page_sizes().primary;
            }
            // The next request is a smaller one: what has been read stays.
            Err(failure) if comparison.primary_failed(&failure) => {
                self.page_sizes.primary = comparison.page_sizes().primary;
                self.count_error(Peer::Primary, &failure);
            }
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
            Ok(page) => {
                comparison.standby_page(page);
                self.page_sizes.standby = comparison.page_sizes().standby;
            }
            Err(failure) if comparison.standby_failed(&failure) => {
                self.page_sizes.standby = comparison.page_sizes().standby;
                self.count_error(Peer::Standby, &failure);
            }
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
        let withheld = &self.withheld;
        if !survey.advance(&mut self.ledger, &self.own, |key| withheld.holds(key)) {
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
        let stale = survey.stale.take();
        if stale.as_ref().is_some_and(Deletions::is_empty) && unfused {
            // Nothing would free space: every revision is applied as the primary had it.
            self.forget_reads();
            return self.follow();
        }
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
        let next = if enrol {
            Stage::Enrol
        } else {
            let mut round = self.round(since);
            round.frees = stale.as_ref().is_some_and(|stale| !stale.is_empty());
            round.stale = stale.unwrap_or_default();
            Stage::Round(Box::new(round))
        };
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
    pub(super) fn forget_reads(&mut self) {
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
}
