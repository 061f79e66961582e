//! The start, and every start over: read what is stored, prove the history, claim the epoch.

mod judge;

use etcd_mvcc::{
    ClusterId, Entry, Expect, Failure, FailureClass, Guard, Head, KeyRange, Op, Page, Position,
    PrimaryRevision, RaftPosition, Revision, SameCluster, StandbyRevision, Txn, Walk,
};
use keyspace_filter::OWN_PREFIX;

use super::copy::Copying;
use super::held::RECHECK;
use super::ledger::Ledger;
use super::stall::WatchMeter;
use super::withheld::Withheld;
use super::{
    Effect, Ended, HeldEpoch, InFlight, Peer, Phase, Planner, Standing, Then, decode_control,
    decode_epoch, seen,
};
use crate::control::Desired;
use crate::history::{Inquiry, Proof, WitnessBook};
use crate::record::{Accounted, Checkpoint, Epoch, Phase as Stored, RaftSeen, RecordError};
use crate::status::{GuardKind, State};

/// Where a start stands.
#[derive(Debug)]
pub(super) enum Starting {
    /// Waiting for the pause to end.
    Resting,
    /// Waiting for [`Standing`].
    Reading,
    /// Waiting for what a look at both sides finds: nothing was ever written.
    Preflight { standing: Box<Judged> },
    /// Reading the ledger, before anything is judged.
    Ledger { standing: Box<Judged>, walk: Walk },
    /// Waiting for the witnesses.
    Proving { standing: Box<Judged>, inquiry: Box<Inquiry> },
    /// Waiting for the epoch.
    Claiming { standing: Box<Judged>, number: u64 },
    /// The ids are equal: waiting for the primary to show that our epoch is not on it.
    Confirming { standing: Box<Judged> },
}

/// The standing, read and understood.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) primary: Position<PrimaryRevision>,
    pub(super) standby: Head<StandbyRevision>,
    pub(super) epoch: Option<Epoch>,
    pub(super) checkpoint_unreadable: Option<String>,
    /// What is to be gone on from; `None` copies from scratch.
    pub(super) checkpoint: Option<Checkpoint>,
    /// Further witnesses that were stored beside the checkpoint.
    pub(super) book: Option<WitnessBook>,
    /// Why the history counts as the one that was mirrored.
    pub(super) proof: Option<Proof>,
    /// The operator has accepted the plan, whatever the guards say.
    pub(super) accepted: bool,
    /// The ledger is read again under our own epoch: nothing stands in the way of the work.
    pub(super) claimed: bool,
}

impl Planner {
    pub(super) fn on_waited(&mut self) {
        if matches!(self.phase, Phase::Starting(Starting::Resting) | Phase::Blocked(_)) {
            self.forget();
            self.phase = Phase::Starting(Starting::Reading);
            self.asked_at = self.now;
            self.effects.push_back(Effect::ReadStanding);
        }
    }

    pub(super) fn on_standing(&mut self, standing: Standing) {
        if !matches!(self.phase, Phase::Starting(Starting::Reading)) {
            return;
        }
        let Standing { primary, standby, epoch, checkpoint, control, repair, history, same } =
            standing;
        self.status.primary_cluster = Some(primary.head.cluster);
        self.status.standby_cluster = Some(standby.cluster);
        self.status.primary_revision = primary.head.revision;
        self.status.standby_revision = standby.revision;
        if let Some(same) = same {
            return self.on_same_cluster(&same);
        }
        self.first_standing = false;
        self.lag.polled(self.asked_at, primary.head.revision);
        let met = *self.met_standby.get_or_insert(standby.cluster);
        if met != standby.cluster {
            return self.on_standby_changed_place(met, standby.cluster);
        }
        self.epoch_seen = Some(seen(epoch.as_ref()));
        self.checkpoint_modified = seen(checkpoint.as_ref());
        // A poll that was asked before may answer with older orders: the last one but one again.
        self.orders_read = self.now;
        if let Err(error) = self.read_orders(control.as_ref(), repair.as_ref()) {
            return self.hold_until_mended(GuardKind::CheckpointUnreadable, error.to_string());
        }
        match self.control.desired {
            Desired::Promoted => {
                // What it says of where the standby stands is still worth telling.
                let read = |entry: &Entry<StandbyRevision>| Checkpoint::decode(&entry.value).ok();
                self.checkpoint = checkpoint.as_ref().and_then(read);
                return self.fence_promoted();
            }
            Desired::Pause => return self.pause(),
            Desired::Run => {}
        }
        let stored = match decode_epoch(epoch.as_ref()) {
            Ok(stored) => stored,
            Err(error) => {
                return self.hold_until_mended(GuardKind::CheckpointUnreadable, error.to_string());
            }
        };
        if let (Some(stored), Some(entry)) = (&stored, &epoch) {
            if stored.owner == self.settings.owner {
                // Ours, also if nobody told us so at the time.
                self.epoch = Some(HeldEpoch {
                    number: stored.number,
                    modified: entry.modified,
                    since: self.now,
                });
            } else if self.epoch.is_some() {
                let reason = format!("epoch {} was taken by {}", stored.number, stored.owner);
                return self.fence(reason, false);
            }
        }
        let (checkpoint, unreadable) =
            match checkpoint.map(|entry| (Checkpoint::decode(&entry.value), entry)) {
                None => (None, None),
                Some((Ok(mut checkpoint), entry)) => {
                    // The transaction that wrote it is ours too.
                    checkpoint.accounted.ours.push(entry.modified);
                    (Some(checkpoint), None)
                }
                Some((Err(error), _)) => (None, Some(error.to_string())),
            };
        // What can't be read bears no witness; the checkpoint's own do.
        let book = history.and_then(|entry| WitnessBook::decode(&entry.value).ok());
        let judged = Judged {
            primary,
            standby,
            book,
            proof: None,
            epoch: stored,
            checkpoint_unreadable: unreadable,
            checkpoint,
            accepted: false,
            claimed: false,
        };
        self.read_ledger(Box::new(judged));
    }

    fn read_orders(
        &mut self,
        control: Option<&Entry<StandbyRevision>>,
        repair: Option<&Entry<StandbyRevision>>,
    ) -> Result<(), RecordError> {
        self.control = decode_control(control)?;
        self.repairs.read(repair)
    }

    /// Another cluster answers where the standby was: what it holds is none of this mirror's.
    fn on_standby_changed_place(&mut self, met: ClusterId, found: ClusterId) {
        let reason = format!("the standby is cluster {found}; this mirror wrote to cluster {met}");
        let release = format!(
            "point --standby-endpoints at cluster {met} again; the mirror looks again by itself. \
             To mirror into cluster {found} instead, restart etcd-sync"
        );
        self.hold_at(GuardKind::StandbyChanged, reason, release, RECHECK);
    }

    fn on_same_cluster(&mut self, same: &SameCluster) {
        let reason = same.to_string();
        if self.first_standing {
            self.forget();
            self.phase = Phase::Ended;
            self.effects.push_back(Effect::End(Ended::SameCluster(reason)));
        } else {
            self.hold_until_mended(GuardKind::SameCluster, reason);
        }
    }

    fn read_ledger(&mut self, standing: Box<Judged>) {
        let accounted = standing.checkpoint.as_ref().map(|checkpoint| checkpoint.accounted.clone());
        // Without a checkpoint nothing on the standby is ours, and enrolment will say so.
        let accounted = accounted.unwrap_or_else(|| Accounted {
            through: standing.standby.revision,
            ..Accounted::default()
        });
        self.ledger = Ledger::new(accounted);
        if std::mem::take(&mut self.skip_unseen) {
            self.ledger.skip_to(standing.standby.revision);
        }
        self.withheld = Withheld::default();
        let ranges = [self.own.ledger_range(), self.own.withheld_range()];
        let walk = Walk::new(&ranges, self.page_sizes.standby, false);
        self.ask_ledger(standing, walk);
    }

    fn ask_ledger(&mut self, standing: Box<Judged>, walk: Walk) {
        if let Some(request) = walk.request(None) {
            self.effects.push_back(Effect::ReadLedger(request));
            self.phase = Phase::Starting(Starting::Ledger { standing, walk });
        } else if standing.claimed {
            self.begin(*standing);
        } else {
            self.judge(standing);
        }
    }

    pub(super) fn on_ledger_page(&mut self, page: Result<Page<StandbyRevision>, Failure>) {
        let Phase::Starting(Starting::Ledger { standing, mut walk }) =
            std::mem::replace(&mut self.phase, Phase::Starting(Starting::Reading))
        else {
            return;
        };
        let page = match page {
            Ok(page) => page,
            Err(failure) if walk.failed(&failure) => {
                self.count_error(Peer::Standby, &failure);
                self.page_sizes.standby = walk.page_size();
                return self.ask_ledger(standing, walk);
            }
            Err(failure) => return self.on_failure(Peer::Standby, &failure),
        };
        for entry in &page.entries {
            self.ledger.load(&self.own, entry);
            if let Some(key) = self.own.withheld_key(&entry.key)
                && let Err(error) = self.withheld.load(key, &entry.value)
            {
                return self.hold_until_mended(GuardKind::CheckpointUnreadable, error.to_string());
            }
        }
        if let Some(request) = walk.request::<StandbyRevision>(None) {
            walk.advance(&request, &page);
        }
        self.ask_ledger(standing, walk);
    }

    /// Takes the next epoch, in a transaction that does nothing else: from then on nothing that
    /// an earlier epoch has sent can land.
    ///
    /// Until it is known to have happened no epoch is held: whoever has lost a race for one, to a
    /// mirror that was writing, was not replaced and tries again.
    pub(super) fn claim(&mut self, standing: Box<Judged>) {
        let stored = standing.epoch.as_ref().map_or(0, |epoch| epoch.number);
        let held = self.epoch.map_or(0, |epoch| epoch.number);
        let number = stored.max(held) + 1;
        let epoch = Epoch { number, owner: self.settings.owner.clone() };
        let guard = Guard(vec![
            (self.own.epoch.clone(), self.epoch_seen.unwrap_or(Expect::Absent)),
            (self.own.checkpoint.clone(), self.checkpoint_modified),
            // As the ledger that was read says: what went alone since would not be known as ours.
            (self.own.alone.clone(), self.ledger.alone()),
        ]);
        let own = vec![Op::Put { key: self.own.epoch.clone(), value: epoch.encode() }];
        self.in_flight = Some(InFlight {
            then: Then::Claimed,
            record: None,
            puts: 0,
            deletes: 0,
            bytes: 0,
            keys: Vec::new(),
            ops: own.len(),
            request_bytes: 0,
            repair: None,
        });
        self.effects.push_back(Effect::Commit(Txn { guard, writes: Vec::new(), own }));
        self.phase = Phase::Starting(Starting::Claiming { standing, number });
    }

    pub(super) fn on_claimed(&mut self, revision: StandbyRevision) {
        let Phase::Starting(Starting::Claiming { standing, number }) =
            std::mem::replace(&mut self.phase, Phase::Starting(Starting::Reading))
        else {
            return;
        };
        self.epoch = Some(HeldEpoch { number, modified: revision, since: self.now });
        self.epoch_seen = Some(Expect::ModifiedAt(revision));
        if standing.primary.head.cluster == standing.standby.cluster {
            // The last word on equal ids: what was just written must not be on the primary.
            let keys = vec![self.own.epoch.clone()];
            self.effects.push_back(Effect::ReadWitnesses { keys, at: None });
            self.phase = Phase::Starting(Starting::Confirming { standing });
            return;
        }
        self.on_two_clusters(*standing);
    }

    /// What the primary holds under the key of our epoch, which was written a moment ago.
    fn on_confirmed(
        &mut self,
        standing: Judged,
        answer: Result<Vec<Option<Entry<PrimaryRevision>>>, Failure>,
    ) {
        let entry = match answer {
            Ok(entries) => entries.into_iter().next().flatten(),
            // A role that may not read our keys there can't confirm it.
            Err(failure) if failure.class == FailureClass::Blocked => None,
            Err(failure) => return self.on_failure(Peer::Primary, &failure),
        };
        let ours = self.epoch.map(|epoch| epoch.modified.get());
        if entry.is_some_and(|entry| Some(entry.modified.get()) == ours) {
            let cluster = standing.primary.head.cluster;
            let reason = format!(
                "both ends are the same cluster ({cluster}): the epoch that was written to the \
                 standby is on the primary"
            );
            return self.hold_until_mended(GuardKind::SameCluster, reason);
        }
        self.on_two_clusters(standing);
    }

    fn on_two_clusters(&mut self, standing: Judged) {
        if standing.checkpoint.is_none() {
            // An enrolment moves nothing that our claim compares: another mirror may have entered
            // keys after we looked.
            return self.read_ledger(Box::new(Judged { claimed: true, ..standing }));
        }
        self.begin(standing);
    }

    fn begin(&mut self, standing: Judged) {
        self.refuted = false;
        let seen = raft_seen(&standing.primary);
        let goes_on = standing.checkpoint.is_some() && !standing.accepted;
        self.raft = if goes_on { seen.or(self.raft) } else { seen };
        self.watch_standby();
        self.decide(standing);
    }

    /// From the checkpoint to the work: follow, or close the gap with a diff first.
    fn decide(&mut self, standing: Judged) {
        let cluster = standing.primary.head.cluster;
        let due = self.withheld.are_due().then_some("owner_came");
        let proof = standing.proof;
        // A revision that can't be watched from any more.
        let compacted = proof.as_ref().is_some_and(|proof| !proof.readable).then_some("compacted");
        let asked = self.resync.take().or(compacted).or(due);
        let exact = proof.as_ref().is_some_and(|proof| proof.exact);
        let readable = proof.as_ref().is_some_and(|proof| proof.readable);
        let continuous = proof.as_ref().is_some_and(|proof| proof.continuous);
        self.book = proof.map_or_else(WitnessBook::default, |proof| proof.book);
        // Changes of other keys are not kept track of.
        let scope = &self.scope;
        self.book.retain(|witness| scope.admits(witness.key.as_bytes()));
        let Some(checkpoint) = standing.checkpoint else {
            let fresh = self.blank(cluster);
            self.checkpoint = Some(fresh.clone());
            return match self.settings.start_at {
                Some(revision) if asked.is_none() => {
                    let revision = revision.previous();
                    self.checkpoint = Some(Checkpoint { revision, ..fresh });
                    self.follow();
                }
                _ => self.copy(Copying::enrol(self, cluster), "first_copy"),
            };
        };
        self.checkpoint = Some(checkpoint.clone());
        if standing.accepted {
            self.book_void = true;
            let accounted = checkpoint.accounted.clone();
            self.checkpoint = Some(Checkpoint { accounted, ..self.blank(cluster) });
            return self.copy(Copying::accepted(self), "accepted");
        }
        match &checkpoint.phase {
            // What was compared before counts only in the history that it was compared in.
            Stored::Copying(position) if continuous => {
                self.copy(Copying::resume(self, position), "resumed");
            }
            Stored::Copying(_) => {
                self.copy(Copying::survey(self, cluster, None), "history_unproven");
            }
            Stored::Whole | Stored::Torn { .. } => {
                let behind = standing.primary.head.revision.ahead_of(checkpoint.revision);
                let too_far = behind > self.settings.catch_up_revisions;
                let space = self.out_of_space.then_some("standby_space");
                match asked.or(space).or(too_far.then_some("behind")) {
                    Some(reason) => {
                        let since = exact.then_some(checkpoint.revision);
                        let mut survey = Copying::survey(self, cluster, since);
                        if reason == "standby_space" && exact && readable {
                            survey = survey.unfused();
                        }
                        self.copy(survey, reason);
                    }
                    None => self.follow(),
                }
            }
        }
    }

    fn blank(&self, cluster: ClusterId) -> Checkpoint {
        Checkpoint {
            cluster,
            standby: self.status.standby_cluster,
            raft: self.raft,
            scope: self.scope.hash().to_string(),
            ..Checkpoint::default()
        }
    }

    fn copy(&mut self, copying: Copying, reason: &'static str) {
        self.status.copy = crate::status::CopyProgress::default();
        // A mirror that was blocked is so until it is known that nothing blocks it any more.
        if self.status.state != State::Blocked || !copying.is_survey() {
            self.say_copying(reason);
        }
        self.phase = Phase::Copying(Box::new(copying.because(reason)));
    }

    pub(super) fn say_copying(&mut self, reason: &'static str) {
        *self.status.counters.resyncs.entry(reason).or_default() += 1;
        if self.write_blocked {
            return;
        }
        self.status.state = State::Copying;
        self.status.blocked = None;
        reason.clone_into(&mut self.status.reason);
    }

    pub(super) fn watch_standby(&mut self) {
        self.standby_meter = WatchMeter::new(self.now);
        self.standby_heard = self.now;
        let (range, from) = self.standby_watch();
        self.effects.push_back(Effect::WatchStandby { range, from });
    }

    /// What to watch on the standby, and from where.
    pub(super) fn standby_watch(&self) -> (KeyRange, StandbyRevision) {
        let hull = self.scope.standby_hull();
        let own = KeyRange::prefix(OWN_PREFIX.as_bytes());
        let range = KeyRange::hull([&hull, &own]).unwrap_or(own);
        (range, self.ledger.next_revision())
    }
}

/// The position of the log, as a checkpoint keeps it.
pub(in crate::planner) fn raft_seen(primary: &Position<PrimaryRevision>) -> Option<RaftSeen> {
    let RaftPosition { term, index_before, .. } = primary.raft?;
    Some(RaftSeen { term, index: index_before, revision: primary.head.revision })
}
