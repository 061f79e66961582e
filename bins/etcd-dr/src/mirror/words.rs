//! Answers, in one line each.

use dr_plan::{Answer, Verdict};
use etcd_mvcc::Failure;

pub(super) fn holds(evidence: impl Into<String>) -> Answer {
    Answer::new(Verdict::Holds, evidence)
}

pub(super) fn fails(evidence: impl Into<String>) -> Answer {
    Answer::new(Verdict::Fails, evidence)
}

pub(super) fn pending(evidence: impl Into<String>) -> Answer {
    Answer::new(Verdict::Pending, evidence)
}

pub(super) fn unknown(evidence: impl Into<String>) -> Answer {
    Answer::new(Verdict::Unknown, evidence)
}

/// It is so, or it is not.
pub(super) fn either(is_so: bool, evidence: impl Into<String>) -> Answer {
    if is_so { holds(evidence) } else { fails(evidence) }
}

/// What is left when an etcd could not be asked.
pub(super) fn unread(name: &str, failure: &Failure) -> Answer {
    unknown(format!("the etcd of {name} could not be asked: {failure}"))
}
