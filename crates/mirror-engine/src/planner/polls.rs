//! What is asked for about once a second, whatever the planner does: how far both sides are, and what
//! the operator wants. An answer is as old as its question.

use std::time::Duration;

use etcd_mvcc::{Failure, Head, KeyRange, Position, PrimaryRevision, Revision, StandbyRevision};

use super::start::{Starting, raft_seen};
use super::{Effect, OrdersRead, Peer, Phase, Planner, decode_control};
use crate::control::Desired;
use crate::history::log_went_back;
use crate::status::State;

/// The standby's own records move at least this often while the status is stored: a watch over them
/// that brings nothing for longer is dead.
const STATUS_MOVES: Duration = Duration::from_secs(12);

impl Planner {
    pub(super) fn on_primary_head(
        &mut self,
        asked_at: Duration,
        head: Result<Head<PrimaryRevision>, Failure>,
    ) {
        let head = match head {
            Ok(head) => head,
            Err(failure) => {
                self.primary_unanswered.get_or_insert(asked_at);
                self.trouble = Some(failure.message.clone());
                return self.count_error(Peer::Primary, &failure);
            }
        };
        self.primary_unanswered = None;
        self.status.primary_revision = head.revision;
        self.lag.polled(asked_at, head.revision);
        let wants_changes = self.wants_changes();
        if let Phase::Following(following) = &mut self.phase {
            following.meter.polled(asked_at, wants_changes && head.revision > following.seen());
        }
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
            self.start_over("the primary's revision went back, or its cluster id changed");
        } else if behind && !wants_changes {
            self.resync = Some("behind");
            self.start_over("too far behind to catch up by watching");
        } else if let Some(level) = self.level() {
            self.lag.reached(level);
        }
    }

    /// The log goes on, or the history is another one, whatever the connections look like.
    pub(super) fn on_primary_position(&mut self, position: &Position<PrimaryRevision>) {
        self.status.primary_db = position.db.or(self.status.primary_db);
        let works = matches!(self.phase, Phase::Copying(_) | Phase::Following(_));
        let (Some(raft), true) = (&position.raft, works) else { return };
        if let Some(seen) = &self.raft
            && let Some(evidence) = log_went_back(seen, position.head.revision, raft)
        {
            return self.start_over(&evidence);
        }
        self.raft = raft_seen(position).or(self.raft);
    }

    pub(super) fn on_standby_position(&mut self, position: &Position<StandbyRevision>) {
        self.status.standby_db = position.db.or(self.status.standby_db);
    }

    /// A watch that brings nothing is opened again, on another member.
    pub(super) fn on_tick(&mut self) {
        let now = self.now;
        let wants_changes = self.wants_changes();
        let watch_all = self.watch_all;
        let Phase::Following(following) = &mut self.phase else { return };
        if !wants_changes {
            following.meter.paused(now);
        } else if watch_all && following.meter.gives_up(now) {
            let from = following.seen().max(PrimaryRevision::new(1));
            self.count_stall(Peer::Primary);
            self.effects.push_back(Effect::Rewatch { range: KeyRange::all(), from });
        }
        if self.standby_meter.gives_up(now) {
            let (range, from) = self.standby_watch();
            self.count_stall(Peer::Standby);
            self.effects.push_back(Effect::RewatchStandby { range, from });
        }
    }

    fn count_stall(&mut self, peer: Peer) {
        let counters = &mut self.status.counters;
        *counters.watch_stalls.entry(peer.as_str()).or_default() += 1;
        if peer == Peer::Primary {
            *counters.watch_restarts.entry("stalled").or_default() += 1;
        }
    }

    /// The standby's watch is behind if it has not shown our own last transaction, or nothing at
    /// all for longer than our own records stay as they are.
    fn poll_standby_watch(&mut self, asked_at: Duration, head: StandbyRevision) {
        let shown = self.ledger.next_revision().previous();
        let ours = self.checkpoint_written_at().is_some_and(|written| written > shown);
        let stored = self.settings.encode_status.is_some()
            && head > shown
            && asked_at.saturating_sub(self.standby_heard) >= STATUS_MOVES;
        self.standby_meter.polled(asked_at, ours || stored);
    }

    pub(super) fn on_orders(&mut self, asked_at: Duration, answer: Result<OrdersRead, Failure>) {
        let OrdersRead { head, epoch, control } = match answer {
            Ok(read) => read,
            Err(failure) => {
                self.standby_unanswered.get_or_insert(asked_at);
                self.trouble = Some(failure.message.clone());
                return self.count_error(Peer::Standby, &failure);
            }
        };
        self.standby_unanswered = None;
        self.poll_standby_watch(asked_at, head.revision);
        if let Some(held) = self.epoch
            && asked_at >= held.since
            && !matches!(self.phase, Phase::Starting(_) | Phase::Fenced { .. } | Phase::Ended)
            && epoch.is_none_or(|entry| entry.modified != held.modified)
        {
            // Somebody else's, or gone: the start reads it and judges.
            return self.start_over("the epoch has moved");
        }
        if asked_at < self.orders_read {
            return;
        }
        self.orders_read = asked_at;
        let Ok(control) = decode_control(control.as_ref()) else { return };
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
