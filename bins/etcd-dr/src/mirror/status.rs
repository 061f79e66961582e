//! What the mirror says of itself, and what a change of roles at this moment would lose.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dr_plan::plan::Side;
use dr_plan::samples::Sample;
use dr_plan::{Answer, Timestamp, Verdict};
use etcd_mvcc::{ReadHead as _, ReadRange as _, Revision as _};
use mirror_audit::stored_status;
use mirror_engine::orders::read_state;
use mirror_engine::{Checkpoint, OwnKeys};
use monitor_api::StatusReport;

use super::Etcds;
use super::monitor;
use super::words::{either, fails, holds, pending, unknown};

/// A status is answered from memory.
const STATUS_LIMIT: Duration = Duration::from_secs(10);

impl Etcds {
    /// Reads what the mirror says of itself: at its monitor, or, where that can't be reached or an
    /// instance answers that only waits, as the leader left it on the standby.
    pub(super) async fn status(&self) -> Result<StatusReport, Answer> {
        let url = &self.topology.mirror.monitor;
        if !url.is_empty()
            && let Ok((200, body)) = monitor::get(url, "/api/v1/status", STATUS_LIMIT).await
            && let Ok(report) = serde_json::from_str::<StatusReport>(&body)
            && report.state != "waiting"
        {
            return Ok(report);
        }
        let report = self.last_word().await?;
        if report.age_seconds_max.is_none() {
            return Err(unknown(report.reason));
        }
        Ok(report)
    }

    /// Reads the mirror's last word, however old it is. How old, it says itself, where that is
    /// known; else its ages and its lag are unknown.
    async fn last_word(&self) -> Result<StatusReport, Answer> {
        let mut observer = self.observer.lock().await;
        let look = observer.look(&self.standby, self.name()).await;
        let look = look.map_err(|error| unknown(error.to_string()))?;
        stored_status(&look).ok_or_else(|| unknown("no mirror has said how it is"))
    }

    /// Reads the checkpoint.
    pub(super) async fn checkpoint(&self) -> Result<Checkpoint, Answer> {
        match read_state(&self.standby, self.name()).await {
            Ok(stored) => stored.checkpoint.ok_or_else(|| unknown("there is no checkpoint")),
            Err(error) => Err(unknown(error.to_string())),
        }
    }

    /// The newest revision that the mirror ever saw of the primary.
    pub(super) async fn last_seen(&self) -> Option<i64> {
        self.last_word().await.ok()?.primary_revision
    }

    pub(super) async fn in_state(&self, wanted: &str) -> Answer {
        let report = match self.status().await {
            Ok(report) => report,
            Err(answer) => return answer,
        };
        let evidence = format!("it is {}: {}", report.state, report.reason);
        match report.state.as_str() {
            state if state == wanted => holds(evidence),
            "starting" | "copying" if wanted == "following" => pending(evidence),
            _ => fails(evidence),
        }
    }

    pub(super) async fn lag_at_most(&self, seconds: u64) -> Answer {
        let report = match self.status().await {
            Ok(report) => report,
            Err(answer) => return answer,
        };
        match report.lag_seconds {
            Some(lag) => {
                either(lag <= Duration::from_secs(seconds).as_secs_f64(), behind(&report, lag))
            }
            // A mirror of an idle primary may not have had a reason to say so; it can be seen.
            None => {
                let Answer { verdict, evidence } = self.drained().await;
                let verdict = if verdict == Verdict::Holds { verdict } else { Verdict::Unknown };
                Answer::new(verdict, format!("the mirror has not told its lag; {evidence}"))
            }
        }
    }

    pub(super) async fn no_guard(&self) -> Answer {
        match self.status().await {
            Ok(StatusReport { blocked: Some(blocked), .. }) => {
                fails(format!("{}: {}; {}", blocked.guard, blocked.reason, blocked.release))
            }
            Ok(report) if report.state == "blocked" => fails(report.reason),
            Ok(report) => holds(format!("it is {}", report.state)),
            Err(answer) => answer,
        }
    }

    /// Whether one instance holds the leader's key, and writes under the epoch that is stored.
    pub(super) async fn one_leader(&self) -> Answer {
        let untold = |error: &dyn std::fmt::Display| unknown(error.to_string());
        let own = OwnKeys::new(self.name());
        let leader = match self.standby.read_keys(&[own.leader], None).await {
            Ok(entries) => entries.into_iter().flatten().next(),
            Err(failure) => return untold(&failure),
        };
        let stored = match read_state(&self.standby, self.name()).await {
            Ok(stored) => stored,
            Err(error) => return untold(&error),
        };
        let Some(epoch) = stored.epoch else { return fails("nobody has an epoch") };
        let number = epoch.number;
        if leader.is_none() {
            return fails(format!("nobody holds the leader's key; epoch {number}"));
        }
        let report = match self.status().await {
            Ok(report) => report,
            Err(answer) => return answer,
        };
        match report.epoch {
            Some(own) if own == number => holds(format!("{} leads, epoch {number}", epoch.owner)),
            own => {
                let own = own.map_or_else(|| "none".to_owned(), |own| own.to_string());
                fails(format!("epoch {number} is stored, the mirror writes under {own}"))
            }
        }
    }

    /// Says what a failover at this moment loses.
    pub(super) async fn loss_known(&self) -> Answer {
        match self.loss().await {
            Ok((told, _)) => holds(told),
            Err(answer) => answer,
        }
    }

    /// Whether what a failover loses is within the objective. Of a primary that can't be seen it
    /// is not known what it wrote meanwhile, so time counts until now.
    pub(super) async fn loss_within(&self, seconds: u64) -> Answer {
        match self.loss().await {
            Ok((told, Some(lag))) => {
                either(lag <= Duration::from_secs(seconds).as_secs_f64(), told)
            }
            Ok((told, None)) => unknown(told),
            Err(answer) => answer,
        }
    }

    /// What the standby lacks, in words, and for how long it has not been known to be whole.
    async fn loss(&self) -> Result<(String, Option<f64>), Answer> {
        let checkpoint = self.checkpoint().await?.revision.get();
        let report = match self.status().await {
            Ok(report) => report,
            Err(_) => self.last_word().await?,
        };
        let lag = report.lag_seconds;
        let seconds = lag.map_or("an unknown time".to_owned(), |lag| format!("{lag:.0} s"));
        if let Ok(head) = self.primary.head().await {
            let lacking = head.revision.get().saturating_sub(checkpoint).max(0);
            return Ok((
                format!(
                    "checkpoint {checkpoint}, primary {}: {lacking} revisions, of which some may \
                     be out of scope; whole {seconds} ago",
                    head.revision
                ),
                lag,
            ));
        }
        let seen = report.primary_revision.unwrap_or(checkpoint);
        let lacking = seen.saturating_sub(checkpoint).max(0);
        let contact = report.primary_contact_age_seconds;
        let contact = contact.map_or("an unknown time".to_owned(), |age| format!("{age:.0} s"));
        Ok((
            format!(
                "checkpoint {checkpoint}, {} last seen at {seen}, {contact} ago: {lacking} \
                 revisions at least; whole {seconds} ago",
                self.cluster(Side::Primary).name
            ),
            lag,
        ))
    }

    /// Looks once at how far the standby is behind.
    pub(crate) async fn sample(&self, at: Timestamp) -> Sample {
        let report = self.status().await.unwrap_or_default();
        let revision = |known: Option<i64>| u64::try_from(known.unwrap_or_default());
        let ms = |seconds: f64| {
            let lag = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
            u64::try_from(lag.as_millis())
        };
        Sample {
            at,
            primary_revision: revision(report.primary_revision).unwrap_or_default(),
            checkpoint: revision(report.checkpoint_revision).unwrap_or_default(),
            lag_ms: report.lag_seconds.and_then(|seconds| ms(seconds).ok()),
        }
    }

    /// Whether a line of the mirror's log contains a text.
    pub(super) async fn logged(&self, text: &str) -> Answer {
        let namespace = &self.topology.mirror.namespace;
        let Some(kube) = self.world.kube(&Side::Standby.into()) else {
            return unknown("the standby's API is not in the topology");
        };
        match kube.logged(namespace, "app=etcd-sync", text).await {
            Ok(Some(pod)) => holds(format!("pod {pod} says so")),
            Ok(None) => fails(format!("no pod's log has `{text}`")),
            Err(error) => unknown(format!("the log can't be read: {error}")),
        }
    }
}

fn behind(report: &StatusReport, lag: f64) -> String {
    let revisions = report.lag_revisions.unwrap_or_default();
    format!("{lag:.1} s and {revisions} revisions behind")
}

pub(super) fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
