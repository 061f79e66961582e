//! What is asked for about once a second, whatever the planner does: how far the primary is, and what
//! the operator wants.

use std::time::Duration;

use etcd_mvcc::{Entry, Failure, Head, PrimaryRevision, Revision, StandbyRevision};

use super::start::Starting;
use super::{Peer, Phase, Planner, decode_control};
use crate::control::Desired;
use crate::status::State;

impl Planner {
    pub(super) fn on_primary_head(
        &mut self,
        asked_at: Duration,
        head: Result<Head<PrimaryRevision>, Failure>,
    ) {
        let head = match head {
            Ok(head) => head,
            Err(failure) => {
                let count = (Peer::Primary.as_str(), failure.class.as_str());
                *self.status.counters.errors.entry(count).or_default() += 1;
                return;
            }
        };
        self.status.primary_revision = head.revision;
        self.lag.polled(asked_at, head.revision);
        let (Phase::Copying(_) | Phase::Following(_), Some(checkpoint)) =
            (&self.phase, &self.checkpoint)
        else {
            return;
        };
        // While an answer is on its way the watch carries the checkpoint past it. What the primary
        // can't be below is the checkpoint that was there when it was asked.
        let floor = self.head_floor.filter(|(since, _)| *since <= asked_at);
        let is_below = floor.is_some_and(|(_, floor)| head.revision < floor);
        let moved_back = head.cluster != checkpoint.cluster || is_below;
        self.head_floor = Some((self.now, checkpoint.revision));
        let behind = head.revision.ahead_of(checkpoint.revision) > self.settings.catch_up_revisions;
        if moved_back {
            self.start_over("the primary is not where it was");
        } else if behind && !self.wants_changes() {
            self.resync = Some("behind");
            self.start_over("too far behind to catch up by watching");
        } else if let Some(level) = self.level() {
            self.lag.reached(level);
        }
    }

    pub(super) fn on_orders(
        &mut self,
        epoch: Option<&Entry<StandbyRevision>>,
        control: Option<&Entry<StandbyRevision>>,
    ) {
        if let Some(held) = self.epoch
            && !matches!(self.phase, Phase::Starting(_) | Phase::Fenced { .. } | Phase::Ended)
            && epoch.is_none_or(|entry| entry.modified != held.modified)
        {
            // Somebody else's, or gone: the start reads it and judges.
            return self.start_over("the epoch has moved");
        }
        let Ok(control) = decode_control(control) else { return };
        if control == self.control {
            return;
        }
        let accept_changed = control.accept != self.control.accept;
        self.control = control;
        match (self.control.desired, &self.phase) {
            (Desired::Promoted, Phase::Fenced { .. }) => {}
            (Desired::Promoted, _) => self.fence_promoted(),
            (Desired::Pause, Phase::Paused | Phase::Fenced { by_order: false } | Phase::Ended) => {}
            (Desired::Pause, _) => self.pause(),
            (Desired::Run, Phase::Paused | Phase::Fenced { by_order: true }) => self.restart(),
            (Desired::Run, Phase::Blocked(_)) if accept_changed => self.restart(),
            (Desired::Run, _) => {}
        }
    }

    fn restart(&mut self) {
        self.failures = 0;
        self.status.state = State::Starting;
        self.phase = Phase::Starting(Starting::Resting);
        self.start_over("");
    }
}
