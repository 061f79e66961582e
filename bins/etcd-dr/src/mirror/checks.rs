//! Exact checks: asked of the mirror, or, where its monitor can't be reached, done from here.

use std::sync::PoisonError;
use std::time::{Duration, Instant, SystemTime};

use consistency_checker::{Progress, View};
use dr_plan::runner::Acted;
use dr_plan::{Answer, Timestamp};
use mirror_audit::{AuditSettings, Auditor};
use monitor_api::{CheckReport, CheckVerdict, LastCheckReport};
use serde::Deserialize;

use super::Etcds;
use super::monitor;
use super::status::since_1970;
use super::words::{fails, holds, unknown};

/// A check ends after ten minutes at the latest.
const CHECK_LIMIT: Duration = Duration::from_secs(11 * 60);
const CHECKS_LIMIT: Duration = Duration::from_secs(10);

/// A check that this process asked for.
#[derive(Clone, Debug)]
pub(super) struct OwnCheck {
    /// When it was asked for: it was begun after that.
    asked: Timestamp,
    verdict: CheckVerdict,
    told: String,
}

/// `/api/v1/checks`, as far as it is of interest.
#[derive(Deserialize)]
struct Checks {
    checks: Vec<CheckReport>,
}

impl Etcds {
    /// Has both sides compared at one pair of revisions.
    pub(super) async fn run_check(&self) -> Acted {
        let asked = Timestamp::from(SystemTime::now());
        let report = match self.asked_of_monitor().await {
            Some(report) => report,
            None => self.audited().await,
        };
        let told = described(&report);
        let verdict = report.verdict();
        let own = OwnCheck { asked, verdict, told: told.clone() };
        *self.checked.lock().unwrap_or_else(PoisonError::into_inner) = Some(own);
        match verdict {
            CheckVerdict::InSync => Acted::Accepted,
            CheckVerdict::Drift => Acted::Refused(format!("the check found drift: {told}")),
            CheckVerdict::Inconclusive => Acted::Undecided(told),
        }
    }

    /// Asks the monitor; `None` if it can't be asked. Whoever asks while a check runs gets the
    /// answer of that one, which may have begun before: then it is asked once more.
    async fn asked_of_monitor(&self) -> Option<CheckReport> {
        let url = &self.topology.mirror.monitor;
        if url.is_empty() {
            return None;
        }
        let mut report = None;
        for _ in 0..2 {
            let asked = Instant::now();
            let answer = monitor::get(url, "/check?format=json", CHECK_LIMIT).await;
            let (_, body) = answer.inspect_err(|why| tracing::warn!("{why}")).ok()?;
            let read: CheckReport = serde_json::from_str(&body).ok()?;
            let waited = asked.elapsed().as_secs_f64();
            let own = read.found().duration_seconds <= waited;
            report = Some(read);
            if own {
                break;
            }
        }
        // What a mirror could not decide may be decided from here.
        report.filter(|report| report.verdict() != CheckVerdict::Inconclusive)
    }

    async fn audited(&self) -> CheckReport {
        let (primary, standby) = (self.primary.clone(), self.standby.clone());
        let view = View::new(self.scope.clone());
        let auditor = Auditor::new(primary, standby, view, self.name(), AuditSettings::default());
        auditor.open_with(self.keyring.clone());
        // Boxed: it would be the largest future of all that a plan may ask.
        Box::pin(auditor.at_newest_pair(|| None, &Progress::default())).await
    }

    /// Whether a check that was begun after the step was begun says in-sync.
    pub(super) async fn checked_since(&self, begun: Option<Timestamp>) -> Answer {
        let Some(begun) = begun else { return fails("no check was begun for this step") };
        if let Some(own) = self.own_check().filter(|own| own.asked >= begun) {
            return judged(own.verdict, own.told);
        }
        match self.last_conclusive().await {
            // Whole seconds: one that began within the very second may have begun before.
            Ok(Some(check)) if check.started_at.is_some_and(|at| at * 1_000 > begun.ms()) => {
                by_word(&check)
            }
            Ok(_) => fails("no check has begun since"),
            Err(answer) => answer,
        }
    }

    /// Whether the last check that came to a conclusion said in-sync, and how long ago it began.
    pub(super) async fn checked_within(&self, seconds: u64) -> Answer {
        let last = match self.last_conclusive().await {
            Ok(last) => last,
            Err(answer) => return answer,
        };
        let now = since_1970().as_secs();
        let own = self.own_check().filter(|own| own.verdict != CheckVerdict::Inconclusive);
        let theirs = last.as_ref().and_then(|check| check.started_at);
        if let Some(own) = own.filter(|own| theirs.is_none_or(|at| own.asked.ms() >= at * 1_000)) {
            let age = now.saturating_sub(own.asked.ms() / 1_000);
            return if age <= seconds {
                judged(own.verdict, own.told)
            } else {
                fails(format!("the last check is {age} s old"))
            };
        }
        let (Some(check), Some(at)) = (last, theirs) else {
            return fails("no check has come to a conclusion yet");
        };
        let age = now.saturating_sub(at);
        if age > seconds {
            fails(format!("the last check is {age} s old"))
        } else {
            by_word(&check)
        }
    }

    fn own_check(&self) -> Option<OwnCheck> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last check of the mirror's that came to a conclusion; of one whose monitor can't be
    /// reached, its last if it came to one.
    async fn last_conclusive(&self) -> Result<Option<LastCheckReport>, Answer> {
        let url = &self.topology.mirror.monitor;
        let conclusive = |check: &LastCheckReport| check.verdict != "inconclusive";
        if !url.is_empty()
            && let Ok((200, body)) = monitor::get(url, "/api/v1/checks", CHECKS_LIMIT).await
            && let Ok(Checks { checks }) = serde_json::from_str::<Checks>(&body)
            && let Some(check) = checks.iter().map(LastCheckReport::from).find(conclusive)
        {
            return Ok(Some(check));
        }
        match self.status().await?.last_check {
            Some(check) if !conclusive(&check) => {
                Err(unknown(format!("the mirror's last check is inconclusive: {}", check.reason)))
            }
            check => Ok(check),
        }
    }
}

fn judged(verdict: CheckVerdict, told: String) -> Answer {
    match verdict {
        CheckVerdict::InSync => holds(told),
        CheckVerdict::Drift => fails(told),
        CheckVerdict::Inconclusive => unknown(told),
    }
}

fn by_word(check: &LastCheckReport) -> Answer {
    let LastCheckReport { missed, surplus, different, .. } = check;
    let told = format!(
        "{}: {} ({missed} missed, {surplus} surplus, {different} different)",
        check.verdict, check.reason
    );
    if check.verdict == "in-sync" { holds(told) } else { fails(told) }
}

fn described(report: &CheckReport) -> String {
    let at = report.verified_revision().map(|at| format!(" at primary revision {at}"));
    format!("{}{}: {}", report.verdict().as_str(), at.unwrap_or_default(), report.reason())
}
