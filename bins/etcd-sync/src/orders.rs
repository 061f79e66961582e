//! The verbs that talk to a mirror through its standby: `status`, `pause`, `resume`, `resync`.

use std::future::Future;
use std::time::Duration;

use etcd_mvcc::Revision as _;
use mirror_config::output::{self, Format};
use mirror_config::{Config, Exit, Failure, parts};
use mirror_engine::Desired;
use mirror_engine::orders::{self, Order, OrderError, Stored};
use monitor_api::{StatusReport, Verdict};

use crate::{report, table};

/// A mirror that has said nothing for this long may be dead. It speaks every 5 s.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Shows what the mirror does and how far it is.
pub(crate) fn status(config: &Config, format: Format) -> Result<Exit, Failure> {
    let standby = parts::standby(config, None)?;
    let stored =
        block_on(orders::read_state(&standby, config.name()))?.map_err(Failure::undecided)?;
    let (report, exit) = assess(config.name(), &stored, report::now());
    match format {
        Format::Json => output::json(&report)?,
        Format::Text => output::result(&table::status(&report))?,
    }
    Ok(exit)
}

/// Gives an order to the mirror.
pub(crate) fn give(config: &Config, order: Order, format: Format) -> Result<Exit, Failure> {
    let said = match &order {
        Order::Pause => "told to pause",
        Order::Resume => "told to go on",
        Order::Accept(_) => "told that the resync is allowed",
    };
    let standby = parts::standby(config, None)?;
    block_on(orders::give(&standby, config.name(), order))?.map_err(|error| match error {
        OrderError::Promoted
        | OrderError::NotPromoted
        | OrderError::OtherFence(_)
        | OrderError::StandsStill => Failure::refused(error),
        OrderError::Standby(_) | OrderError::Record(_) | OrderError::Raced => {
            Failure::undecided(error)
        }
    })?;
    let next = "etcd-sync status";
    match format {
        Format::Json => output::json(&serde_json::json!({
            "verdict": "ok", "reason": said, "next_steps": [next], "mirror": config.name(),
        }))?,
        Format::Text => {
            output::result(&format!("{said}; `{next}` shows what becomes of it\n"))?;
        }
    }
    Ok(Exit::Done)
}

/// Concludes from what the mirror left on the standby.
fn assess(name: &str, stored: &Stored, now: u64) -> (StatusReport, Exit) {
    let said = stored.status.as_ref().and_then(|json| serde_json::from_slice(json.expose()).ok());
    let mut report: StatusReport = said.unwrap_or_default();
    name.clone_into(&mut report.mirror);
    let silence = report.observed_at.map(|at| Duration::from_secs(now.saturating_sub(at)));
    report = report.aged(silence.unwrap_or_default());
    if let Some(checkpoint) = &stored.checkpoint {
        // Newer than what was said of it, or all there is.
        report.checkpoint_revision = Some(checkpoint.revision.get());
        report.scope_hash.get_or_insert_with(|| checkpoint.scope.clone());
    }
    if let Some(epoch) = &stored.epoch {
        report.epoch = Some(epoch.number);
    }
    match silence {
        Some(silence) if silence <= SILENCE_MAX => {
            if stored.control.desired == Desired::Pause && report.state != "paused" {
                report.next_steps.push("wait: the mirror was told to pause".to_owned());
            }
            let exit = if report.state == "following" { Exit::Done } else { Exit::Differs };
            (report, exit)
        }
        Some(silence) => {
            report.reason = format!(
                "the mirror has said nothing for {}; its last word was `{}`",
                table::age(silence.as_secs_f64()),
                report.state
            );
            (unknown(report), Exit::Undecided)
        }
        None => {
            report.reason = match stored.checkpoint {
                Some(_) => "a mirror of this name has run, but has not said how it is".to_owned(),
                None => "no mirror of this name has run against this standby".to_owned(),
            };
            (unknown(report), Exit::Undecided)
        }
    }
}

fn unknown(mut report: StatusReport) -> StatusReport {
    report.verdict = Verdict::Unknown;
    report.next_steps = vec![
        "see whether one runs: kubectl get pods -n cpaas-system -l app=etcd-sync".to_owned(),
        "check --mirror-name and --standby-endpoints".to_owned(),
    ];
    report
}

/// Runs a future to its end: these verbs do one thing at a time.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::undecided(format!("the runtime can't start: {error}")))?;
    Ok(runtime.block_on(future))
}

#[cfg(test)]
mod tests {
    use etcd_mvcc::Value;

    use super::*;

    fn stored(state: &str, observed_at: u64) -> Stored {
        let report = StatusReport {
            state: state.into(),
            observed_at: Some(observed_at),
            lag_seconds: Some(1.0),
            ..StatusReport::default()
        };
        let json = serde_json::to_vec(&report.judged()).unwrap();
        Stored { status: Some(Value::from(json)), ..Stored::default() }
    }

    #[test]
    fn a_following_mirror_is_done_and_ages_since_it_spoke() {
        let (report, exit) = assess("default", &stored("following", 100), 103);
        assert_eq!((report.verdict, exit), (Verdict::Ok, Exit::Done));
        assert_eq!(report.lag_seconds, Some(4.0));
    }

    #[test]
    fn a_mirror_that_does_not_follow_is_not_done() {
        for state in ["starting", "waiting", "copying", "paused", "blocked", "fenced"] {
            assert_eq!(assess("default", &stored(state, 100), 103).1, Exit::Differs, "{state}");
        }
    }

    #[test]
    fn silence_is_never_good_news() {
        let (report, exit) = assess("default", &stored("following", 100), 1_000);
        assert_eq!((report.verdict, exit), (Verdict::Unknown, Exit::Undecided));
        assert!(report.reason.contains("nothing for 15m"), "{}", report.reason);
        let (report, exit) = assess("default", &Stored::default(), 1_000);
        assert_eq!((report.verdict, exit), (Verdict::Unknown, Exit::Undecided));
        let garbage = Stored { status: Some(Value::from("{")), ..Stored::default() };
        assert_eq!(assess("default", &garbage, 1_000).1, Exit::Undecided);
    }
}
