//! The words of a check's report. A word that a reader does not know reads as unknown, never as
//! good news.

use serde::{Deserialize, Serialize};

/// What a check has to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckVerdict {
    /// Everything that was looked at is equal, at the revisions that the report names, but for what
    /// a live standby's own controllers rewrite; the reason says so.
    InSync,
    /// Something differs.
    Drift,
    /// There is no answer. What was found until then holds.
    #[default]
    #[serde(other)]
    Inconclusive,
}

impl CheckVerdict {
    /// The word for it in JSON, in headers and on the terminal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InSync => "in-sync",
            Self::Drift => "drift",
            Self::Inconclusive => "inconclusive",
        }
    }

    /// Tells whether it is an answer.
    #[must_use]
    pub const fn is_conclusive(self) -> bool {
        match self {
            Self::InSync | Self::Drift => true,
            Self::Inconclusive => false,
        }
    }
}

/// What a check looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckMode {
    /// Keys and values.
    Full,
    /// Which keys there are. Nothing is said about their values.
    KeysOnly,
    /// The report does not say.
    #[default]
    #[serde(other)]
    Unknown,
}

/// How the two clusters disagree on a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DifferenceKind {
    /// The standby lacks the key.
    Missed,
    /// The primary lacks the key.
    Surplus,
    /// Both have the key, with different values.
    Different,
    /// In a way that this version does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

impl DifferenceKind {
    /// The kinds that are counted, in the order of reports.
    pub const ALL: [Self; 3] = [Self::Missed, Self::Surplus, Self::Different];

    /// The word for it in JSON and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missed => "missed",
            Self::Surplus => "surplus",
            Self::Different => "different",
            Self::Unknown => "unknown",
        }
    }

    /// The heading of its keys in the text of `/check`, which scripts look for: frozen.
    pub(crate) const fn heading(self) -> &'static str {
        match self {
            Self::Missed => "LOCAL ETCD missed keys",
            Self::Surplus => "LOCAL ETCD surplus keys",
            Self::Different => "LOCAL ETCD different keys",
            Self::Unknown => "keys of an unknown kind",
        }
    }
}
