//! From the engine's status to the JSON contract.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use etcd_mvcc::{DbSize, Key, Revision};
use mirror_audit::repair_report;
use mirror_engine::promotion::Promotion;
use mirror_engine::{DriftStatus, HeldBack, RefusedKey, State, Status};
use monitor_api::{
    BlockedReport, Checks, CopyReport, CountersReport, DbReport, DriftReport, HeldBackReport,
    Labelled, LastCheckReport, NamedKey, PromotionReport, StatusReport,
};

use crate::certificates::Expiries;

/// What a report says besides the engine's status.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    /// The mirror's name.
    pub(crate) mirror: String,
    /// The hash of the scope.
    pub(crate) scope_hash: String,
    /// The checks beside it, once there are any.
    pub(crate) checks: Arc<OnceLock<Checks>>,
    /// When its certificates expire.
    pub(crate) expiries: Expiries,
}

impl Reporter {
    /// Puts a status into the words of the contract.
    pub(crate) fn report(&self, status: &Status) -> StatusReport {
        let (primary_certificate_expiry, standby_certificate_expiry) = self.expiries.read();
        StatusReport {
            mirror: self.mirror.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state: status.state.as_str().to_owned(),
            reason: status.reason.clone(),
            blocked: status.blocked.as_ref().map(|blocked| BlockedReport {
                guard: blocked.guard.as_str().to_owned(),
                reason: blocked.reason.clone(),
                release: blocked.release.clone(),
                digest: blocked.digest.clone(),
                pending: blocked.pending,
                refused: blocked.refused.clone(),
            }),
            leader: leads(status.state),
            epoch: (status.epoch > 0).then_some(status.epoch),
            primary_cluster_id: status.primary_cluster.map(|id| id.to_string()),
            standby_cluster_id: status.standby_cluster.map(|id| id.to_string()),
            scope_hash: Some(self.scope_hash.clone()),
            // Whoever has applied a revision knows that the primary has come so far.
            primary_revision: known(status.primary_revision.max(status.checkpoint)),
            primary_compacted_revision: status.primary_compacted.map(Revision::get),
            checkpoint_revision: known(status.checkpoint),
            torn: status.torn,
            standby_revision: known(status.standby_revision),
            lag_revisions: known(status.checkpoint).map(|_| status.lag_revisions),
            lag_seconds: status.lag.map(seconds),
            primary_contact_age_seconds: status.primary_contact_age.map(seconds),
            standby_contact_age_seconds: status.standby_contact_age.map(seconds),
            primary_unanswered_seconds: status.primary_unanswered.map(seconds),
            standby_unanswered_seconds: status.standby_unanswered.map(seconds),
            primary_watch_behind_seconds: status.primary_watch_behind.map(seconds),
            standby_watch_behind_seconds: status.standby_watch_behind.map(seconds),
            primary_db: status.primary_db.map(db),
            standby_db: status.standby_db.map(db),
            primary_certificate_expiry,
            standby_certificate_expiry,
            observed_at: Some(now()),
            copy: copy(status),
            last_check: self.last_check(),
            promotion: status.promotion.as_ref().map(promotion),
            revision_gap: gap(status),
            drift: drift(&status.drift),
            held_back: held_back(status),
            parked: status.parked,
            last_repair: status.last_repair.as_ref().map(repair_report),
            counters: counters(status),
            ..StatusReport::default()
        }
        .judged()
    }

    fn last_check(&self) -> Option<LastCheckReport> {
        self.checks.get()?.last_summary()
    }
}

/// Returns the seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Whoever writes leads; whoever waits or is fenced does not; else it is not known.
fn leads(state: State) -> Option<bool> {
    match state {
        State::Copying | State::Following => Some(true),
        State::Waiting | State::Fenced => Some(false),
        State::Starting | State::Paused | State::Blocked => None,
    }
}

/// etcd counts from 1; the engine says 0 before it knows.
fn known(revision: impl Revision) -> Option<i64> {
    (revision.get() > 0).then(|| revision.get())
}

fn promotion(promotion: &Promotion) -> PromotionReport {
    let Promotion { by, at, epoch } = promotion.clone();
    PromotionReport { by, at, epoch }
}

/// How far the standby's revision is above the primary's.
fn gap(status: &Status) -> Option<i64> {
    Some(known(status.standby_revision)? - known(status.primary_revision.max(status.checkpoint))?)
}

fn db(db: DbSize) -> DbReport {
    DbReport { bytes: db.bytes, quota_bytes: db.quota_bytes }
}

fn drift(drift: &DriftStatus) -> DriftReport {
    let named = |refused: &RefusedKey| NamedKey {
        key: refused.key.to_string(),
        reason: format!("put back {} times; suspected: {}", refused.healed, refused.suspect),
    };
    DriftReport {
        healed: drift.healed,
        waiting: drift.waiting,
        refused: drift.refused,
        refused_keys: drift.refused_shown.iter().map(named).collect(),
    }
}

fn held_back(status: &Status) -> HeldBackReport {
    let named = |(key, why): &(Key, HeldBack)| NamedKey {
        key: key.to_string(),
        reason: why.as_str().to_owned(),
    };
    HeldBackReport {
        count: status.held_back,
        keys: status.held_back_shown.iter().map(named).collect(),
    }
}

/// To the millisecond: more is noise.
fn seconds(age: Duration) -> f64 {
    (age.as_secs_f64() * 1000.0).round() / 1000.0
}

fn copy(status: &Status) -> CopyReport {
    let copy = &status.copy;
    CopyReport {
        keys_total: (copy.keys_total > 0).then_some(copy.keys_total),
        keys_read: copy.keys_read,
        bytes_read: copy.bytes_read,
        keys_written: copy.keys_written,
        bytes_written: copy.bytes_written,
        keys_deleted: copy.keys_deleted,
    }
}

fn counters(status: &Status) -> CountersReport {
    let counters = &status.counters;
    let plain = |(class, count): (&&'static str, &u64)| Labelled {
        side: None,
        class: (*class).to_owned(),
        count: *count,
    };
    CountersReport {
        puts_received: counters.puts_received,
        deletes_received: counters.deletes_received,
        filtered: counters.filtered,
        puts_applied: counters.puts_applied,
        deletes_applied: counters.deletes_applied,
        txns: counters.txns,
        txn_seconds: seconds(counters.txn_time),
        fenced_txns: counters.fenced_txns,
        foreign_puts: counters.foreign_puts,
        foreign_deletes: counters.foreign_deletes,
        watch_restarts: counters.watch_restarts.iter().map(plain).collect(),
        watch_stalls: counters.watch_stalls.iter().map(plain).collect(),
        resyncs: counters.resyncs.iter().map(plain).collect(),
        errors: counters
            .errors
            .iter()
            .map(|((side, class), count)| Labelled {
                side: Some((*side).to_owned()),
                class: (*class).to_owned(),
                count: *count,
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use etcd_mvcc::PrimaryRevision;
    use mirror_engine::{Blocked, GuardKind};
    use monitor_api::{DOCUMENTED_GUARDS, DOCUMENTED_STATES, Verdict};

    use super::*;

    fn reporter() -> Reporter {
        Reporter {
            mirror: "default".into(),
            scope_hash: "5eed".into(),
            checks: Arc::default(),
            expiries: Expiries::default(),
        }
    }

    #[test]
    fn the_documented_states_and_guards_are_the_engines() {
        assert_eq!(State::ALL.map(State::as_str), DOCUMENTED_STATES);
        assert_eq!(GuardKind::ALL.map(GuardKind::as_str), DOCUMENTED_GUARDS);
    }

    #[test]
    fn every_state_leads_to_a_verdict() {
        for state in State::ALL {
            let report = reporter().report(&Status { state, ..Status::default() });
            assert_ne!(report.verdict, Verdict::Unknown, "{state}");
            assert!(!report.reason.is_empty(), "{state}");
        }
    }

    #[test]
    fn what_the_engine_does_not_know_yet_is_null() {
        let report = reporter().report(&Status::default());
        assert_eq!(report.checkpoint_revision, None);
        assert_eq!(report.lag_revisions, None);
        assert_eq!(report.lag_seconds, None);
        assert_eq!(report.epoch, None);
    }

    #[test]
    fn a_primary_has_come_at_least_as_far_as_the_checkpoint() {
        let checkpoint = PrimaryRevision::new(284);
        let primary_revision = PrimaryRevision::new(283);
        let status = Status { checkpoint, primary_revision, ..Status::default() };
        assert_eq!(reporter().report(&status).primary_revision, Some(284));
    }

    #[test]
    fn what_is_not_heard_of_is_not_ok() {
        let long = Some(Duration::from_secs(12));
        let status = Status { state: State::Following, ..Status::default() };
        assert_eq!(reporter().report(&status).verdict, Verdict::Ok);
        let silent = reporter().report(&Status { primary_unanswered: long, ..status.clone() });
        assert_eq!(silent.verdict, Verdict::Unknown);
        assert_eq!(silent.reason, "the primary has not answered for 12 s");
        let stalls = Status {
            primary_watch_behind: long,
            checkpoint: PrimaryRevision::new(5),
            lag_revisions: 20,
            ..status.clone()
        };
        let stalls = reporter().report(&stalls);
        assert_eq!(stalls.verdict, Verdict::Unknown);
        assert!(stalls.reason.contains("nothing for 12 s"), "{}", stalls.reason);
        assert!(stalls.reason.contains("20 revisions ahead"), "{}", stalls.reason);
        let short = Some(Duration::from_secs(2));
        let short = reporter().report(&Status { primary_unanswered: short, ..status });
        assert_eq!((short.verdict, short.primary_unanswered_seconds), (Verdict::Ok, Some(2.0)));
    }

    #[test]
    fn a_blocked_status_carries_its_release() {
        let release = "etcd-sync resync --accept 5eed".to_owned();
        let guard = GuardKind::TooManyDeletes;
        let blocked = Blocked {
            digest: Some("5eed".into()),
            ..Blocked::until_fixed(guard, "too many".into(), release)
        };
        let status = Status { state: State::Blocked, blocked: Some(blocked), ..Status::default() };
        let report = reporter().report(&status);
        assert_eq!(report.next_steps, ["etcd-sync resync --accept 5eed"]);
        let blocked = report.blocked.unwrap();
        assert_eq!(blocked.guard, "too_many_deletes");
        assert_eq!(blocked.digest.as_deref(), Some("5eed"));
    }
}
