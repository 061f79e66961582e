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
use super::words::{fails, holds, unknown};

/// A check ends after ten minutes at the latest.
const CHECK_LIMIT: Duration = Duration::from_secs(11 * 60);
const CHECKS_LIMIT: Duration = Duration::from_secs(10);

/// A check that this process asked for.
#[derive(Clone, Debug)]
pub(super) struct OwnCheck {
    /// When it was asked for: it was begun after that.
    asked: Timestamp,
    /// The same, by the clock that only goes forward.
    asked_at: Instant,
    verdict: CheckVerdict,
    told: String,
}

/// `/api/v1/checks`, as far as it is of interest.
#[derive(Deserialize)]
struct Checks {
    checks: Vec<DatedCheck>,
}

/// A report, and how old it is.
#[derive(Deserialize)]
struct DatedCheck {
    #[serde(default)]
    age_seconds: Option<f64>,
    #[serde(flatten)]
    report: CheckReport,
}

impl DatedCheck {
    fn summary(&self) -> LastCheckReport {
        let Self { age_seconds, report } = self;
        LastCheckReport { age_seconds: *age_seconds, ..LastCheckReport::from(report) }
    }
}

impl Etcds {
    /// Has both sides compared at one pair of revisions.
    pub(super) async fn run_check(&self) -> Acted {
        let (asked, asked_at) = (Timestamp::from(SystemTime::now()), Instant::now());
        let report = match self.asked_of_monitor().await {
            Some(report) => report,
            None => self.audited().await,
        };
        let told = described(&report);
        let verdict = report.verdict();
        let own = OwnCheck { asked, asked_at, verdict, told: told.clone() };
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
        let since_begun = Timestamp::from(SystemTime::now()).since(begun);
        match self.last_conclusive().await {
            // Two spans, each by a clock of its own: no two clocks are compared.
            Ok(Some(check)) if age(&check).is_some_and(|age| age < since_begun) => by_word(&check),
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
        let own = self.own_check().filter(|own| own.verdict != CheckVerdict::Inconclusive);
        let theirs = last.as_ref().and_then(age);
        let within = Duration::from_secs(seconds);
        let too_old = |age: Duration| fails(format!("the last check is {} s old", age.as_secs()));
        if let Some(own) =
            own.filter(|own| theirs.is_none_or(|theirs| own.asked_at.elapsed() <= theirs))
        {
            let age = own.asked_at.elapsed();
            return if age <= within { judged(own.verdict, own.told) } else { too_old(age) };
        }
        match (last, theirs) {
            (Some(check), Some(age)) if age <= within => by_word(&check),
            (Some(_), Some(age)) => too_old(age),
            (Some(_), None) => unknown("the mirror does not say how old its last check is"),
            (None, _) => fails("no check has come to a conclusion yet"),
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
            && let Some(check) = checks.iter().map(DatedCheck::summary).find(conclusive)
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

/// How long ago a check of the mirror's began, by the mirror's own word.
fn age(check: &LastCheckReport) -> Option<Duration> {
    Duration::try_from_secs_f64(check.age_seconds?).ok()
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
