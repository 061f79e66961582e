//! A key on which the clusters do not agree, as it is reported: without its values.

use etcd_mvcc::{Entry, Key, PrimaryRevision, Revision, StandbyRevision};

use crate::{Class, Difference, Facts, Pins};

/// How the clusters disagree on a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The standby lacks the key.
    Missed,
    /// The primary lacks the key.
    Surplus,
    /// Both have the key, with different values.
    Different,
}

impl Kind {
    /// All kinds, in the order of reports.
    pub const ALL: [Self; 3] = [Self::Missed, Self::Surplus, Self::Different];

    /// The word for it in reports and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missed => "missed",
            Self::Surplus => "surplus",
            Self::Different => "different",
        }
    }
}

/// What one side holds under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held<R> {
    /// When this life of the key began.
    pub created: R,
    /// When the key was last written.
    pub modified: R,
    /// The fingerprint of the value.
    pub fingerprint: u128,
    /// What the value says of itself.
    pub facts: Facts,
}

impl<R: Revision> From<&Entry<R>> for Held<R> {
    fn from(entry: &Entry<R>) -> Self {
        Self {
            created: entry.created,
            modified: entry.modified,
            fingerprint: entry.value.fingerprint(),
            facts: Facts::of(&entry.value),
        }
    }
}

/// A key on which the clusters do not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How they disagree.
    pub kind: Kind,
    /// The key, as the standby spells it.
    pub key: Key,
    /// The key, as the primary spells it; `None` where the primary lacks it.
    pub source: Option<Key>,
    /// What the primary holds.
    pub primary: Option<Held<PrimaryRevision>>,
    /// What the standby holds.
    pub standby: Option<Held<StandbyRevision>>,
    /// The revisions at which that is so.
    pub pins: Pins,
    /// Why, as far as it was found out.
    pub class: Class,
    /// What else there is to say, on one line; often nothing.
    pub note: String,
}

impl Finding {
    /// Keeps what a report needs of a difference, and lets the values go.
    pub(crate) fn new(difference: Difference, pins: Pins) -> Self {
        let key = difference.key().clone();
        match difference {
            Difference::Missed { source, primary } => {
                let held = (Some(Held::from(&primary)), None);
                Self::held(Kind::Missed, key, Some(source), held, pins)
            }
            Difference::Surplus { standby } => {
                Self::held(Kind::Surplus, key, None, (None, Some(Held::from(&standby))), pins)
            }
            Difference::Different { source, primary, standby } => {
                let held = (Some(Held::from(&primary)), Some(Held::from(&standby)));
                Self::held(Kind::Different, key, Some(source), held, pins)
            }
        }
    }

    pub(crate) fn held(
        kind: Kind,
        key: Key,
        source: Option<Key>,
        (primary, standby): (Option<Held<PrimaryRevision>>, Option<Held<StandbyRevision>>),
        pins: Pins,
    ) -> Self {
        let (class, note) = (Class::Unattributed, String::new());
        Self { kind, key, source, primary, standby, pins, class, note }
    }
}
