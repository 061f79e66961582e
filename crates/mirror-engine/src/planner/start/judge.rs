//! May the mirror go on from what is stored? The history is proven before anything is claimed.

use std::time::Duration;

use etcd_mvcc::{Entry, Failure, PrimaryRevision};

use super::{Judged, Starting};
use crate::planner::witness::{Proof, judge};
use crate::planner::{Effect, Peer, Phase, Planner};
use crate::record::{Checkpoint, Phase as Stored};
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
        if checkpoint.cluster != standing.primary.head.cluster {
            let reason = format!(
                "the primary is cluster {}; the checkpoint was taken from cluster {}",
                standing.primary.head.cluster, checkpoint.cluster
            );
            return self.hold(standing, GuardKind::ClusterChanged, reason);
        }
        let proven_at = proven_at(checkpoint);
        if standing.primary.head.revision < proven_at {
            let reason = format!(
                "the primary's history changed: its revision went back to {}, below the \
                 checkpoint's {proven_at}",
                standing.primary.head.revision
            );
            return self.hold(standing, GuardKind::HistoryChanged, reason);
        }
        self.prove(standing, true);
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

    fn prove(&mut self, standing: Box<Judged>, pinned: bool) {
        let Some(checkpoint) = &standing.checkpoint else { return self.claim(standing) };
        let pinned = pinned && checkpoint.is_whole();
        let keys: Vec<_> = checkpoint.witnesses.iter().map(|witness| witness.key.clone()).collect();
        if keys.is_empty() {
            return self.judge_scope(standing);
        }
        let at = pinned.then_some(checkpoint.revision);
        self.effects.push_back(Effect::ReadWitnesses { keys, at });
        self.phase = Phase::Starting(Starting::Proving { standing, pinned });
    }

    pub(in crate::planner) fn on_witnesses(
        &mut self,
        answer: &Result<Vec<Option<Entry<PrimaryRevision>>>, Failure>,
    ) {
        let Phase::Starting(Starting::Proving { standing, pinned }) =
            std::mem::replace(&mut self.phase, Phase::Starting(Starting::Reading))
        else {
            return;
        };
        let witnesses = standing.checkpoint.as_ref().map_or(&[][..], |c| c.witnesses.as_slice());
        match judge(witnesses, answer, pinned) {
            Ok(Proof::Holds) => self.judge_scope(standing),
            Ok(Proof::AskNow) => {
                self.resync = Some("compacted");
                self.prove(standing, false);
            }
            Ok(Proof::Broken(key)) => {
                let reason = format!(
                    "the primary's history changed: it does not show {key} as it was mirrored \
                     (restored from an older copy?)"
                );
                self.hold(standing, GuardKind::HistoryChanged, reason);
            }
            Err(failure) => self.on_failure(Peer::Primary, &failure),
        }
    }

    fn judge_scope(&mut self, standing: Box<Judged>) {
        let hash = self.scope.hash().to_string();
        match &standing.checkpoint {
            Some(checkpoint) if checkpoint.scope != hash => {
                let reason = format!(
                    "the filter changed: the checkpoint was written under {}, today's is {hash}",
                    checkpoint.scope
                );
                self.hold(standing, GuardKind::ScopeChanged, reason);
            }
            _ => self.claim(standing),
        }
    }
}

/// The newest revision of the primary that a checkpoint bears witness of.
fn proven_at(checkpoint: &Checkpoint) -> PrimaryRevision {
    match &checkpoint.phase {
        Stored::Copying(position) => checkpoint.revision.max(position.base),
        Stored::Whole | Stored::Torn { .. } => checkpoint.revision,
    }
}
