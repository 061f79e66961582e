//! Whether an etcd is there at all.

use std::time::Duration;

use dr_plan::Answer;
use dr_plan::plan::Side;
use etcd_mvcc::{FailureClass, ReadHead as _};
use tokio::time::sleep;

use super::Etcds;
use super::words::{either, fails, holds, unknown, unread};

/// How often each member is asked before it is called silent, a pause apart: a member that elects
/// a leader, or a lost packet, is no silence.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

impl Etcds {
    /// Whether no member of an etcd answers, however often one asks. Who is cut off himself hears
    /// nobody, so the other side has to answer.
    pub(super) async fn unreachable(&self, side: Side) -> Answer {
        let (gone, other) = (self.cluster(side), other(side));
        for attempt in 1..=ATTEMPTS {
            for endpoint in &gone.etcd.endpoints {
                let member = match self.at(side).member(endpoint) {
                    Ok(member) => member,
                    Err(wrong) => return unknown(wrong.message),
                };
                match member.health().await {
                    Ok(_) => return fails(format!("the member at {endpoint} answers")),
                    Err(failure) if failure.class == FailureClass::Retry => {}
                    Err(failure) => return unknown(format!("somebody is there: {failure}")),
                }
            }
            if attempt < ATTEMPTS {
                sleep(PAUSE).await;
            }
        }
        let members = gone.etcd.endpoints.len();
        let silence = format!("{members} of {members} etcd members of {} are silent", gone.name);
        let witness = match self.at(other).reader(&self.scope) {
            Ok(witness) => witness.head().await,
            Err(wrong) => return unknown(wrong.message),
        };
        let name = &self.cluster(other).name;
        match witness {
            Ok(_) => holds(format!("{silence}, that of {name} answers")),
            Err(failure) => unknown(format!(
                "{silence}, but so is {name}, or this machine is cut off: {failure}"
            )),
        }
    }

    /// Whether the etcd at an address is a member of the side's cluster.
    pub(super) async fn speaks(&self, endpoint: &str, side: Side) -> Answer {
        let (there, reader) = match (self.at(side).member(endpoint), self.reader(side)) {
            (Ok(there), Ok(reader)) => (there, reader),
            (Err(wrong), _) | (_, Err(wrong)) => return unknown(wrong.message),
        };
        let there = match there.head().await {
            Ok(head) => head.cluster,
            Err(failure) if failure.class == FailureClass::Retry => {
                return fails(format!("{endpoint} does not answer: {failure}"));
            }
            Err(failure) => return unknown(failure.to_string()),
        };
        match reader.head().await {
            Ok(head) => {
                let evidence = format!("{endpoint} is cluster {there}");
                either(head.cluster == there, evidence)
            }
            Err(failure) => unread(&self.cluster(side).name, &failure),
        }
    }
}

const fn other(side: Side) -> Side {
    match side {
        Side::Primary => Side::Standby,
        Side::Standby => Side::Primary,
    }
}
