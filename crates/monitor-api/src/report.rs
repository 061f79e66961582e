//! The status, as JSON: a contract that outlives versions of the software.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::{CheckReport, RepairReport};

/// Every state that a mirror may be in, in the order of the documentation.
pub const DOCUMENTED_STATES: [&str; 7] =
    ["starting", "waiting", "copying", "following", "paused", "blocked", "fenced"];

/// Every guard that may block a mirror.
pub const DOCUMENTED_GUARDS: [&str; 14] = [
    "same_cluster",
    "cluster_changed",
    "standby_changed",
    "not_etcd",
    "history_changed",
    "history_unproven",
    "too_many_deletes",
    "scope_changed",
    "standby_alarm",
    "denied",
    "too_large",
    "checkpoint_unreadable",
    "preflight",
    "encryption_key",
];

/// A peer that is silent for longer than this makes a verdict unknown.
pub(crate) const SILENCE_SECONDS_MAX: f64 = 5.0;

/// What the reader of a status should conclude from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The mirror does what it should: it follows, or it stands by for the instance that does.
    Ok,
    /// Not there yet, and getting there without help.
    InProgress,
    /// It stands still until somebody acts; the next steps say how.
    ActionNeeded,
    /// Nobody knows. Never to be read as good news.
    #[default]
    #[serde(other)]
    Unknown,
}

impl Verdict {
    /// The word for it in JSON and on the terminal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::InProgress => "in-progress",
            Self::ActionNeeded => "action-needed",
            Self::Unknown => "unknown",
        }
    }
}

/// What a mirror says of itself. Unknown values are `null`, never zero.
///
/// Readers must ignore fields that they don't know; a field that is missing reads as unknown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatusReport {
    /// What to conclude.
    pub verdict: Verdict,
    /// Why, on one line.
    pub reason: String,
    /// What to do about it, most urgent first; commands where there is one.
    pub next_steps: Vec<String>,
    /// The mirror's name.
    pub mirror: String,
    /// The version of the software that wrote this.
    pub version: String,
    /// One of [`DOCUMENTED_STATES`].
    pub state: String,
    /// The guard that stopped it, while one does.
    pub blocked: Option<BlockedReport>,
    /// This instance leads; `null` where that is not known.
    pub leader: Option<bool>,
    /// The fence number that it writes under.
    pub epoch: Option<u64>,
    /// The primary's cluster id, in hexadecimal as `etcdctl endpoint status` prints it.
    pub primary_cluster_id: Option<String>,
    /// The standby's cluster id, likewise.
    pub standby_cluster_id: Option<String>,
    /// The hash of the scope that is mirrored.
    pub scope_hash: Option<String>,
    /// The primary's newest revision, as of its last answer.
    pub primary_revision: Option<i64>,
    /// The revision up to which the primary has forgotten its history.
    pub primary_compacted_revision: Option<i64>,
    /// The primary revision up to which the standby equals the primary.
    pub checkpoint_revision: Option<i64>,
    /// The checkpoint lies inside a wide revision or a copy: the standby is not whole.
    pub torn: bool,
    /// The standby's newest revision that the mirror knows of.
    pub standby_revision: Option<i64>,
    /// `primary_revision` less `checkpoint_revision`.
    pub lag_revisions: Option<u64>,
    /// Seconds since the standby was last known to hold everything the primary had.
    pub lag_seconds: Option<f64>,
    /// Seconds since the primary last answered.
    pub primary_contact_age_seconds: Option<f64>,
    /// Seconds since the standby last answered.
    pub standby_contact_age_seconds: Option<f64>,
    /// Seconds that the primary has not answered: since the first request in a row that failed was
    /// sent. `null` if the last one was answered.
    pub primary_unanswered_seconds: Option<f64>,
    /// Likewise, of the standby.
    pub standby_unanswered_seconds: Option<f64>,
    /// Seconds that the primary's watch has brought nothing although the primary is ahead of it.
    /// `null` if it has brought everything.
    pub primary_watch_behind_seconds: Option<f64>,
    /// Likewise, of the standby's watch.
    pub standby_watch_behind_seconds: Option<f64>,
    /// How large the primary's database is; `null` where it does not say.
    pub primary_db: Option<DbReport>,
    /// Likewise, of the standby.
    pub standby_db: Option<DbReport>,
    /// When the client certificate for the primary expires: seconds since 1970; `null` without one.
    pub primary_certificate_expiry: Option<i64>,
    /// Likewise, for the standby.
    pub standby_certificate_expiry: Option<i64>,
    /// The moment that the ages and the lag count up to: seconds since 1970, by the clock of the
    /// mirror's machine. For people: it is never compared with another clock.
    pub observed_at: Option<u64>,
    /// For a status that was stored: seconds since then, at most, judged by what etcd keeps. It is
    /// part of the ages and of the lag. `null` where that is not known, and in a mirror's own words.
    pub age_seconds_max: Option<f64>,
    /// The copy that is running, or the last one.
    pub copy: CopyReport,
    /// What the last check said; `null` before there was one.
    pub last_check: Option<LastCheckReport>,
    /// What became of the last order to repair; `null` if there never was one.
    pub last_repair: Option<RepairReport>,
    /// Who has promoted the standby, while it is; `null` while it is not.
    pub promotion: Option<PromotionReport>,
    /// The standby's revision less the primary's. Below zero, and for some way above, a client
    /// that comes from the primary with its resource version misses changes on the standby.
    pub revision_gap: Option<i64>,
    /// What others did to the mirror's keys on the standby.
    pub drift: DriftReport,
    /// Keys in scope that are kept off the standby.
    pub held_back: HeldBackReport,
    /// Keys that are parked until the standby is promoted.
    pub parked: u64,
    /// Counts since the process started.
    pub counters: CountersReport,
}

/// How large a member's database is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DbReport {
    /// The size of the file, in bytes.
    pub bytes: u64,
    /// The size at which the member takes no more writes; `null` before etcd 3.6, which does not
    /// say.
    pub quota_bytes: Option<u64>,
}

/// A promotion: from then on no mirror writes to the standby.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PromotionReport {
    /// Who gave the order.
    pub by: String,
    /// When: seconds since 1970, by the clock of whoever gave it.
    pub at: u64,
    /// The epoch that fences every mirror.
    pub epoch: u64,
}

/// What others did to the mirror's keys on the standby, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DriftReport {
    /// Keys that were put back since the process started.
    pub healed: u64,
    /// Keys that wait to be put back.
    pub waiting: u64,
    /// Keys that the standby refuses: they were put back as often as `heal.limit` allows.
    pub refused: u64,
    /// Some of them, at most twenty.
    pub refused_keys: Vec<NamedKey>,
}

/// Keys in scope that are kept off the standby.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeldBackReport {
    /// How many.
    pub count: u64,
    /// Some of them, at most twenty.
    pub keys: Vec<NamedKey>,
}

/// A key, and what there is to say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamedKey {
    /// The key as the standby spells it, printable.
    pub key: String,
    /// Why it is named, on one line.
    pub reason: String,
}

/// What the last check said, without the keys: those are at `/api/v1/checks`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LastCheckReport {
    /// `in-sync`, `drift` or `inconclusive`.
    pub verdict: String,
    /// Why, on one line.
    pub reason: String,
    /// When it began: seconds since 1970, by the clock of the mirror's machine.
    pub started_at: Option<u64>,
    /// Seconds since it began.
    pub age_seconds: Option<f64>,
    /// The primary revision as of which it proved the standby equal; `null` if it did not.
    pub verified_revision: Option<i64>,
    /// Keys that the standby lacked.
    pub missed: u64,
    /// Keys that the primary lacked.
    pub surplus: u64,
    /// Keys with different values.
    pub different: u64,
}

impl From<&CheckReport> for LastCheckReport {
    fn from(report: &CheckReport) -> Self {
        let found = report.found();
        Self {
            verdict: report.verdict().as_str().to_owned(),
            reason: report.reason().to_owned(),
            started_at: found.started_at,
            age_seconds: None,
            verified_revision: report.verified_revision(),
            missed: found.missed,
            surplus: found.surplus,
            different: found.different,
        }
    }
}

/// The guard that stopped a mirror.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlockedReport {
    /// One of [`DOCUMENTED_GUARDS`].
    pub guard: String,
    /// What was found.
    pub reason: String,
    /// The command that releases it, or what must be fixed first.
    pub release: String,
    /// The digest of the plan that `etcd-sync resync --accept` may accept; `null` while it is being
    /// worked out, and where no order releases the guard.
    pub digest: Option<String>,
    /// That plan is being worked out.
    pub pending: bool,
    /// The digest of an order that was compared with the plan and is not the same.
    pub refused: Option<String>,
}

/// How far a copy has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CopyReport {
    /// Keys in scope on the primary; `null` until counted.
    pub keys_total: Option<u64>,
    /// Keys of the primary that were compared.
    pub keys_read: u64,
    /// Their size with values.
    pub bytes_read: u64,
    /// Keys that were written.
    pub keys_written: u64,
    /// Their size with values.
    pub bytes_written: u64,
    /// Keys that were deleted.
    pub keys_deleted: u64,
}

/// A count under a label or two.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Labelled {
    /// `primary` or `standby`, where the count is of one side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub side: Option<String>,
    /// The reason or class that is counted.
    pub class: String,
    /// How often.
    pub count: u64,
}

/// Counts since the process started; each only grows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CountersReport {
    /// Puts in scope that the watch delivered.
    pub puts_received: u64,
    /// Deletions in scope that the watch delivered.
    pub deletes_received: u64,
    /// Changes out of scope that the watch delivered.
    pub filtered: u64,
    /// Puts that were committed.
    pub puts_applied: u64,
    /// Deletions that were committed.
    pub deletes_applied: u64,
    /// Transactions that were committed.
    pub txns: u64,
    /// Seconds spent waiting for them.
    pub txn_seconds: f64,
    /// Transactions whose guard did not hold.
    pub fenced_txns: u64,
    /// Puts by others to keys in scope on the standby.
    pub foreign_puts: u64,
    /// Deletions by others of keys in scope on the standby.
    pub foreign_deletes: u64,
    /// How often the watch was opened again, by reason.
    pub watch_restarts: Vec<Labelled>,
    /// How often a watch stood still behind a head that moved, by side.
    pub watch_stalls: Vec<Labelled>,
    /// How often a comparison had to close a gap, by reason.
    pub resyncs: Vec<Labelled>,
    /// Failed requests, by side and class.
    pub errors: Vec<Labelled>,
}

impl StatusReport {
    /// Returns the report with verdict, reason and next steps drawn from the state.
    ///
    /// A reason that is already there is kept.
    #[must_use]
    pub fn judged(mut self) -> Self {
        let (verdict, reason, step) = match self.state.as_str() {
            "following" => (Verdict::Ok, "the standby follows the primary", None),
            "waiting" => (Verdict::Ok, "another instance leads; this one stands by", None),
            "starting" => (
                Verdict::InProgress,
                "connecting to both clusters and reading the checkpoint",
                Some("if this lasts, look at the log: it names the endpoint and the cause"),
            ),
            "copying" => (
                Verdict::InProgress,
                "comparing and copying; the standby is not whole before this ends",
                Some("wait until the state is `following` before you rely on the standby"),
            ),
            "paused" => (Verdict::ActionNeeded, "told to stand still", Some("etcd-sync resume")),
            "blocked" => (
                Verdict::ActionNeeded,
                "a guard stopped the mirror; nothing was deleted or overwritten",
                None,
            ),
            "fenced" => (
                Verdict::ActionNeeded,
                "a newer epoch took over; this instance never writes again",
                Some(
                    "make sure that the instance which took over is the one you want, and end this one",
                ),
            ),
            _ => (Verdict::Unknown, "the mirror has not said how it is", None),
        };
        self.verdict = verdict;
        self.next_steps = step.map(str::to_owned).into_iter().collect();
        if let Some(blocked) = self.blocked.as_ref().filter(|_| self.state == "blocked") {
            self.next_steps.push(blocked.release.clone());
            if self.reason.is_empty() {
                self.reason.clone_from(&blocked.reason);
            }
        }
        if self.state == "following"
            && let Some(silence) = self.silence()
        {
            self.verdict = Verdict::Unknown;
            self.reason = silence;
            let step = "look at the log: it names the endpoint and the cause".to_owned();
            self.next_steps.push(step);
        }
        if self.reason.is_empty() {
            reason.clone_into(&mut self.reason);
        }
        self
    }

    /// Why it is not known, at this moment, how far the standby is behind; `None` if it is.
    #[must_use]
    pub fn silence(&self) -> Option<String> {
        let long = |seconds: Option<f64>| seconds.filter(|seconds| *seconds > SILENCE_SECONDS_MAX);
        if let Some(seconds) = long(self.primary_unanswered_seconds) {
            return Some(format!("the primary has not answered for {seconds:.0} s"));
        }
        if let Some(seconds) = long(self.primary_watch_behind_seconds) {
            let ahead = match self.lag_revisions {
                Some(1) => "1 revision ahead".to_owned(),
                Some(revisions) if revisions > 0 => format!("{revisions} revisions ahead"),
                _ => "ahead".to_owned(),
            };
            return Some(format!(
                "the primary's watch has brought nothing for {seconds:.0} s although the primary is \
                 {ahead}"
            ));
        }
        if let Some(seconds) = long(self.standby_unanswered_seconds) {
            return Some(format!("the standby has not answered for {seconds:.0} s"));
        }
        long(self.standby_watch_behind_seconds).map(|seconds| {
            format!(
                "the standby's watch has brought nothing for {seconds:.0} s although the standby is \
                 ahead: writes of others are not seen"
            )
        })
    }

    /// Returns the report as it reads when `elapsed` has passed without further news.
    ///
    /// Ages and lag grow: what was not heard of since was not known to be whole since.
    #[must_use]
    pub fn aged(mut self, elapsed: Duration) -> Self {
        let check = self.last_check.as_mut();
        for age in [
            Some(&mut self.lag_seconds),
            Some(&mut self.primary_contact_age_seconds),
            Some(&mut self.standby_contact_age_seconds),
            check.map(|check| &mut check.age_seconds),
        ]
        .into_iter()
        .flatten()
        {
            *age = age.map(|seconds| round_to_ms(seconds + elapsed.as_secs_f64()));
        }
        self.observed_at = self.observed_at.and_then(|at| at.checked_add(elapsed.as_secs()));
        self
    }

    /// Returns the report with the checkpoint of a later moment. The primary has come at least as
    /// far, whatever was last heard of it.
    #[must_use]
    pub fn with_checkpoint(mut self, revision: i64) -> Self {
        self.checkpoint_revision = Some(revision);
        self.primary_revision = self.primary_revision.map(|primary| primary.max(revision));
        let ahead = self.primary_revision.map(|primary| primary.saturating_sub(revision));
        self.lag_revisions = ahead.and_then(|ahead| u64::try_from(ahead).ok());
        self
    }

    /// Returns the report of a mirror that was stored not longer than `age` ago.
    #[must_use]
    pub fn stored_within(self, age: Duration) -> Self {
        Self { age_seconds_max: Some(round_to_ms(age.as_secs_f64())), ..self.aged(age) }
    }

    /// Returns the report of a mirror that was stored at an unknown time: what counts up to now is
    /// unknown, and so is the verdict, for this reason.
    #[must_use]
    pub fn stored_once(mut self, reason: String) -> Self {
        self.lag_seconds = None;
        self.primary_contact_age_seconds = None;
        self.standby_contact_age_seconds = None;
        if let Some(check) = &mut self.last_check {
            check.age_seconds = None;
        }
        self.age_seconds_max = None;
        self.verdict = Verdict::Unknown;
        self.reason = reason;
        self
    }

    /// Returns how far compaction on the primary is from overtaking the mirror, in revisions;
    /// negative once it has.
    #[must_use]
    pub fn compaction_headroom(&self) -> Option<i64> {
        Some(self.checkpoint_revision? - self.primary_compacted_revision?)
    }
}

fn round_to_ms(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// A report and the moment at which it was true.
#[derive(Clone, Debug)]
pub struct Snapshot {
    report: StatusReport,
    taken: Instant,
}

impl Snapshot {
    /// Notes that `report` was true at `taken`.
    #[must_use]
    pub fn new(report: StatusReport, taken: Instant) -> Self {
        Self { report, taken }
    }

    /// Returns the report as it reads at `now`.
    #[must_use]
    pub fn at(&self, now: Instant) -> StatusReport {
        self.report.clone().aged(now.saturating_duration_since(self.taken))
    }
}
