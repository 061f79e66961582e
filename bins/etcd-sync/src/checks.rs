//! Checks beside the mirror: on schedule, and when somebody asks over HTTP.

use std::sync::Arc;
use std::time::Duration;

use consistency_checker::{CheckSettings, Class, Progress, View};
use etcd_mvcc::ReadHead as _;
use keyspace_filter::Scope;
use mirror_audit::{AuditSettings, Auditor};
use mirror_config::{Config, Failure, parts};
use mirror_engine::{State, Status};
use monitor_api::{CheckReport, CheckVerdict, Checks};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::gates::Keys;

/// Prepares checks on connections of their own: what they read is not to stand in the way of what
/// the mirror reads and writes.
pub(crate) fn prepare(
    config: &Config,
    scope: Scope,
    status: watch::Receiver<Status>,
) -> Result<Checks, Failure> {
    let primary = parts::primary(config, &scope)?;
    // Without a scope no key of the data may be written: a check only reads.
    let standby = parts::standby(config, None)?;
    let check = CheckSettings { bytes_per_second: config.check_rate(), ..CheckSettings::default() };
    let settings = AuditSettings { check, min_age: None };
    let sides = (primary.clone(), standby.clone());
    let auditor =
        Arc::new(Auditor::new(primary, standby, View::new(scope), config.name(), settings));
    let keys = config.encryption_config().map(|file| Keys::new(config, file));
    Ok(Checks::new(move || {
        let (auditor, status) = (Arc::clone(&auditor), status.clone());
        // The mirror may have been led to another cluster since; within one check there is one.
        sides.0.repin();
        sides.1.repin();
        auditor.open_with(keys.as_ref().and_then(Keys::keyring));
        async move {
            let refusal = || refusal(&status.borrow());
            Box::pin(auditor.at_newest_pair(refusal, &Progress::default())).await
        }
    }))
}

/// Why nothing that the standby holds is to be relied on, if so.
fn refusal(status: &Status) -> Option<String> {
    match status.state {
        State::Following | State::Paused | State::Waiting | State::Fenced => None,
        State::Starting | State::Copying | State::Blocked => {
            let reason = if status.reason.is_empty() { "" } else { ": " };
            Some(format!("the mirror is {}{reason}{}", status.state, status.reason))
        }
    }
}

/// Checks as soon as the mirror follows, and then after every interval. Ends with the mirror.
pub(crate) async fn on_schedule(
    checks: Checks,
    every: Duration,
    mut status: watch::Receiver<Status>,
) {
    if status.wait_for(|status| status.state == State::Following).await.is_err() {
        return;
    }
    loop {
        let report = checks.run().await;
        log(&report);
        tokio::select! {
            () = sleep(every) => {}
            // The sender is gone once the mirror has ended.
            () = async { while status.changed().await.is_ok() {} } => return,
        }
    }
}

fn log(report: &CheckReport) {
    let found = report.found();
    let (keys, took) = (found.keys, found.duration_seconds);
    match report.verdict() {
        CheckVerdict::InSync => {
            let verified_revision = report.verified_revision();
            tracing::info!(verified_revision, keys, took, "check: in sync");
        }
        CheckVerdict::Drift => {
            let defects = found.classes.get(Class::EngineDefect.as_str()).copied().unwrap_or(0);
            if defects > 0 {
                tracing::error!(
                    defects,
                    "check: the mirror itself wrote what the primary never had"
                );
            }
            let (missed, surplus, different) = (found.missed, found.surplus, found.different);
            tracing::warn!(missed, surplus, different, keys, took, "check: drift");
        }
        CheckVerdict::Inconclusive => {
            tracing::warn!("check: inconclusive: {}", report.reason());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_mirror_between_two_states_refuses_to_be_checked() {
        for state in State::ALL {
            let status = Status { state, reason: "why".into(), ..Status::default() };
            let refused = refusal(&status);
            let between = matches!(state, State::Starting | State::Copying | State::Blocked);
            assert_eq!(refused.is_some(), between, "{state}");
            assert!(refused.is_none_or(|why| why.contains("why") && why.contains(state.as_str())));
        }
    }
}
