//! Blocked: a guard has stopped the mirror. What an order would release is found out meanwhile.

use std::time::Duration;

use etcd_mvcc::{Failure, FailureClass, Head, Position};

use super::comparison::Comparison;
use super::start::Judged;
use super::{Effect, Peer, Phase, Planner, Survey};
use crate::history::{Proof, WitnessBook};
use crate::record::{Checkpoint, Epoch};
use crate::status::{Blocked, GuardKind, State};

/// How often a mirror that is blocked looks again.
pub(super) const RECHECK: Duration = Duration::from_secs(5);

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

/// What the values say of a history that nothing else proves or refutes.
enum Values {
    /// Everything that has not changed since is as it was mirrored, and nothing would be deleted.
    Agree,
    /// The guard that they give, and why.
    Block(GuardKind, String),
}

impl Held {
    /// What the values say, where they were compared.
    fn values(&self) -> Option<Values> {
        let survey = self.survey.as_ref().filter(|_| self.guard == GuardKind::HistoryUnproven)?;
        let through = self.standing.as_ref()?.checkpoint.as_ref()?.revision;
        Some(match &survey.contradiction {
            Some((key, keys)) => Values::Block(
                GuardKind::HistoryChanged,
                format!(
                    "the primary's history changed, or the standby's: {keys} keys, {key} among \
                     them, were last changed on the primary at or before the checkpoint's revision \
                     {through}, and the standby does not hold them so; {}",
                    self.reason
                ),
            ),
            None if survey.found.stale > 0 => Values::Block(
                GuardKind::HistoryUnproven,
                format!(
                    "{} keys on the standby are not on the primary, and whether it deleted them or \
                     never had them is unknown: {}",
                    survey.found.stale, self.reason
                ),
            ),
            None => Values::Agree,
        })
    }

    pub(super) fn comparison(&mut self) -> Option<&mut Comparison> {
        self.survey.as_mut().map(|survey| &mut survey.comparison)
    }
}

/// What was found out about a block: it outlives the rechecks.
#[derive(Clone, Debug)]
pub(super) struct SurveyMemory {
    /// What was asked, and what came of it.
    guard: GuardKind,
    found: (GuardKind, String),
    digest: String,
    deletes: u64,
    at: Duration,
    /// The order that this digest was compared with, in vain.
    refused: Option<String>,
}

impl Planner {
    /// A guard has spoken, and an accepted plan can overrule it: find out what that plan is.
    pub(super) fn hold(&mut self, standing: Box<Judged>, guard: GuardKind, reason: String) {
        self.refuted |= guard == GuardKind::HistoryChanged;
        let fresh = self.survey_memory.as_ref().filter(|memory| {
            memory.guard == guard
                && self.now.saturating_sub(memory.at) < SURVEY_GOOD_FOR
                && (self.control.accept.is_none() || memory.refused == self.control.accept)
        });
        let written_at = self.checkpoint_written_at();
        let survey = fresh.is_none().then(|| {
            let cluster = standing.primary.head.cluster;
            let survey =
                Survey::new(&self.scope, self.page_sizes, cluster, false).replacing(written_at);
            match &standing.checkpoint {
                Some(checkpoint) if guard == GuardKind::HistoryUnproven => {
                    survey.doubting(&self.scope, checkpoint.revision)
                }
                Some(_) | None => survey,
            }
        });
        if survey.is_some() && guard == GuardKind::HistoryUnproven && self.status.blocked.is_none()
        {
            // Not blocked yet: the values are asked first.
            self.status.state = State::Starting;
            self.status.reason = format!("comparing values: {reason}");
            self.lag.forget();
            self.phase =
                Phase::Blocked(Box::new(Held { standing: Some(standing), guard, reason, survey }));
            return;
        }
        let blocked = match fresh {
            Some(memory) => released_by(memory, self.control.accept.as_deref()),
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
            book: None,
            proof: None,
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
        let withheld = &self.withheld;
        if !survey.advance(&mut self.ledger, &self.own, |key| withheld.holds(key)) {
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
        let found = match held.values() {
            // Keys that were changed since say nothing, and of a history that was refuted those may
            // be all that are left.
            Some(Values::Agree) if self.refuted => (held.guard, held.reason.clone()),
            Some(Values::Agree) => {
                let Some(mut standing) = held.standing.take() else { return };
                self.forget();
                standing.proof = Some(Proof {
                    readable: false,
                    exact: false,
                    continuous: false,
                    book: WitnessBook::default(),
                    evidence: "every key that has not changed since is as it was mirrored".into(),
                });
                return self.claim(standing);
            }
            Some(Values::Block(guard, reason)) => (guard, reason),
            None => (held.guard, held.reason.clone()),
        };
        let asked = held.guard;
        let memory =
            SurveyMemory { guard: asked, found, digest, deletes, at: self.now, refused: accept };
        held.survey = None;
        let blocked = released_by(&memory, self.control.accept.as_deref());
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
fn released_by(memory: &SurveyMemory, accepted: Option<&str>) -> Blocked {
    let SurveyMemory { found: (guard, reason), digest, deletes, .. } = memory;
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
    Blocked { guard: *guard, reason: reason.clone(), release, digest, pending: false, refused }
}
