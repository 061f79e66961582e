//! The verbs that talk to a mirror through its standby: `status`, `pause`, `resume`, `resync`.

use std::future::Future;

use etcd_mvcc::Revision as _;
use mirror_audit::stored_status;
use mirror_config::output::{self, Format};
use mirror_config::{Config, Exit, Failure, parts};
use mirror_engine::Desired;
use mirror_engine::freshness::{Look, Observer};
use mirror_engine::orders::{self, Order, OrderError};
use monitor_api::{StatusReport, Verdict};

use crate::table;

/// Shows what the mirror does and how far it is.
pub(crate) fn status(config: &Config, format: Format) -> Result<Exit, Failure> {
    let standby = parts::standby(config, None)?;
    let mut observer = Observer::default();
    let look = block_on(observer.look(&standby, config.name()))?.map_err(Failure::undecided)?;
    let (report, exit) = assess(config.name(), &look);
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
        OrderError::Standby(_)
        | OrderError::Record(_)
        | OrderError::Raced
        | OrderError::Contended => Failure::undecided(error),
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
fn assess(name: &str, look: &Look) -> (StatusReport, Exit) {
    let stored = &look.stored;
    let said = stored_status(look);
    let spoke = said.is_some();
    let mut report = said.unwrap_or_default();
    name.clone_into(&mut report.mirror);
    if let Some(checkpoint) = &stored.checkpoint {
        // Newer than what was said of it, or all there is.
        report = report.with_checkpoint(checkpoint.revision.get());
        report.scope_hash.get_or_insert_with(|| checkpoint.scope.clone());
    }
    if let Some(epoch) = &stored.epoch {
        report.epoch = Some(epoch.number);
    }
    if !spoke {
        report.reason = match stored.checkpoint {
            Some(_) => "a mirror of this name has run, but has not said how it is".to_owned(),
            None => "no mirror of this name has run against this standby".to_owned(),
        };
        report.next_steps = vec!["check --mirror-name and --standby-endpoints".to_owned()];
        return (report, Exit::Undecided);
    }
    if report.age_seconds_max.is_some()
        && stored.control.desired == Desired::Pause
        && report.state != "paused"
    {
        report.next_steps.push("wait: the mirror was told to pause".to_owned());
    }
    let exit = match report.verdict {
        Verdict::Ok if report.state == "following" => Exit::Done,
        Verdict::Unknown => Exit::Undecided,
        Verdict::Ok | Verdict::InProgress | Verdict::ActionNeeded => Exit::Differs,
    };
    (report, exit)
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
    use std::time::Duration;

    use etcd_mvcc::{PrimaryRevision, Value};
    use mirror_engine::Checkpoint;
    use mirror_engine::freshness::{Age, Silence};
    use mirror_engine::orders::Stored;

    use super::*;

    const FRESH: Age = Age::AtMost(Duration::from_secs(3));

    fn look(state: &str, age: Age) -> Look {
        let report = StatusReport {
            state: state.into(),
            lag_seconds: Some(1.0),
            primary_revision: Some(283),
            checkpoint_revision: Some(283),
            lag_revisions: Some(0),
            ..StatusReport::default()
        };
        let json = serde_json::to_vec(&report.judged()).unwrap();
        let stored = Stored { status: Some(Value::from(json)), ..Stored::default() };
        Look { stored, age, alarms: Vec::new() }
    }

    #[test]
    fn a_following_mirror_is_done_and_ages_by_the_bound() {
        let (report, exit) = assess("default", &look("following", FRESH));
        assert_eq!((report.verdict, exit), (Verdict::Ok, Exit::Done));
        assert_eq!(report.lag_seconds, Some(4.0));
    }

    #[test]
    fn a_mirror_that_does_not_follow_is_not_done() {
        for state in ["starting", "waiting", "copying", "paused", "blocked", "fenced"] {
            assert_eq!(assess("default", &look(state, FRESH)).1, Exit::Differs, "{state}");
        }
    }

    #[test]
    fn silence_is_never_good_news() {
        let still = Age::Unknown(Silence::NoLeader(Duration::from_secs(6)));
        let (report, exit) = assess("default", &look("following", still));
        assert_eq!((report.verdict, exit), (Verdict::Unknown, Exit::Undecided));
        for status in [None, Some(Value::from("{"))] {
            let stored = Stored { status, ..Stored::default() };
            let look = Look { stored, age: Age::Unknown(Silence::NeverSpoke), alarms: Vec::new() };
            let (report, exit) = assess("default", &look);
            assert_eq!((report.verdict, exit), (Verdict::Unknown, Exit::Undecided));
        }
    }

    #[test]
    fn the_revisions_on_one_screen_are_of_one_moment() {
        let mut look = look("following", FRESH);
        let revision = PrimaryRevision::new(284);
        look.stored.checkpoint = Some(Checkpoint { revision, ..Checkpoint::default() });
        let (report, _) = assess("default", &look);
        assert_eq!((report.primary_revision, report.checkpoint_revision), (Some(284), Some(284)));
        assert_eq!(report.lag_revisions, Some(0));
    }
}
