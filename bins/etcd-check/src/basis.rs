//! What a check can rest on: a mirror's pair, or two heads.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use etcd_mvcc::PrimaryRevision;
use mirror_engine::orders::Stored;
use monitor_api::StatusReport;

use crate::options::Options;

/// A mirror that has said nothing for this long does not run. It speaks every 5 s.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// What the comparison rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Basis {
    /// The newest pair of a mirror that runs; or what keeps it from having one.
    Mirror {
        /// Why there is no pair to rely on.
        refusal: Option<String>,
    },
    /// The pair of one revision, from the mirror's past.
    Past(PrimaryRevision),
    /// What both sides hold today: nothing pins them to each other.
    Heads {
        /// Why.
        why: &'static str,
    },
}

impl Basis {
    /// Tells whether the answer is about what a mirror has noted.
    pub(crate) fn rests_on_a_mirror(&self) -> bool {
        match self {
            Self::Mirror { .. } | Self::Past(_) => true,
            Self::Heads { .. } => false,
        }
    }
}

/// Chooses from what was asked for, and what a mirror has left on the standby.
pub(crate) fn basis(options: &Options, stored: &Stored) -> Basis {
    if options.no_mirror {
        return Basis::Heads { why: "--no-mirror was given" };
    }
    if let Some(revision) = options.at_revision {
        return Basis::Past(revision);
    }
    let status = stored
        .status
        .as_ref()
        .and_then(|json| serde_json::from_slice::<StatusReport>(json.expose()).ok());
    let Some(status) = status.filter(is_fresh) else {
        return Basis::Heads { why: "no mirror runs" };
    };
    let refusal = match status.state.as_str() {
        "following" | "paused" | "waiting" | "fenced" => None,
        state => Some(format!("the mirror is {state}: {}", status.reason)),
    };
    Basis::Mirror { refusal }
}

fn is_fresh(status: &StatusReport) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    status.observed_at.is_some_and(|at| now.saturating_sub(at) <= SILENCE_MAX.as_secs())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use etcd_mvcc::{Revision as _, Value};

    use super::*;
    use crate::flags::CheckFlags;
    use crate::values::Format;

    #[derive(clap::Parser)]
    struct Only {
        #[command(flatten)]
        flags: CheckFlags,
    }

    fn options(args: &[&str]) -> Options {
        let args = ["etcd-check"].iter().chain(args);
        Options::new(Only::parse_from(args).flags, Format::Text).unwrap()
    }

    fn stored(state: &str, age: u64) -> Stored {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let report = StatusReport {
            state: state.into(),
            observed_at: Some(now - age),
            ..StatusReport::default()
        };
        let json = serde_json::to_vec(&report.judged()).unwrap();
        Stored { status: Some(Value::from(json)), ..Stored::default() }
    }

    #[test]
    fn a_mirror_that_runs_pins_a_pair_and_a_silent_one_does_not() {
        let asked = options(&[]);
        let running = basis(&asked, &stored("following", 3));
        assert_eq!(running, Basis::Mirror { refusal: None });
        for silent in [stored("following", 300), Stored::default()] {
            assert!(!basis(&asked, &silent).rests_on_a_mirror());
        }
    }

    #[test]
    fn a_mirror_between_two_states_has_no_pair_to_rely_on() {
        for state in ["starting", "copying", "blocked", "something new"] {
            let Basis::Mirror { refusal: Some(why) } = basis(&options(&[]), &stored(state, 3))
            else {
                panic!("{state}");
            };
            assert!(why.contains(state), "{why}");
        }
    }

    #[test]
    fn what_was_asked_for_wins() {
        let past = basis(&options(&["--at-revision", "7"]), &stored("following", 3));
        assert_eq!(past, Basis::Past(PrimaryRevision::new(7)));
        let heads = basis(&options(&["--no-mirror"]), &stored("following", 3));
        assert!(!heads.rests_on_a_mirror());
    }
}
