//! Changes that were mirrored, kept so that another history shows itself.
//!
//! The checkpoint carries the newest few. The book holds more, of three kinds, because each kind
//! shows what the others don't: a key that was *changed* is seen to be older than it was, a key
//! that was *made* still has the revision that made it after many changes, and a key that was
//! *deleted* is seen to be back. Beside the newest of each it keeps some from ever further back,
//! so that something still stands after an outage in which everything recent was rewritten.

use std::collections::BTreeSet;

use etcd_mvcc::{Key, PrimaryRevision, Revision as _, Value};
use serde::{Deserialize, Serialize};

use crate::record::{RecordError, VERSION, Witness, WitnessText, known, parse, write};

/// Enough that a forged history has to agree in four places; few enough that a checkpoint stays
/// below a kilobyte.
const KEPT: usize = 4;

/// A longer key bears no witness: the records that hold it are written with every change.
pub(crate) const WITNESS_KEY_MAX: usize = 512;

/// The newest of each kind.
const NEWEST: usize = 24;

/// Older ones, each about twice as far back as the one before.
const OLDER: usize = 16;

/// Notes a change, if it is newer than what is kept.
pub(crate) fn note(kept: &mut Vec<Witness>, witness: Witness) {
    note_up_to(kept, witness, KEPT);
}

fn note_up_to(kept: &mut Vec<Witness>, witness: Witness, most: usize) {
    kept.retain(|other| other.key != witness.key);
    if witness.key.len() > WITNESS_KEY_MAX {
        return;
    }
    let at = kept.partition_point(|other| other.modified > witness.modified);
    kept.insert(at, witness);
    kept.truncate(most);
}

/// Something that happened at a revision.
pub(crate) trait Changed {
    fn revision(&self) -> PrimaryRevision;
}

/// Witnesses of a history, complete up to a revision: no key in it was changed between its own
/// revision and that one. Written to the standby every few seconds, with a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WitnessBook {
    /// Every change up to here has been looked at.
    pub through: PrimaryRevision,
    /// Newest first, as the other lists.
    changed: Vec<Witness>,
    made: Vec<Witness>,
    deleted: Vec<Witness>,
    older: Vec<Witness>,
}

#[derive(Serialize, Deserialize)]
struct BookText {
    version: u32,
    through: i64,
    witnesses: Vec<WitnessText>,
}

impl WitnessBook {
    /// Returns all witnesses.
    pub fn witnesses(&self) -> impl Iterator<Item = &Witness> {
        self.lists().into_iter().flatten()
    }

    fn lists(&self) -> [&Vec<Witness>; 4] {
        [&self.changed, &self.made, &self.deleted, &self.older]
    }

    fn lists_mut(&mut self) -> [&mut Vec<Witness>; 4] {
        [&mut self.changed, &mut self.made, &mut self.deleted, &mut self.older]
    }

    /// Takes in a change, in the order in which they happened.
    pub(crate) fn note(&mut self, witness: Witness) {
        for list in self.lists_mut() {
            list.retain(|other| other.key != witness.key);
        }
        let list = match (&witness.fingerprint, witness.created) {
            (None, _) => &mut self.deleted,
            (Some(_), Some(made)) if made == witness.modified => &mut self.made,
            (Some(_), _) => &mut self.changed,
        };
        let oldest = (list.len() == NEWEST).then(|| list.pop()).flatten();
        note_up_to(list, witness, NEWEST);
        self.older.extend(oldest.filter(|oldest| oldest.fingerprint.is_some()));
        if self.older.len() > OLDER {
            self.thin();
        }
    }

    /// Takes in changes of many keys, each key once: the keys that changed bear witness no longer,
    /// and the newest of the changes do.
    pub(crate) fn note_all<'c, C>(&mut self, changes: &'c [C], key: fn(&C) -> &Key)
    where
        C: Changed,
        Witness: From<&'c C>,
    {
        let held: BTreeSet<&Key> = self.witnesses().map(|witness| &witness.key).collect();
        let changed: BTreeSet<Key> =
            changes.iter().map(key).filter(|key| held.contains(key)).cloned().collect();
        if !changed.is_empty() {
            self.retain(|witness| !changed.contains(&witness.key));
        }
        let mut newest: Vec<&C> = changes.iter().collect();
        newest.sort_by_key(|change| std::cmp::Reverse(change.revision()));
        newest.truncate(2 * NEWEST);
        newest.into_iter().rev().for_each(|change| self.note(Witness::from(change)));
    }

    /// Drops the one of the older witnesses whose neighbours are closest to one another, measured
    /// by how far back they are.
    fn thin(&mut self) {
        self.older.sort_by_key(|witness| std::cmp::Reverse(witness.modified));
        let now = self.newest();
        let back: Vec<u64> =
            self.older.iter().map(|witness| now.ahead_of(witness.modified).max(1)).collect();
        let ratio = |window: &[u64]| match window {
            [before, _, after] => *after as f64 / *before as f64,
            _ => f64::MAX,
        };
        let crowded = back
            .windows(3)
            .map(ratio)
            .enumerate()
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map_or(0, |(at, _)| at + 1);
        if crowded < self.older.len() {
            self.older.remove(crowded);
        }
    }

    /// The few that go into every checkpoint, newest first: the newest of all, and the newest keys
    /// that were there before they were changed, for what is new may be gone for good reasons.
    pub(crate) fn summary(&self) -> Vec<Witness> {
        let mut newest: Vec<&Witness> = self.witnesses().collect();
        newest.sort_by_key(|witness| std::cmp::Reverse(witness.modified));
        let mut summary = Vec::new();
        let chosen = newest.into_iter().take(KEPT / 2).chain(self.changed.iter().take(KEPT / 2));
        chosen.for_each(|witness| note(&mut summary, witness.clone()));
        summary
    }

    /// The newest revision that a witness is of.
    pub(crate) fn newest(&self) -> PrimaryRevision {
        self.witnesses().map(|witness| witness.modified).max().unwrap_or_default()
    }

    /// Tells whether a change of this revision, found among others in no order, would be kept: it
    /// spares the hashing of all the rest.
    pub(crate) fn wants(&self, modified: PrimaryRevision, made: PrimaryRevision) -> bool {
        let list = if modified == made { &self.made } else { &self.changed };
        list.len() < NEWEST || list.last().is_some_and(|oldest| modified > oldest.modified)
    }

    /// Keeps only the witnesses of which `keep` says so.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Witness) -> bool) {
        for list in self.lists_mut() {
            list.retain(&keep);
        }
    }

    /// Writes the record down.
    #[must_use]
    pub fn encode(&self) -> Value {
        write(&BookText {
            version: VERSION,
            through: self.through.get(),
            witnesses: self.witnesses().map(Witness::text).collect(),
        })
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// The bytes are not such a record, or one of a newer version.
    pub fn decode(value: &Value) -> Result<Self, RecordError> {
        let text: BookText = parse("history record", value)?;
        known("history record", text.version, VERSION)?;
        let mut witnesses = Vec::new();
        for witness in text.witnesses {
            witnesses.push(Witness::from_text(witness)?);
        }
        witnesses.sort_by_key(|witness| witness.modified);
        let mut book = Self { through: PrimaryRevision::new(text.through), ..Self::default() };
        for witness in witnesses {
            book.note(witness);
        }
        Ok(book)
    }
}
