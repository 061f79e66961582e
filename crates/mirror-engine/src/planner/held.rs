//! Blocked: a guard has stopped the mirror. What an order would release is found out meanwhile.

use std::time::Duration;

use etcd_mvcc::{Expect, Failure, FailureClass, Head, Position};

use super::comparison::Comparison;
use super::start::Judged;
use super::{Effect, Peer, Phase, Planner, Survey};
use crate::record::{Checkpoint, Epoch};
use crate::status::{Blocked, GuardKind, State};

/// How often a mirror that is blocked looks again.
const RECHECK: Duration = Duration::from_secs(5);

/// How long a blocked mirror's plan stays good enough to be shown.
const SURVEY_GOOD_FOR: Duration = Duration::from_secs(60);

/// What releases a guard that only a change outside can satisfy.
const MEND: &str = "mend the cause; the mirror looks again by itself";

/// What a refusal comes to that somebody has to mend.
pub(crate) fn refusal(peer: Peer, failure: &Failure) -> Blocked {
    let guard = match (failure.class, peer) {
        (FailureClass::NoSpace | FailureClass::Corrupt, Peer::Standby) => GuardKind::StandbyAlarm,
        (FailureClass::NotEtcd, _) => GuardKind::NotEtcd,
        (FailureClass::OtherCluster, Peer::Primary) => GuardKind::ClusterChanged,
        (FailureClass::OtherCluster, Peer::Standby) => GuardKind::StandbyChanged,
        _ => GuardKind::Denied,
    };
    let reason = format!("the {} refuses: {failure}", peer.as_str());
    Blocked::until_fixed(guard, reason, MEND.to_owned())
}

/// A mirror that a guard has stopped.
#[derive(Debug)]
pub(super) struct Held {
    standing: Option<Box<Judged>>,
    guard: GuardKind,
    reason: String,
    survey: Option<Survey>,
}

impl Held {
    pub(super) fn comparison(&mut self) -> Option<&mut Comparison> {
        self.survey.as_mut().map(|survey| &mut survey.comparison)
    }
}

/// What was found out about a block: it outlives the rechecks.
#[derive(Clone, Debug)]
pub(super) struct SurveyMemory {
    guard: GuardKind,
    digest: String,
    deletes: u64,
    at: Duration,
    /// The order that this digest was compared with, in vain.
    refused: Option<String>,
}

impl Planner {
    /// A guard has spoken, and an accepted plan can overrule it: find out what that plan is.
    pub(super) fn hold(&mut self, standing: Box<Judged>, guard: GuardKind, reason: String) {
        let fresh = self.survey_memory.as_ref().filter(|memory| {
            memory.guard == guard
                && self.now.saturating_sub(memory.at) < SURVEY_GOOD_FOR
                && (self.control.accept.is_none() || memory.refused == self.control.accept)
        });
        let written_at = match self.checkpoint_modified {
            Expect::ModifiedAt(revision) => Some(revision),
            Expect::Absent => None,
        };
        let survey = fresh.is_none().then(|| {
            Survey::new(&self.scope, self.settings.walk, standing.primary.head.cluster, false)
                .replacing(written_at)
        });
        let blocked = match fresh {
            Some(memory) => released_by(memory, reason.clone(), self.control.accept.as_deref()),
            None => Blocked {
                pending: true,
                ..Blocked::until_fixed(
                    guard,
                    reason.clone(),
                    "working out what a resync would do …".to_owned(),
                )
            },
        };
        let blocked = match (&self.status.blocked, survey.is_some()) {
            (Some(before), true) if before.guard == guard => {
                Blocked { reason: reason.clone(), pending: true, ..before.clone() }
            }
            _ => blocked,
        };
        self.block(blocked);
        self.lag.forget();
        let rests = survey.is_none();
        self.phase =
            Phase::Blocked(Box::new(Held { standing: Some(standing), guard, reason, survey }));
        if rests {
            self.effects.push_back(Effect::Wait(RECHECK));
        }
    }

    /// The fuse has blown in the middle of a copy.
    pub(super) fn hold_fuse(&mut self, deletes: u64, keys: u64) {
        self.forget();
        self.survey_memory = None;
        let reason = format!(
            "the resync would delete {deletes} of {keys} keys, more than guard.max_deletes allows \
             (more than {} keys and more than {} %)",
            self.settings.fuse.keys, self.settings.fuse.percent
        );
        let Some(checkpoint) = self.checkpoint.clone() else { return self.start_over(&reason) };
        let standing = Judged {
            primary: Position {
                head: Head { cluster: checkpoint.cluster, revision: self.status.primary_revision },
                raft: None,
                db: None,
            },
            standby: Head {
                cluster: self.status.standby_cluster.unwrap_or_default(),
                revision: self.status.standby_revision,
            },
            epoch: None,
            checkpoint_unreadable: None,
            checkpoint: Some(checkpoint),
            accepted: false,
            claimed: false,
        };
        self.hold(Box::new(standing), GuardKind::TooManyDeletes, reason);
    }

    /// A guard has spoken that only a change outside can satisfy.
    pub(super) fn hold_until_mended(&mut self, guard: GuardKind, reason: String) {
        self.hold_at(guard, reason, MEND.to_owned(), RECHECK);
    }

    /// The same, with what mends it, and the time after which the mirror looks again.
    pub(super) fn hold_at(
        &mut self,
        guard: GuardKind,
        reason: String,
        release: String,
        again: Duration,
    ) {
        self.forget();
        self.block(Blocked::until_fixed(guard, reason.clone(), release));
        self.phase = Phase::Blocked(Box::new(Held { standing: None, guard, reason, survey: None }));
        self.effects.push_back(Effect::Wait(again));
    }

    pub(super) fn pump_held(&mut self) {
        let Phase::Blocked(held) = &mut self.phase else { return };
        let Some(survey) = &mut held.survey else { return };
        if !survey.advance(&mut self.ledger, &self.own) {
            self.effects.extend(survey.comparison.want_primary().map(Effect::ReadPrimary));
            self.effects.extend(survey.comparison.want_standby(true).map(Effect::ReadStandby));
            return;
        }
        let digest = survey.digest().to_string();
        let deletes = survey.found.stale;
        let accept = self.control.accept.clone();
        if accept.as_ref() == Some(&digest)
            && let Some(mut standing) = held.standing.take()
        {
            self.forget();
            standing.accepted = true;
            // An accepted plan starts from what is known of the standby, whatever was unreadable.
            standing.checkpoint.get_or_insert_with(Checkpoint::default);
            return self.reclaim(standing);
        }
        let memory =
            SurveyMemory { guard: held.guard, digest, deletes, at: self.now, refused: accept };
        held.survey = None;
        let reason = held.reason.clone();
        let blocked = released_by(&memory, reason, self.control.accept.as_deref());
        self.survey_memory = Some(memory);
        self.block(blocked);
        self.forget();
        self.effects.push_back(Effect::Wait(RECHECK));
    }

    /// Claims under what the standby's own keys were when the guard spoke.
    fn reclaim(&mut self, mut standing: Box<Judged>) {
        if let Some(held) = self.epoch {
            let owner = self.settings.owner.clone();
            standing.epoch.get_or_insert(Epoch { number: held.number, owner });
        }
        self.claim(standing);
    }

    fn block(&mut self, blocked: Blocked) {
        self.write_blocked = blocked.guard == GuardKind::EncryptionKey;
        self.status.state = State::Blocked;
        self.status.reason.clone_from(&blocked.reason);
        self.status.blocked = Some(blocked);
    }
}

/// A guard that the plan releases which was worked out.
fn released_by(memory: &SurveyMemory, reason: String, accepted: Option<&str>) -> Blocked {
    let SurveyMemory { guard, digest, deletes, .. } = memory;
    let command = format!(
        "`etcd-sync resync --accept {digest}` (deletes {deletes} keys on the standby, and makes \
         the rest of the scope equal to this primary)"
    );
    let refused = accepted.filter(|accepted| accepted != digest).map(str::to_owned);
    let release = match &refused {
        Some(accepted) => {
            format!("{command}; the plan {accepted} that was accepted is not this one")
        }
        None => command,
    };
    let digest = Some(digest.clone());
    Blocked { guard: *guard, reason, release, digest, pending: false, refused }
}
