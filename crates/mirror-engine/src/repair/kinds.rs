//! Which differences a repair mends, and how many there are.

use std::fmt;

/// How a key differs between primary and standby.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RepairKind {
    /// The primary alone has it: the standby gets it.
    Missed,
    /// The standby alone has it: it is deleted.
    Surplus,
    /// Both have it, with other values: the standby gets the primary's.
    Different,
}

impl RepairKind {
    /// All kinds, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Missed, Self::Surplus, Self::Different];

    /// The word for it in flags, records and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missed => "missed",
            Self::Surplus => "surplus",
            Self::Different => "different",
        }
    }
}

impl fmt::Display for RepairKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which of the keys that only the standby has are deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Surplus {
    /// None.
    Left,
    /// Those that this mirror wrote and the primary has deleted. What others made stays.
    #[default]
    Stale,
    /// All of them, others' too.
    All,
}

/// Which differences a repair mends.
///
/// The default is what a resync mends: everything but the keys that others made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepairKinds {
    /// Keys that the primary alone has.
    pub missed: bool,
    /// Keys that both have, with other values.
    pub different: bool,
    /// Keys that the standby alone has.
    pub surplus: Surplus,
}

impl Default for RepairKinds {
    fn default() -> Self {
        Self { missed: true, different: true, surplus: Surplus::Stale }
    }
}

impl RepairKinds {
    /// The kinds that an operator asked for by name; without a name, the default. Others' keys are
    /// deleted only where surplus is asked for by name.
    #[must_use]
    pub fn named(kinds: &[RepairKind]) -> Self {
        if kinds.is_empty() {
            return Self::default();
        }
        let asked = |kind| kinds.contains(&kind);
        let surplus = if asked(RepairKind::Surplus) { Surplus::All } else { Surplus::Left };
        Self { missed: asked(RepairKind::Missed), different: asked(RepairKind::Different), surplus }
    }

    /// The part of it that writes values.
    pub(crate) fn puts(self) -> Self {
        Self { surplus: Surplus::Left, ..self }
    }

    /// The part of it that deletes keys.
    pub(crate) fn deletions(self) -> Self {
        Self { missed: false, different: false, ..self }
    }

    /// The words for it in records: `surplus` is said of all surplus, `stale` of the mirror's own.
    pub(crate) fn words(self) -> Vec<&'static str> {
        let surplus = match self.surplus {
            Surplus::Left => None,
            Surplus::Stale => Some("stale"),
            Surplus::All => Some(RepairKind::Surplus.as_str()),
        };
        let missed = self.missed.then_some(RepairKind::Missed.as_str());
        let different = self.different.then_some(RepairKind::Different.as_str());
        [missed, surplus, different].into_iter().flatten().collect()
    }

    /// Reads the words of a record; the error is the word that means nothing.
    pub(crate) fn from_words(words: &[String]) -> Result<Self, String> {
        let mut kinds = Self { missed: false, different: false, surplus: Surplus::Left };
        for word in words {
            match word.as_str() {
                "missed" => kinds.missed = true,
                "different" => kinds.different = true,
                "stale" => kinds.surplus = Surplus::Stale,
                "surplus" => kinds.surplus = Surplus::All,
                other => return Err(other.to_owned()),
            }
        }
        Ok(kinds)
    }
}

impl fmt::Display for RepairKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().join(", "))
    }
}

/// Keys by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RepairCounts {
    /// Keys that the primary alone has.
    pub missed: u64,
    /// Keys that both have, with other values.
    pub different: u64,
    /// Keys that the standby alone has.
    pub surplus: u64,
}

impl RepairCounts {
    /// Returns the sum.
    #[must_use]
    pub fn total(self) -> u64 {
        self.missed + self.different + self.surplus
    }

    /// Counts one more key of this kind.
    pub(crate) fn count(&mut self, kind: RepairKind) {
        match kind {
            RepairKind::Missed => self.missed += 1,
            RepairKind::Surplus => self.surplus += 1,
            RepairKind::Different => self.different += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_keys_are_deleted_only_where_surplus_is_named() {
        assert_eq!(RepairKinds::named(&[]), RepairKinds::default());
        assert_eq!(RepairKinds::default().surplus, Surplus::Stale);
        assert_eq!(RepairKinds::named(&[RepairKind::Surplus]).surplus, Surplus::All);
        for kinds in [&[RepairKind::Missed][..], &[RepairKind::Different, RepairKind::Missed]] {
            assert_eq!(RepairKinds::named(kinds).surplus, Surplus::Left);
        }
    }

    #[test]
    fn the_words_say_what_was_meant() {
        for missed in [false, true] {
            for different in [false, true] {
                for surplus in [Surplus::Left, Surplus::Stale, Surplus::All] {
                    let kinds = RepairKinds { missed, different, surplus };
                    let words: Vec<_> = kinds.words().iter().map(ToString::to_string).collect();
                    assert_eq!(RepairKinds::from_words(&words), Ok(kinds));
                }
            }
        }
        assert_eq!(RepairKinds::from_words(&["all".to_owned()]), Err("all".to_owned()));
    }
}
