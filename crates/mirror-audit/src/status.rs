//! A mirror's stored status, as it reads now.

use mirror_engine::freshness::{Age, Look, Silence};
use monitor_api::{StatusReport, Verdict};

/// Returns what a mirror said of itself when it was last heard of, as it reads now: with ages and
/// lag that count up to now, or unknown, and with a verdict on what is known now. `None` if it never
/// said anything that can be read.
#[must_use]
pub fn stored_status(look: &Look) -> Option<StatusReport> {
    let Look { stored, age, alarms } = look;
    let said = stored.status.as_ref()?;
    let report: StatusReport = serde_json::from_slice(said.expose()).ok()?;
    let full = (!alarms.is_empty())
        .then(|| format!("the standby takes no writes now (alarm {})", alarms.join(", ")));
    let report = match (*age, full) {
        (Age::AtMost(age), None) => report.stored_within(age),
        (Age::AtMost(age), Some(full)) => {
            let reason =
                format!("{full}; {} s ago the mirror was `{}`", age.as_secs(), report.state);
            out_of_writes(report.stored_within(age), reason)
        }
        (Age::Unknown(Silence::Still(still)), Some(full)) => {
            let reason = format!(
                "as of at least {} s ago the mirror was `{}`, and {full}",
                still.as_secs(),
                report.state
            );
            out_of_writes(report.stored_once(String::new()), reason)
        }
        (Age::Unknown(silence), full) => {
            let full = full.map(|full| format!("; {full}")).unwrap_or_default();
            let reason = format!("{silence}; its last word was `{}`{full}", report.state);
            unknown(report.stored_once(reason))
        }
    };
    Some(report)
}

/// An instance runs, and can't say how it is.
fn out_of_writes(mut report: StatusReport, reason: String) -> StatusReport {
    report.verdict = Verdict::ActionNeeded;
    report.reason = reason;
    report.next_steps = vec![
        "make room on the standby (compact, `etcdctl defrag`), then `etcdctl alarm disarm`".into(),
        "ask the mirror itself: GET /api/v1/status at its --listen address".into(),
    ];
    report
}

fn unknown(mut report: StatusReport) -> StatusReport {
    report.next_steps = vec![
        "see whether one runs: kubectl get pods -n cpaas-system -l app=etcd-sync".to_owned(),
        "check --mirror-name and --standby-endpoints".to_owned(),
    ];
    report
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use etcd_mvcc::Value;
    use mirror_engine::orders::Stored;

    use super::*;

    fn look(age: Age, alarms: &[&str]) -> Look {
        let report = StatusReport {
            state: "following".into(),
            lag_seconds: Some(1.0),
            observed_at: Some(u64::MAX),
            ..StatusReport::default()
        };
        let json = serde_json::to_vec(&report.judged()).unwrap();
        let stored = Stored { status: Some(Value::from(json)), ..Stored::default() };
        Look { stored, age, alarms: alarms.iter().map(ToString::to_string).collect() }
    }

    #[test]
    fn a_fresh_status_ages_by_the_bound_and_not_by_a_clock() {
        let report = stored_status(&look(Age::AtMost(Duration::from_secs(3)), &[])).unwrap();
        assert_eq!((report.verdict, report.lag_seconds), (Verdict::Ok, Some(4.0)));
        assert_eq!(report.age_seconds_max, Some(3.0));
    }

    #[test]
    fn silence_is_never_good_news() {
        let still = Duration::from_secs(6);
        for silence in [Silence::NoLeader(still), Silence::Still(still)] {
            let report = stored_status(&look(Age::Unknown(silence), &[])).unwrap();
            assert_eq!((report.verdict, report.lag_seconds), (Verdict::Unknown, None));
            assert!(report.reason.contains("leader key"), "{}", report.reason);
            assert!(report.reason.contains("`following`"), "{}", report.reason);
        }
    }

    #[test]
    fn an_alarm_is_named_however_fresh_the_status_is() {
        let still = Age::Unknown(Silence::Still(Duration::from_secs(6)));
        for age in [still, Age::AtMost(Duration::from_secs(1))] {
            let report = stored_status(&look(age, &["NOSPACE"])).unwrap();
            assert_eq!(report.verdict, Verdict::ActionNeeded, "{}", report.reason);
            assert!(report.reason.contains("no writes now (alarm NOSPACE)"), "{}", report.reason);
        }
    }
}
