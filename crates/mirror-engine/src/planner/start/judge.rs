//! May the mirror go on from what is stored? The history is proven before anything is claimed.

use std::time::Duration;

use etcd_mvcc::{Entry, Failure, PrimaryRevision};

use super::{Judged, Starting};
use crate::history::{Inquiry, Judgement, Question, Refutation};
use crate::planner::{Effect, Peer, Phase, Planner};
use crate::settings::Preflighted;
use crate::status::GuardKind;

/// How often both sides are looked at before the first write: it reads all of them.
const PREFLIGHT_AGAIN: Duration = Duration::from_secs(30);

impl Planner {
    /// May the mirror go on from this checkpoint? Everything that the standby alone can tell.
    pub(super) fn judge(&mut self, standing: Box<Judged>) {
        if let Some(error) = standing.checkpoint_unreadable.clone() {
            return self.hold(standing, GuardKind::CheckpointUnreadable, error);
        }
        let Some(checkpoint) = &standing.checkpoint else { return self.preflight(standing) };
        if standing.epoch.is_none() {
            let reason = "the epoch key is gone, though a checkpoint is there".to_owned();
            return self.hold(standing, GuardKind::CheckpointUnreadable, reason);
        }
        let book = standing.book.as_ref();
        match Inquiry::open(checkpoint, book, &standing.primary, standing.standby.cluster) {
            Ok(inquiry) => self.prove(standing, Box::new(inquiry)),
            Err(Refutation { guard, evidence }) => self.hold(standing, guard, evidence),
        }
    }

    /// Nothing was ever written: may anything be?
    fn preflight(&mut self, standing: Box<Judged>) {
        if self.settings.preflight.is_none() {
            return self.claim(standing);
        }
        self.effects.push_back(Effect::Preflight);
        self.phase = Phase::Starting(Starting::Preflight { standing });
    }

    pub(in crate::planner) fn on_preflighted(&mut self, found: Result<Preflighted, Failure>) {
        let Phase::Starting(Starting::Preflight { standing }) =
            std::mem::replace(&mut self.phase, Phase::Starting(Starting::Reading))
        else {
            return;
        };
        match found {
            Ok(Preflighted::Clear) => self.claim(standing),
            Ok(Preflighted::Refused { reason, release }) => {
                self.hold_at(GuardKind::Preflight, reason, release, PREFLIGHT_AGAIN);
            }
            Err(failure) => self.start_over(&failure.message),
        }
    }

    fn prove(&mut self, standing: Box<Judged>, inquiry: Box<Inquiry>) {
        let Some(Question { keys, at }) = inquiry.question() else {
            return self.conclude(standing, inquiry.unasked());
        };
        self.effects.push_back(Effect::ReadWitnesses { keys, at });
        self.phase = Phase::Starting(Starting::Proving { standing, inquiry });
    }

    pub(in crate::planner) fn on_witnesses(
        &mut self,
        answer: Result<Vec<Option<Entry<PrimaryRevision>>>, Failure>,
    ) {
        let Phase::Starting(starting) = &mut self.phase else { return };
        let (standing, mut inquiry) = match std::mem::replace(starting, Starting::Reading) {
            Starting::Proving { standing, inquiry } => (standing, inquiry),
            Starting::Confirming { standing } => return self.on_confirmed(*standing, answer),
            Starting::Resting
            | Starting::Reading
            | Starting::Preflight { .. }
            | Starting::Ledger { .. }
            | Starting::Claiming { .. } => return,
        };
        match inquiry.answer(answer) {
            Ok(Some(judgement)) => self.conclude(standing, judgement),
            Ok(None) => self.prove(standing, inquiry),
            Err(failure) => self.on_failure(Peer::Primary, &failure),
        }
    }

    fn conclude(&mut self, mut standing: Box<Judged>, judgement: Judgement) {
        let hash = self.scope.hash().to_string();
        match judgement {
            Judgement::Refuted(Refutation { guard, evidence }) => {
                self.hold(standing, guard, evidence);
            }
            Judgement::Proven(_) | Judgement::Undecided(_)
                if standing.checkpoint.as_ref().is_some_and(|stored| stored.scope != hash) =>
            {
                let stored = standing.checkpoint.as_ref().map_or("", |stored| &stored.scope);
                let reason = format!(
                    "the filter changed: the checkpoint was written under {stored}, today's is \
                     {hash}"
                );
                self.hold(standing, GuardKind::ScopeChanged, reason);
            }
            // Evidence fades: the log and the revision of a history that was refuted go past what was
            // mirrored, and compaction takes the rest.
            Judgement::Proven(proof) if self.refuted && !proof.exact => {
                let reason =
                    format!("{}, but the primary has shown another history before", proof.evidence);
                self.hold(standing, GuardKind::HistoryUnproven, reason);
            }
            Judgement::Proven(proof) => {
                standing.proof = Some(proof);
                self.claim(standing);
            }
            Judgement::Undecided(reason) => {
                self.hold(standing, GuardKind::HistoryUnproven, reason);
            }
        }
    }
}
