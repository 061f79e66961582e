//! What a check can rest on: a mirror's pair, or two heads.

use etcd_mvcc::PrimaryRevision;
use mirror_audit::stored_status;
use mirror_engine::freshness::Look;

use crate::options::Options;

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

/// Chooses from what was asked for, if that says it all.
pub(crate) fn asked_for(options: &Options) -> Option<Basis> {
    if options.no_mirror {
        return Some(Basis::Heads { why: "--no-mirror was given" });
    }
    options.at_revision.map(Basis::Past)
}

/// Chooses from what a mirror has left on the standby.
pub(crate) fn basis(look: &Look) -> Basis {
    let Some(status) = stored_status(look).filter(|status| status.age_seconds_max.is_some()) else {
        return Basis::Heads { why: "no mirror runs" };
    };
    let refusal = match status.state.as_str() {
        "following" | "paused" | "waiting" | "fenced" => None,
        state => Some(format!("the mirror is {state}: {}", status.reason)),
    };
    Basis::Mirror { refusal }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser as _;
    use etcd_mvcc::{Revision as _, Value};
    use mirror_engine::freshness::{Age, Silence};
    use mirror_engine::orders::Stored;
    use monitor_api::StatusReport;

    use super::*;
    use crate::flags::CheckFlags;
    use crate::values::Format;

    const FRESH: Age = Age::AtMost(Duration::from_secs(3));

    #[derive(clap::Parser)]
    struct Only {
        #[command(flatten)]
        flags: CheckFlags,
    }

    fn asked(args: &[&str]) -> Option<Basis> {
        let args = ["etcd-check"].iter().chain(args);
        asked_for(&Options::new(Only::parse_from(args).flags, Format::Text).unwrap())
    }

    fn look(state: &str, age: Age) -> Look {
        // Whatever a clock says of when it was written.
        let observed_at = Some(u64::MAX);
        let report = StatusReport { state: state.into(), observed_at, ..StatusReport::default() };
        let json = serde_json::to_vec(&report.judged()).unwrap();
        let stored = Stored { status: Some(Value::from(json)), ..Stored::default() };
        Look { stored, age, alarms: Vec::new() }
    }

    #[test]
    fn a_mirror_that_runs_pins_a_pair_and_a_silent_one_does_not() {
        let running = basis(&look("following", FRESH));
        assert_eq!(running, Basis::Mirror { refusal: None });
        let silent = look("following", Age::Unknown(Silence::NoLeader(Duration::from_secs(6))));
        assert!(!basis(&silent).rests_on_a_mirror());
        let never = Look { stored: Stored::default(), ..silent };
        assert!(!basis(&never).rests_on_a_mirror());
    }

    #[test]
    fn a_mirror_between_two_states_has_no_pair_to_rely_on() {
        for state in ["starting", "copying", "blocked", "something new"] {
            let Basis::Mirror { refusal: Some(why) } = basis(&look(state, FRESH)) else {
                panic!("{state}");
            };
            assert!(why.contains(state), "{why}");
        }
    }

    #[test]
    fn what_was_asked_for_wins() {
        let past = asked(&["--at-revision", "7"]);
        assert_eq!(past, Some(Basis::Past(PrimaryRevision::new(7))));
        let heads = asked(&["--no-mirror"]).unwrap();
        assert!(!heads.rests_on_a_mirror());
        assert_eq!(asked(&[]), None);
    }
}
