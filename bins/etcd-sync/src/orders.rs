//! The verbs that talk to a mirror through its standby: `status`, `pause`, `resume`, `resync`.

use std::future::Future;
use std::time::Duration;

use etcd_link::Standby;

use etcd_mvcc::Revision as _;
use mirror_audit::stored_status;
use mirror_config::output::{self, Format};
use mirror_config::{Config, Exit, Failure, parts};
use mirror_engine::Desired;
use mirror_engine::freshness::{Age, Look, Observer};
use mirror_engine::orders::{self, Order, OrderError, Stored};
use monitor_api::{StatusReport, Verdict};

use crate::cli::Patience;
use crate::outcome::{self, Judge, Outcome};
use crate::table;

/// Shows what the mirror does and how far it is.
pub(crate) fn status(config: &Config, format: Format) -> Result<Exit, Failure> {
    let standby = parts::standby(config, None)?;
    let mut observer = Observer::default();
    let look = block_on(observer.look(&standby, config.name()))?.map_err(|error| {
        let Outcome { exit, reason, .. } = Outcome::from(error);
        Failure { exit, message: reason }
    })?;
    let (report, exit) = assess(config.name(), &look);
    match format {
        Format::Json => output::json(&report)?,
        Format::Text => output::result(&table::status(&report))?,
    }
    Ok(exit)
}

/// How long a mirror has to answer an order, unless told.
const PATIENCE: Duration = Duration::from_secs(60);

/// Gives an order to the mirror, if what is stored allows it, and waits for what becomes of it.
pub(crate) fn give(
    config: &Config,
    order: &Order,
    patience: Patience,
    format: Format,
) -> Result<Exit, Failure> {
    let standby = parts::standby(config, None)?;
    let (name, limit) = (config.name(), patience.limit(PATIENCE));
    let outcome = block_on(outcome::until_interrupted(async {
        given(&standby, name, order, limit).await.unwrap_or_else(|outcome| outcome)
    }))??;
    outcome.tell(name, format)
}

async fn given(
    standby: &Standby,
    name: &str,
    order: &Order,
    limit: Option<Duration>,
) -> Result<Outcome, Outcome> {
    let mut look = Observer::default().look(standby, name).await?;
    if let Order::Accept(digest) = order {
        if let Some(limit) = limit.filter(|_| is_pending(&look.stored)) {
            let known = |stored: &Stored, report: &StatusReport| {
                (!report.blocked.as_ref().is_some_and(|blocked| blocked.pending))
                    .then(|| stored.clone())
            };
            if let Ok(stored) = outcome::wait(standby, name, limit, known).await {
                look.stored = stored;
            }
        }
        compare(digest, &look)?;
    }
    let given_at = orders::give(standby, name, order.clone()).await?;
    let Some(limit) = limit else {
        return Ok(Outcome::done(match order {
            Order::Pause => "the order to pause is given",
            Order::Resume => "the order to go on is given",
            Order::Accept(_) => "the order to carry the plan out is given",
        }));
    };
    if let Age::Unknown(silence) = look.age {
        let reason = format!(
            "the order was given, but no mirror answers: {silence}; the order stays until one runs"
        );
        return Err(Outcome::undecided(reason));
    }
    let mut judge = Judge::new(order, given_at);
    outcome::wait(standby, name, limit, |stored, report| judge.judge(stored, report))
        .await
        .map_err(|stored| Outcome::unanswered(limit, stored.as_ref()))
}

/// The plan that an order may accept is being worked out.
fn is_pending(stored: &Stored) -> bool {
    let report = outcome::said(stored);
    report.blocked.is_some_and(|blocked| blocked.pending && blocked.digest.is_none())
}

/// Compares the digest of an order with that of the mirror's plan.
fn compare(digest: &str, look: &Look) -> Result<(), Outcome> {
    if look.stored.control.desired == Desired::Promoted {
        return Err(OrderError::Promoted.into());
    }
    if look.stored.status.is_none() {
        return Err(Outcome::undecided(
            "no mirror of this name has said how it is: there is no plan to accept (check \
             --mirror-name and --standby-endpoints)",
        ));
    }
    let report = outcome::said(&look.stored);
    let state = match look.age {
        Age::AtMost(_) => format!("it is `{}`", report.state),
        Age::Unknown(silence) => format!("its last word was `{}`; {silence}", report.state),
    };
    let Some(blocked) = report.blocked.as_ref().filter(|_| report.state == "blocked") else {
        let reason = format!("the mirror is not blocked ({state}): there is no plan to accept");
        return Err(Outcome::refused(reason, vec!["etcd-sync status".to_owned()]));
    };
    match &blocked.digest {
        Some(current) if current == digest => Ok(()),
        Some(current) => Err(outcome::not_current(digest, current)),
        None if blocked.pending => Err(Outcome::undecided(
            "the mirror still works out what a resync would do; give the order once `etcd-sync \
             status` shows the digest",
        )),
        None => Err(Outcome::refused(
            format!("no order releases the guard {}: {}", blocked.guard, blocked.reason),
            vec![blocked.release.clone()],
        )),
    }
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
    use etcd_mvcc::{PrimaryRevision, Value};
    use mirror_engine::Checkpoint;
    use mirror_engine::freshness::Silence;

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
