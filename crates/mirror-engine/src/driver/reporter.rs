//! What the mirror says of itself: the published status, the stored one, and the log.

use std::time::Duration;

use etcd_mvcc::{Key, Op, Txn, Value};
use tokio::sync::watch;

use crate::freshness::STORE_EVERY;
use crate::own_keys::OwnKeys;
use crate::planner::Input;
use crate::settings::{EncodeStatus, Settings};
use crate::status::{State, Status};

/// The status is published at least this often, and at once when the state changes.
const PUBLISH_EVERY: Duration = Duration::from_millis(100);

/// The same trouble is logged again after this time.
const REPEAT_AFTER: Duration = Duration::from_secs(30);

pub(super) struct Reporter {
    sender: watch::Sender<Status>,
    encode: Option<EncodeStatus>,
    detail_logs: bool,
    published_at: Option<Duration>,
    stored_at: Option<Duration>,
    logged: (String, Duration),
    state: Option<State>,
    blocked: Option<String>,
    /// The last repair, by order and outcome.
    repair: Option<(u64, &'static str)>,
    primary_contact: Option<Duration>,
    standby_contact: Option<Duration>,
    txn_time: Duration,
    /// How many keys are parked.
    parked: u64,
    /// The keys of the transaction that is on its way, where they are logged.
    details: Vec<(&'static str, Key)>,
}

impl Reporter {
    pub(super) fn new(settings: &Settings) -> (Self, watch::Receiver<Status>) {
        let (sender, receiver) = watch::channel(Status::default());
        let reporter = Self {
            sender,
            encode: settings.encode_status.clone(),
            detail_logs: settings.detail_logs,
            published_at: None,
            stored_at: None,
            logged: (String::new(), Duration::ZERO),
            state: None,
            blocked: None,
            repair: None,
            primary_contact: None,
            standby_contact: None,
            txn_time: Duration::ZERO,
            parked: 0,
            details: Vec::new(),
        };
        (reporter, receiver)
    }

    /// Notes who has answered.
    pub(super) fn note_contact(&mut self, input: &Input, now: Duration) {
        match input {
            Input::Standing(_) | Input::Preflighted(Ok(_)) => {
                self.primary_contact = Some(now);
                self.standby_contact = Some(now);
            }
            Input::Witnesses(Ok(_))
            | Input::PrimaryPage(Ok(_))
            | Input::Fetched(Ok(_))
            | Input::Changed(_)
            | Input::PrimaryPosition(_)
            | Input::PrimaryHead { head: Ok(_), .. } => self.primary_contact = Some(now),
            Input::LedgerPage(Ok(_))
            | Input::StandbyPage(Ok(_))
            | Input::StandbyChanged(_)
            | Input::Committed(_)
            | Input::Refused
            | Input::StandbyPosition(_)
            | Input::Orders { answer: Ok(_), .. } => self.standby_contact = Some(now),
            Input::StandingFailed(..)
            | Input::Preflighted(Err(_))
            | Input::Witnesses(Err(_))
            | Input::LedgerPage(Err(_))
            | Input::PrimaryPage(Err(_))
            | Input::StandbyPage(Err(_))
            | Input::Fetched(Err(_))
            | Input::WatchEnded(_)
            | Input::StandbyWatchEnded(_)
            | Input::CommitFailed(_)
            | Input::PrimaryHead { head: Err(_), .. }
            | Input::Orders { answer: Err(_), .. }
            | Input::Waited
            | Input::Tick => {}
        }
    }

    /// Notes how many keys are parked.
    pub(super) fn note_parked(&mut self, keys: u64) {
        self.parked = keys;
    }

    pub(super) fn committing(&mut self, txn: &Txn) {
        if self.detail_logs {
            self.details = txn
                .writes
                .iter()
                .map(|write| match &write.op {
                    Op::Put { key, .. } => ("put", key.clone()),
                    Op::Delete { key } => ("delete", key.clone()),
                })
                .collect();
        }
    }

    pub(super) fn committed(&mut self, input: &Input, took: Duration) {
        self.txn_time += took;
        let details = std::mem::take(&mut self.details);
        if let Input::Committed(committed) = input {
            for (op, key) in details {
                tracing::info!(%op, %key, standby_revision = %committed.revision, "applied");
            }
        }
    }

    /// Publishes and logs the status, if it is time to; returns it if it was.
    pub(super) fn report(
        &mut self,
        state: State,
        status: impl FnOnce() -> Status,
        now: Duration,
    ) -> Option<Status> {
        let due = self.published_at.is_none_or(|at| now.saturating_sub(at) >= PUBLISH_EVERY);
        if !due && self.state == Some(state) {
            return None;
        }
        let mut status = status();
        status.counters.txn_time = self.txn_time;
        status.parked = self.parked;
        status.primary_contact_age = self.primary_contact.map(|at| now.saturating_sub(at));
        status.standby_contact_age = self.standby_contact.map(|at| now.saturating_sub(at));
        self.log(&status, now);
        if self.state != Some(status.state) {
            self.state = Some(status.state);
            self.stored_at = None;
        }
        self.published_at = Some(now);
        self.sender.send_replace(status.clone());
        Some(status)
    }

    fn log(&mut self, status: &Status, now: Duration) {
        let changed = self.state != Some(status.state);
        if changed && status.state == State::Following {
            tracing::info!(
                checkpoint = %status.checkpoint,
                epoch = status.epoch,
                "Start Sync update"
            );
        } else if changed && status.state != State::Blocked {
            tracing::info!(state = %status.state, reason = %status.reason, "state");
        }
        let blocked =
            status.blocked.as_ref().map(|b| format!("{}; release: {}", b.reason, b.release));
        if blocked != self.blocked {
            // Whoever asks must find the release as soon as it is known.
            self.stored_at = None;
            if let Some(blocked) = &blocked {
                tracing::error!("blocked: {blocked}");
            }
            self.blocked = blocked;
        }
        self.log_repair(status);
        // A mirror that follows gives a reason only if it has not heard of a side for too long.
        let speaks = matches!(status.state, State::Starting | State::Following);
        let trouble = speaks && !status.reason.is_empty();
        let said = status.reason.split(" for ").next().unwrap_or_default();
        let repeated = self.logged.0 == said && now.saturating_sub(self.logged.1) < REPEAT_AFTER;
        if trouble && !repeated {
            tracing::warn!("{}", status.reason);
            self.logged = (said.to_owned(), now);
        }
    }

    fn log_repair(&mut self, status: &Status) {
        let Some(record) = &status.last_repair else { return };
        let repair = Some((record.order, record.outcome.as_str()));
        if repair == self.repair {
            return;
        }
        // Whoever has given the order waits for its outcome.
        self.stored_at = None;
        self.repair = repair;
        tracing::info!(
            order = record.order,
            digest = %record.digest,
            outcome = record.outcome.as_str(),
            reason = %record.reason,
            keys = record.written.total(),
            skipped = record.skipped,
            "repair"
        );
    }

    /// The write that stores the status, if it is time to.
    pub(super) fn stored(&mut self, own: &OwnKeys, status: &Status, now: Duration) -> Option<Op> {
        let encode = self.encode.as_ref()?;
        if self.stored_at.is_some_and(|at| now.saturating_sub(at) < STORE_EVERY) {
            return None;
        }
        self.stored_at = Some(now);
        Some(Op::Put { key: own.status.clone(), value: Value::new(encode(status)) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::status::{Blocked, GuardKind};

    /// What is stored of a blocked mirror at `now`, if anything is.
    fn stored(reporter: &mut Reporter, release: &str, now: Duration) -> Option<Op> {
        let blocked = Some(Blocked::until_fixed(
            GuardKind::TooManyDeletes,
            "too many".to_owned(),
            release.to_owned(),
        ));
        let status = Status { state: State::Blocked, blocked, ..Status::default() };
        let status = reporter.report(State::Blocked, || status, now)?;
        reporter.stored(&OwnKeys::new("m"), &status, now)
    }

    #[test]
    fn a_release_is_stored_as_soon_as_it_is_known() {
        let encode: EncodeStatus = Arc::new(|_| Bytes::new());
        let settings = Settings { encode_status: Some(encode), ..Settings::default() };
        let (mut reporter, _receiver) = Reporter::new(&settings);
        let at = |tenths: u32| PUBLISH_EVERY * tenths;
        assert!(stored(&mut reporter, "working it out", at(0)).is_some());
        assert!(stored(&mut reporter, "working it out", at(1)).is_none());
        assert!(stored(&mut reporter, "etcd-sync resync --accept 5eed", at(2)).is_some());
        assert!(stored(&mut reporter, "etcd-sync resync --accept 5eed", at(3)).is_none());
    }
}
