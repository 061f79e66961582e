//! The newest changes that were applied, kept so that a changed history shows itself.

use etcd_mvcc::{Change, Entry, Failure, FailureClass, Key, Op, PrimaryRevision};

use super::batch::Placed;
use crate::record::Witness;

/// Enough that a forged history has to agree in four places; few enough that a checkpoint stays
/// below a kilobyte.
const KEPT: usize = 4;

/// Notes a change, if it is newer than what is kept.
pub(crate) fn note(kept: &mut Vec<Witness>, witness: Witness) {
    kept.retain(|other| other.key != witness.key);
    let at = kept.partition_point(|other| other.modified > witness.modified);
    kept.insert(at, witness);
    kept.truncate(KEPT);
}

/// Tells whether noting a change of this revision would keep it.
pub(crate) fn is_newer(kept: &[Witness], modified: PrimaryRevision) -> bool {
    kept.len() < KEPT || kept.last().is_some_and(|oldest| modified > oldest.modified)
}

impl From<&Placed> for Witness {
    fn from(change: &Placed) -> Self {
        Self {
            key: change.primary_key.clone(),
            modified: change.modified,
            created: change.created,
            fingerprint: match &change.op {
                Op::Put { value, .. } => Some(value.fingerprint()),
                Op::Delete { .. } => None,
            },
        }
    }
}

impl From<&Change<PrimaryRevision>> for Witness {
    fn from(change: &Change<PrimaryRevision>) -> Self {
        Self {
            key: change.key().clone(),
            modified: change.modified(),
            created: match change {
                Change::Put(entry) => Some(entry.created),
                Change::Delete { .. } => None,
            },
            fingerprint: match change {
                Change::Put(entry) => Some(entry.value.fingerprint()),
                Change::Delete { .. } => None,
            },
        }
    }
}

/// What the primary says of the witnesses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The history is the one that was mirrored, as far as it can be seen.
    Holds,
    /// It can be seen no longer at the revision asked for: ask for today's.
    AskNow,
    /// It is another history; the key shows it.
    Broken(Key),
}

/// Judges what the primary answered when it was asked for the witnesses, at the checkpoint's
/// revision (`pinned`) or, that being compacted, for their newest state.
pub(crate) fn judge(
    witnesses: &[Witness],
    answer: &Result<Vec<Option<Entry<PrimaryRevision>>>, Failure>,
    pinned: bool,
) -> Result<Proof, Failure> {
    let entries = match answer {
        Ok(entries) => entries,
        Err(failure) if failure.class == FailureClass::Resync && pinned => {
            return Ok(Proof::AskNow);
        }
        Err(failure) => return Err(failure.clone()),
    };
    let broken = witnesses.iter().zip(entries).find(|(witness, entry)| {
        let agrees = match entry {
            Some(entry) if entry.modified == witness.modified => {
                witness.fingerprint == Some(entry.value.fingerprint())
            }
            // Changed since, and the revision in between can't be read any more.
            Some(entry) => !pinned && entry.modified > witness.modified,
            None => !pinned || witness.fingerprint.is_none(),
        };
        !agrees
    });
    Ok(broken.map_or(Proof::Holds, |(witness, _)| Proof::Broken(witness.key.clone())))
}

#[cfg(test)]
mod tests {
    use etcd_mvcc::{Revision, Value};

    use super::*;

    fn witness(key: &str, modified: i64) -> Witness {
        Witness {
            key: Key::from(key),
            modified: PrimaryRevision::new(modified),
            created: Some(PrimaryRevision::new(modified)),
            fingerprint: Some(Value::from("v").fingerprint()),
        }
    }

    fn entry(key: &str, modified: i64, value: &str) -> Option<Entry<PrimaryRevision>> {
        let modified = PrimaryRevision::new(modified);
        let (key, value) = (Key::from(key), Value::from(value));
        Some(Entry { key, value, created: modified, modified, version: 1, lease: 0 })
    }

    fn verdict(entry: Option<Entry<PrimaryRevision>>, pinned: bool) -> Proof {
        judge(&[witness("a", 5)], &Ok(vec![entry]), pinned).unwrap()
    }

    #[test]
    fn the_newest_changes_are_kept_each_key_once() {
        let mut kept = Vec::new();
        for (key, modified) in [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("d", 5), ("e", 6)] {
            note(&mut kept, witness(key, modified));
        }
        let kept: Vec<_> = kept.iter().map(|w| (w.key.to_string(), w.modified.get())).collect();
        let expected = [("e", 6), ("d", 5), ("c", 4), ("a", 3)];
        assert_eq!(kept, expected.map(|(key, modified)| (key.to_owned(), modified)));
    }

    #[test]
    fn at_the_checkpoint_a_witness_must_be_exactly_as_it_was() {
        let broken = Proof::Broken(Key::from("a"));
        assert_eq!(verdict(entry("a", 5, "v"), true), Proof::Holds);
        assert_eq!(verdict(entry("a", 5, "w"), true), broken);
        assert_eq!(verdict(entry("a", 4, "v"), true), broken);
        assert_eq!(verdict(None, true), broken);
    }

    #[test]
    fn today_a_witness_may_have_moved_on_but_not_back() {
        let broken = Proof::Broken(Key::from("a"));
        assert_eq!(verdict(entry("a", 9, "w"), false), Proof::Holds);
        assert_eq!(verdict(None, false), Proof::Holds);
        assert_eq!(verdict(entry("a", 4, "v"), false), broken);
        assert_eq!(verdict(entry("a", 5, "w"), false), broken);
    }
}
