//! Answers and outcomes, in one line each and without secrets.

use dr_plan::runner::Acted;
use dr_plan::{Answer, Verdict};

/// How many characters of evidence are kept.
const EVIDENCE_CHARS_MAX: usize = 1_000;

/// Why an action was not done, or is not known to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDone {
    /// It was refused, or can't be done: nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// The answer was lost: it may be done.
    #[error("nobody knows: {0}")]
    Unknown(String),
}

/// Puts the outcome of an action into the runner's words.
#[must_use]
pub fn acted(outcome: Result<String, NotDone>) -> Acted {
    match outcome {
        Ok(_) => Acted::Accepted,
        Err(NotDone::Refused(why)) => Acted::Refused(why),
        Err(NotDone::Unknown(why)) => Acted::Unknown(why),
    }
}

pub(crate) fn holds(evidence: impl Into<String>) -> Answer {
    Answer::new(Verdict::Holds, evidence)
}

pub(crate) fn fails(evidence: impl Into<String>) -> Answer {
    Answer::new(Verdict::Fails, evidence)
}

pub(crate) fn pending(evidence: impl Into<String>) -> Answer {
    Answer::new(Verdict::Pending, evidence)
}

pub(crate) fn unknown(evidence: impl Into<String>) -> Answer {
    Answer::new(Verdict::Unknown, evidence)
}

/// Makes one line of a text, whatever a server put into it.
pub(crate) fn one_line(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let joined = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    if joined.chars().count() <= EVIDENCE_CHARS_MAX {
        return joined;
    }
    let mut cut: String = joined.chars().take(EVIDENCE_CHARS_MAX).collect();
    cut.push('…');
    cut
}
