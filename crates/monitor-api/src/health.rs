//! Kubernetes-style health: named checks, each passed or failed for a reason.

use std::fmt::Write as _;
use std::time::Duration;

use crate::StatusReport;
use crate::check::one_line;
use crate::report::SILENCE_SECONDS_MAX;

/// What readiness asks for beyond the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// The most lag at which a following mirror counts as ready; `None` accepts any.
    pub ready_lag_max: Option<Duration>,
    /// How long the primary's state may be unknown. Default 30 s.
    pub ready_unknown_max: Duration,
}

impl Thresholds {
    /// The default of [`Thresholds::ready_unknown_max`].
    pub const UNKNOWN_MAX: Duration = Duration::from_secs(30);
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { ready_lag_max: None, ready_unknown_max: Self::UNKNOWN_MAX }
    }
}

/// One named check and why it failed, if it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The check's name, as `?verbose` lists it.
    pub name: &'static str,
    /// Why it failed, on one line; `None` if it passed.
    pub failure: Option<String>,
}

impl Check {
    fn passed(name: &'static str) -> Self {
        Self { name, failure: None }
    }

    fn failed(name: &'static str, why: impl Into<String>) -> Self {
        Self { name, failure: Some(why.into()) }
    }
}

/// Tells whether a restart could help: the process answers, and its mirror has not ended.
///
/// A peer that is away, a guard, or a lag never makes a mirror unhealthy: a restart fixes none.
#[must_use]
pub fn liveness(mirror_runs: bool) -> Vec<Check> {
    let mirror = if mirror_runs {
        Check::passed("mirror")
    } else {
        Check::failed("mirror", "the mirror's task has ended")
    };
    vec![Check::passed("ping"), mirror]
}

/// Tells whether the mirror does its work: it follows within the lag allowed, or it stands by.
#[must_use]
pub fn readiness(report: &StatusReport, mirror_runs: bool, asked: Thresholds) -> Vec<Check> {
    let mut checks = liveness(mirror_runs);
    let following = report.state == "following";
    checks.push(if following || report.state == "waiting" {
        Check::passed("state")
    } else {
        let state = if report.state.is_empty() { "unknown" } else { &report.state };
        Check::failed("state", format!("{state}: {}", report.reason))
    });
    if let Some(max) = asked.ready_lag_max.filter(|_| following) {
        let max = max.as_secs_f64();
        checks.push(match report.lag_seconds {
            Some(lag) if lag <= max => Check::passed("lag"),
            Some(lag) => {
                Check::failed("lag", format!("{lag:.0} s behind, more than the {max:.0} s allowed"))
            }
            None => Check::failed("lag", "not known yet"),
        });
    }
    if following {
        checks.push(match report.primary_unanswered_seconds {
            Some(silent) if silent > asked.ready_unknown_max.as_secs_f64() => Check::failed(
                "primary",
                format!("the primary's state is unknown: it has not answered for {silent:.0} s"),
            ),
            _ => Check::passed("primary"),
        });
        checks.push(match report.primary_watch_behind_seconds {
            Some(still) if still > SILENCE_SECONDS_MAX => Check::failed(
                "watch",
                format!("it has brought nothing for {still:.0} s, and the primary is ahead of it"),
            ),
            _ => Check::passed("watch"),
        });
    }
    checks
}

/// Writes the checks as the Kubernetes API server does, ending with the verdict on all.
pub(crate) fn verbose(name: &str, checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        // Writing to a string can't fail.
        let _ = match &check.failure {
            None => writeln!(text, "[+]{} ok", check.name),
            Some(why) => writeln!(text, "[-]{} failed: {}", check.name, one_line(why)),
        };
    }
    let verdict =
        if checks.iter().all(|check| check.failure.is_none()) { "passed" } else { "failed" };
    let _ = writeln!(text, "{name} check {verdict}");
    text
}
