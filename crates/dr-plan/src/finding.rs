//! What was found out.

use serde::{Deserialize, Serialize};

use crate::plan::Check;

/// How a claim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is so.
    Holds,
    /// It is not so.
    Fails,
    /// It is on the way: somebody did what leads to it.
    Pending,
    /// Nobody could tell. Never the same as not so.
    Unknown,
}

impl Verdict {
    /// Returns the word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Fails => "fails",
            Self::Pending => "pending",
            Self::Unknown => "unknown",
        }
    }

    /// Comes to one verdict on several claims: they hold if each does, and fail if one does. Else
    /// nobody can tell yet.
    #[must_use]
    pub fn of_all(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts.into_iter().fold(Self::Holds, |so_far, verdict| {
            if so_far == Self::Fails || verdict == Self::Fails {
                Self::Fails
            } else if so_far == verdict {
                so_far
            } else {
                Self::Unknown
            }
        })
    }
}

/// The answer to a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How the claim stands.
    pub verdict: Verdict,
    /// What was seen, in one line, without secrets: it is shown, and written into the journal.
    pub evidence: String,
}

impl Answer {
    /// Makes an answer.
    #[must_use]
    pub fn new(verdict: Verdict, evidence: impl Into<String>) -> Self {
        Self { verdict, evidence: evidence.into() }
    }
}

/// A claim and the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The claim.
    pub says: String,
    /// How it stands.
    pub verdict: Verdict,
    /// What was seen.
    pub evidence: String,
}

impl Finding {
    /// Puts a claim and its answer together.
    #[must_use]
    pub fn new(check: &Check, answer: Answer) -> Self {
        Self { says: check.says.clone(), verdict: answer.verdict, evidence: answer.evidence }
    }
}
