//! What becomes of an order: looked for in what the mirror stores, and put into words.

use std::time::Duration;

use etcd_link::Standby;
use etcd_mvcc::StandbyRevision;
use mirror_config::output::{self, Format};
use mirror_config::{Exit, Failure};
use mirror_engine::orders::{Order, OrderError, Stored, read_state};
use monitor_api::StatusReport;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use crate::progress::Waiting;

/// How often it is looked what became of an order.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How an order ended, for people and for scripts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// How the process ends.
    pub(crate) exit: Exit,
    /// Why, on one line.
    pub(crate) reason: String,
    /// What to do next.
    pub(crate) next_steps: Vec<String>,
}

impl Outcome {
    pub(crate) fn done(reason: impl Into<String>) -> Self {
        let next_steps = vec!["etcd-sync status".to_owned()];
        Self { exit: Exit::Done, reason: reason.into(), next_steps }
    }

    pub(crate) fn refused(reason: impl Into<String>, next_steps: Vec<String>) -> Self {
        Self { exit: Exit::Refused, reason: reason.into(), next_steps }
    }

    pub(crate) fn undecided(reason: impl Into<String>) -> Self {
        let next_steps = vec!["etcd-sync status".to_owned()];
        Self { exit: Exit::Undecided, reason: reason.into(), next_steps }
    }

    /// A failure that says by itself what to do.
    pub(crate) fn of(failure: Failure) -> Self {
        Self { exit: failure.exit, reason: failure.message, next_steps: Vec::new() }
    }

    /// The order is stored, and nothing says that a mirror has seen it.
    pub(crate) fn unanswered(within: Duration, stored: Option<&Stored>) -> Self {
        let within = humantime::format_duration(within);
        let leader = match stored {
            Some(Stored { leader: None, .. }) => "; no instance holds the leader key now",
            _ => "",
        };
        Self::undecided(format!(
            "the order was given; the mirror has not answered within {within}{leader}; the order \
             stays: `etcd-sync status` shows what becomes of it"
        ))
    }

    /// The verdict in JSON.
    pub(crate) const fn verdict(&self) -> &'static str {
        match self.exit {
            Exit::Done => "ok",
            Exit::Undecided => "unknown",
            Exit::Differs | Exit::Usage | Exit::Refused | Exit::Interrupted => "action-needed",
        }
    }

    /// Says it, and ends by it.
    pub(crate) fn tell(self, mirror: &str, format: Format) -> Result<Exit, Failure> {
        let fields = json!({ "mirror": mirror });
        self.tell_with(fields, format, None)
    }

    /// Likewise, with more fields, and with a text of its own.
    pub(crate) fn tell_with(
        self,
        mut fields: Value,
        format: Format,
        text: Option<&str>,
    ) -> Result<Exit, Failure> {
        let verdict = self.verdict();
        let Self { exit, reason, next_steps } = self;
        match (format, exit) {
            (Format::Json, _) => {
                if let Some(fields) = fields.as_object_mut() {
                    fields.insert("verdict".to_owned(), verdict.into());
                    fields.insert("reason".to_owned(), reason.into());
                    fields.insert("next_steps".to_owned(), next_steps.into());
                }
                output::json(&fields)?;
                Ok(exit)
            }
            (Format::Text, Exit::Done | Exit::Differs) => {
                output::result(text.unwrap_or(&format!("{reason}\n")))?;
                Ok(exit)
            }
            (Format::Text, _) => {
                if let Some(text) = text {
                    output::result(text)?;
                    return Ok(exit);
                }
                let steps: Vec<String> = next_steps
                    .iter()
                    .filter(|step| !reason.contains(step.as_str()))
                    .map(|step| format!("; next: {step}"))
                    .collect();
                Err(Failure { exit, message: format!("{reason}{}", steps.concat()) })
            }
        }
    }
}

impl From<OrderError> for Outcome {
    fn from(error: OrderError) -> Self {
        match error {
            OrderError::Promoted
            | OrderError::NotPromoted
            | OrderError::OtherFence(_)
            | OrderError::StandsStill => Self::refused(error.to_string(), Vec::new()),
            OrderError::Standby(ref failure) => Self::of(Failure::unanswered(failure, &error)),
            OrderError::Record(_) | OrderError::Raced | OrderError::Contended => {
                Self::of(Failure::undecided(error))
            }
        }
    }
}

/// Waits until `judge` has an answer. `None` if nothing has moved for as long as `limit`, with what
/// was stored last.
///
/// # Cancel safety
///
/// May be dropped at any moment: it only looks.
pub(crate) async fn wait<T>(
    standby: &Standby,
    name: &str,
    limit: Duration,
    mut judge: impl FnMut(&Stored, &StatusReport) -> Option<T>,
) -> Result<T, Option<Stored>> {
    let waiting = Waiting::start();
    let (mut last, mut before) = (None, None);
    let mut deadline = Instant::now() + limit;
    loop {
        // A standby that does not answer for a moment is asked again.
        if let Ok(stored) = read_state(standby, name).await {
            let report = said(&stored);
            if let Some(answer) = judge(&stored, &report) {
                return Ok(answer);
            }
            let sign = sign_of_progress(&report);
            if before.as_ref().is_some_and(|before| *before != sign) {
                deadline = Instant::now() + limit;
            }
            before = Some(sign);
            waiting.show(&report);
            last = Some(stored);
        }
        if Instant::now() >= deadline {
            return Err(last);
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Runs `work`, which has given an order, until it ends or a signal comes.
pub(crate) async fn until_interrupted<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let unable = |error| Failure::undecided(format!("signals can't be received: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unable)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(unable)?;
    let interrupted = || {
        Err(Failure::interrupted(
            "interrupted; an order that was given stays: `etcd-sync status` shows what becomes of \
             it",
        ))
    };
    tokio::select! {
        ended = work => Ok(ended),
        _ = interrupt.recv() => interrupted(),
        _ = terminate.recv() => interrupted(),
    }
}

/// What the mirror said last; nothing, if that can't be read.
pub(crate) fn said(stored: &Stored) -> StatusReport {
    let said = stored.status.as_ref();
    said.and_then(|json| serde_json::from_slice(json.expose()).ok()).unwrap_or_default()
}

fn sign_of_progress(report: &StatusReport) -> (String, u64, u64, u64, Option<(u64, String)>) {
    let copy = &report.copy;
    let repair = report.last_repair.as_ref();
    let repair = repair.map(|repair| (repair.order, repair.outcome.clone()));
    (report.state.clone(), copy.keys_read, copy.keys_written, copy.keys_deleted, repair)
}

/// Judges what the mirror says after an order of which it was told.
pub(crate) struct Judge<'a> {
    order: &'a Order,
    given_at: StandbyRevision,
    /// The accepted plan is being carried out, or was.
    begun: bool,
}

impl<'a> Judge<'a> {
    pub(crate) const fn new(order: &'a Order, given_at: StandbyRevision) -> Self {
        Self { order, given_at, begun: false }
    }

    /// Returns how the order ended, once the mirror says so.
    pub(crate) fn judge(&mut self, stored: &Stored, report: &StatusReport) -> Option<Outcome> {
        if stored.status_written_at? <= self.given_at {
            return None;
        }
        let state = report.state.as_str();
        if state == "fenced" {
            let reason = format!("the mirror is fenced: {}", report.reason);
            return Some(Outcome::refused(reason, Vec::new()));
        }
        match self.order {
            Order::Pause => (state == "paused").then(|| Outcome::done("the mirror is paused")),
            Order::Resume => match state {
                "following" => Some(Outcome::done("the mirror follows the primary")),
                "copying" => Some(Outcome::done("the mirror has begun to copy")),
                "blocked" => Some(blocked(report)),
                _ => None,
            },
            Order::Accept(digest) => self.accepted(digest, report),
        }
    }

    fn accepted(&mut self, digest: &str, report: &StatusReport) -> Option<Outcome> {
        match report.state.as_str() {
            "following" => {
                let reason = "the plan was carried out, and the mirror follows the primary";
                return Some(Outcome::done(reason));
            }
            "copying" => self.begun = true,
            "paused" => {
                let reason = "the mirror was paused; the plan waits until it is resumed";
                return Some(Outcome::refused(reason, vec!["etcd-sync resume".to_owned()]));
            }
            _ => {}
        }
        let held = report.blocked.as_ref().filter(|_| report.state == "blocked")?;
        if held.pending {
            return None;
        }
        match &held.digest {
            Some(current) if held.refused.as_deref() == Some(digest) => {
                Some(not_current(digest, current))
            }
            Some(current) if current == digest && !self.begun => None,
            _ => Some(blocked(report)),
        }
    }
}

/// The mirror stands still, and this releases it.
pub(crate) fn blocked(report: &StatusReport) -> Outcome {
    let held = report.blocked.clone().unwrap_or_default();
    let release = match &held.digest {
        Some(digest) => format!("etcd-sync resync --accept {digest}"),
        None => held.release,
    };
    let reason = format!("the mirror is blocked ({}): {}", held.guard, held.reason);
    Outcome::refused(reason, vec![release])
}

/// The order names another plan than the mirror's.
pub(crate) fn not_current(digest: &str, current: &str) -> Outcome {
    let reason = format!(
        "the digest {digest} is not that of the mirror's current plan, which is {current} (the \
         mirror works it out anew every minute)"
    );
    Outcome::refused(reason, vec![format!("etcd-sync resync --accept {current}")])
}

#[cfg(test)]
mod tests {
    use etcd_mvcc::Revision as _;
    use monitor_api::BlockedReport;

    use super::*;

    fn report(state: &str) -> StatusReport {
        StatusReport { state: state.into(), ..StatusReport::default() }.judged()
    }

    fn held(digest: Option<&str>, refused: Option<&str>, pending: bool) -> StatusReport {
        let blocked = BlockedReport {
            guard: "too_many_deletes".into(),
            reason: "too many".into(),
            digest: digest.map(str::to_owned),
            refused: refused.map(str::to_owned),
            pending,
            ..BlockedReport::default()
        };
        StatusReport { blocked: Some(blocked), ..report("blocked") }
    }

    fn outcome(order: &Order, reports: &[StatusReport]) -> Option<Outcome> {
        let mut judge = Judge::new(order, StandbyRevision::new(7));
        let at = |revision| Stored {
            status_written_at: Some(StandbyRevision::new(revision)),
            ..Stored::default()
        };
        // What was said before the order does not count.
        for state in ["paused", "following", "copying", "blocked"] {
            assert_eq!(judge.judge(&at(7), &report(state)), None, "{state}");
        }
        reports.iter().find_map(|report| judge.judge(&at(8), report))
    }

    fn exit(order: &Order, reports: &[StatusReport]) -> Option<Exit> {
        outcome(order, reports).map(|outcome| outcome.exit)
    }

    #[test]
    fn a_pause_ends_with_the_state_and_a_resumption_with_work() {
        assert_eq!(exit(&Order::Pause, &[report("following")]), None);
        assert_eq!(exit(&Order::Pause, &[report("paused")]), Some(Exit::Done));
        assert_eq!(exit(&Order::Resume, &[report("paused"), report("starting")]), None);
        for state in ["following", "copying"] {
            assert_eq!(exit(&Order::Resume, &[report(state)]), Some(Exit::Done), "{state}");
        }
        let blocked = held(Some("5eed"), None, false);
        assert_eq!(exit(&Order::Resume, &[blocked]), Some(Exit::Refused));
    }

    #[test]
    fn an_accepted_plan_ends_when_the_mirror_follows_or_says_no() {
        let order = Order::Accept("5eed".into());
        let not_looked_at = held(Some("5eed"), None, false);
        let looking = held(Some("5eed"), None, true);
        let starting = report("starting");
        assert_eq!(exit(&order, &[not_looked_at.clone(), looking, starting]), None);
        let copying = report("copying");
        let followed = [not_looked_at.clone(), copying.clone(), report("following")];
        assert_eq!(exit(&order, &followed), Some(Exit::Done));
        let refused = outcome(&order, &[held(Some("f00d"), Some("5eed"), false)]).unwrap();
        assert_eq!(refused.exit, Exit::Refused);
        assert_eq!(refused.next_steps, ["etcd-sync resync --accept f00d"]);
        // Blocked again: by the same plan after a copy, or by something that no plan releases.
        assert_eq!(exit(&order, &[copying, not_looked_at]), Some(Exit::Refused));
        assert_eq!(exit(&order, &[held(None, None, false)]), Some(Exit::Refused));
    }
}
