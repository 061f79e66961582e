//! What the mirror stores on the standby, and how it is written down.
//!
//! JSON, so that an operator can read it with `etcdctl get`. Readers ignore unknown fields;
//! a record of a newer version is refused, never guessed at.

mod text;

use etcd_mvcc::{ClusterId, Key, PrimaryRevision, Revision, StandbyRevision, Value};
use serde::{Deserialize, Serialize};

pub use self::text::RecordError;
pub(crate) use self::text::{KeyText, VERSION, known, parse, write};

/// The version of the checkpoints that this program writes. Version 1 lacks the standby's id and the
/// position of the primary's log: it is read, and the next checkpoint has them.
const CHECKPOINT_VERSION: u32 = 2;

/// Where the mirror stands. Written in the same transaction as the data that it speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// The primary that was read.
    pub cluster: ClusterId,
    /// The standby that was written; `None` in records of version 1.
    pub standby: Option<ClusterId>,
    /// Where the primary's log was; `None` where it was never known, as in records of version 1.
    pub raft: Option<RaftSeen>,
    /// The standby held everything up to this revision when a whole record was written.
    pub revision: PrimaryRevision,
    /// The epoch of the writer.
    pub epoch: u64,
    /// The hash of the filter, as text.
    pub scope: String,
    /// What the record promises.
    pub phase: Phase,
    /// What was last applied, by which a changed history shows itself.
    pub witnesses: Vec<Witness>,
    /// Who wrote what on the standby is known up to here.
    pub accounted: Accounted,
}

/// How far a primary's log had come: at least `index` entries for at most `revision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaftSeen {
    /// The term of the leader.
    pub term: u64,
    /// Entries that were committed.
    pub index: u64,
    /// The newest revision, read after the index.
    pub revision: PrimaryRevision,
}

/// What a checkpoint promises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// The standby equals the primary at the checkpoint's revision.
    #[default]
    Whole,
    /// A revision too wide for one transaction is partly applied.
    Torn {
        /// That revision.
        revision: PrimaryRevision,
    },
    /// A diff is being applied.
    Copying(CopyPosition),
}

/// How far a diff has been applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyPosition {
    /// The oldest revision that the round has read at: everything before `cursor` equals the
    /// primary at this revision or at a later one.
    pub base: PrimaryRevision,
    /// Keys that the primary changed at or before this revision were not compared; `None`
    /// compares all.
    pub since: Option<PrimaryRevision>,
    /// The first key, as the standby spells it, that has not been compared.
    pub cursor: Key,
    /// The deletions need no further word: the operator has accepted them, or there can be none.
    pub accepted: bool,
}

/// A change that was applied: at [`Checkpoint::revision`] the primary must still show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// The key, as the primary spells it.
    pub key: Key,
    /// The revision of its last change.
    pub modified: PrimaryRevision,
    /// The revision that made it; `None` if it was deleted, and in records of version 1.
    pub created: Option<PrimaryRevision>,
    /// The fingerprint of its value; `None` if it was deleted.
    pub fingerprint: Option<u128>,
}

/// Up to where every write on the standby is known to be ours or in the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounted {
    /// Everything up to and including this revision has been looked at.
    pub through: StandbyRevision,
    /// Our own transactions after it.
    pub ours: Vec<StandbyRevision>,
    /// Stretches (first, last) that were compacted before anybody looked at them.
    pub gaps: Vec<(StandbyRevision, StandbyRevision)>,
}

impl Accounted {
    /// Tells whether a key that was created at `revision` may be the work of somebody else, as
    /// far as the ledger can't say.
    #[must_use]
    pub fn may_be_foreign(&self, revision: StandbyRevision) -> bool {
        let unseen = revision > self.through
            || self.gaps.iter().any(|(first, last)| (*first..=*last).contains(&revision));
        unseen && !self.ours.contains(&revision)
    }
}

/// Who may write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// The fence number; grows with every takeover.
    pub number: u64,
    /// The process that holds it.
    pub owner: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct WitnessText {
    key: KeyText,
    modified: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct CopyText {
    base: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<i64>,
    cursor: KeyText,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    accepted: bool,
}

#[derive(Serialize, Deserialize)]
struct RaftText {
    term: u64,
    index: u64,
    revision: i64,
}

#[derive(Serialize, Deserialize)]
struct CheckpointText {
    version: u32,
    cluster: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    standby: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raft: Option<RaftText>,
    revision: i64,
    epoch: u64,
    scope: String,
    phase: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    torn: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    copy: Option<CopyText>,
    witnesses: Vec<WitnessText>,
    accounted: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ours: Vec<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gaps: Vec<(i64, i64)>,
}

#[derive(Serialize, Deserialize)]
struct EpochText {
    version: u32,
    epoch: u64,
    owner: String,
}

impl Checkpoint {
    /// Tells whether the standby equals the primary at [`Checkpoint::revision`].
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.phase == Phase::Whole
    }

    /// Writes the record down.
    #[must_use]
    pub fn encode(&self) -> Value {
        let (phase, torn, copy) = match &self.phase {
            Phase::Whole => ("whole", None, None),
            Phase::Torn { revision } => ("torn", Some(revision.get()), None),
            Phase::Copying(copy) => ("copying", None, Some(copy)),
        };
        write(&CheckpointText {
            version: CHECKPOINT_VERSION,
            cluster: self.cluster.to_string(),
            standby: self.standby.map(|cluster| cluster.to_string()),
            raft: self.raft.map(|RaftSeen { term, index, revision }| RaftText {
                term,
                index,
                revision: revision.get(),
            }),
            revision: self.revision.get(),
            epoch: self.epoch,
            scope: self.scope.clone(),
            phase: phase.to_owned(),
            torn,
            copy: copy.map(|copy| CopyText {
                base: copy.base.get(),
                since: copy.since.map(Revision::get),
                cursor: KeyText::from(&copy.cursor),
                accepted: copy.accepted,
            }),
            witnesses: self.witnesses.iter().map(Witness::text).collect(),
            accounted: self.accounted.through.get(),
            ours: self.accounted.ours.iter().map(|revision| revision.get()).collect(),
            gaps: self.accounted.gaps.iter().map(|(a, b)| (a.get(), b.get())).collect(),
        })
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// The bytes are no record, or one of a newer version.
    pub fn decode(value: &Value) -> Result<Self, RecordError> {
        let text: CheckpointText = parse("checkpoint", value)?;
        if text.version != VERSION {
            known("checkpoint", text.version, CHECKPOINT_VERSION)?;
        }
        let phase = match (text.phase.as_str(), text.torn, text.copy) {
            ("whole", None, None) => Phase::Whole,
            ("torn", Some(torn), None) => Phase::Torn { revision: PrimaryRevision::new(torn) },
            ("copying", None, Some(copy)) => Phase::Copying(CopyPosition {
                base: PrimaryRevision::new(copy.base),
                since: copy.since.map(PrimaryRevision::new),
                cursor: copy.cursor.into_key()?,
                accepted: copy.accepted,
            }),
            (phase, _, _) => {
                return Err(RecordError(format!(
                    "the checkpoint's phase {phase:?} makes no sense"
                )));
            }
        };
        let cluster = |id: &str| {
            let number = u64::from_str_radix(id, 16);
            number
                .map(ClusterId::new)
                .map_err(|_| RecordError("the checkpoint's cluster id is not hexadecimal".into()))
        };
        Ok(Self {
            cluster: cluster(&text.cluster)?,
            standby: text.standby.as_deref().map(cluster).transpose()?,
            raft: text.raft.map(|RaftText { term, index, revision }| RaftSeen {
                term,
                index,
                revision: PrimaryRevision::new(revision),
            }),
            revision: PrimaryRevision::new(text.revision),
            epoch: text.epoch,
            scope: text.scope,
            phase,
            witnesses: text
                .witnesses
                .into_iter()
                .map(Witness::from_text)
                .collect::<Result<_, _>>()?,
            accounted: Accounted {
                through: StandbyRevision::new(text.accounted),
                ours: text.ours.into_iter().map(StandbyRevision::new).collect(),
                gaps: text
                    .gaps
                    .into_iter()
                    .map(|(a, b)| (StandbyRevision::new(a), StandbyRevision::new(b)))
                    .collect(),
            },
        })
    }
}

impl Witness {
    pub(crate) fn text(&self) -> WitnessText {
        WitnessText {
            key: KeyText::from(&self.key),
            modified: self.modified.get(),
            created: self.created.map(Revision::get),
            fingerprint: self.fingerprint.map(|hash| format!("{hash:032x}")),
        }
    }

    pub(crate) fn from_text(text: WitnessText) -> Result<Self, RecordError> {
        let fingerprint =
            match text.fingerprint {
                Some(hash) => Some(u128::from_str_radix(&hash, 16).map_err(|_| {
                    RecordError("a witness's fingerprint is not hexadecimal".into())
                })?),
                None => None,
            };
        let modified = PrimaryRevision::new(text.modified);
        let created = text.created.map(PrimaryRevision::new);
        Ok(Self { key: text.key.into_key()?, modified, created, fingerprint })
    }
}

impl Epoch {
    /// Writes the record down.
    #[must_use]
    pub fn encode(&self) -> Value {
        write(&EpochText { version: VERSION, epoch: self.number, owner: self.owner.clone() })
    }

    /// Reads a record.
    ///
    /// # Errors
    ///
    /// The bytes are no record, or one of a newer version.
    pub fn decode(value: &Value) -> Result<Self, RecordError> {
        let text: EpochText = parse("epoch", value)?;
        known("epoch", text.version, VERSION)?;
        Ok(Self { number: text.epoch, owner: text.owner })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn checkpoint() -> impl Strategy<Value = Checkpoint> {
        let key = || prop::collection::vec(any::<u8>(), 1..12).prop_map(Key::from);
        let revision = || (0..i64::MAX).prop_map(PrimaryRevision::new);
        let standby = || (0..i64::MAX).prop_map(StandbyRevision::new);
        let created = || prop::option::of(revision());
        let witness = (key(), revision(), created(), any::<Option<u128>>()).prop_map(
            |(key, modified, created, fingerprint)| Witness { key, modified, created, fingerprint },
        );
        let copy = (revision(), prop::option::of(revision()), key(), any::<bool>()).prop_map(
            |(base, since, cursor, accepted)| {
                Phase::Copying(CopyPosition { base, since, cursor, accepted })
            },
        );
        let phase = prop_oneof![
            Just(Phase::Whole),
            revision().prop_map(|revision| Phase::Torn { revision }),
            copy
        ];
        let accounted = (
            standby(),
            prop::collection::vec(standby(), 0..3),
            prop::collection::vec((standby(), standby()), 0..2),
        )
            .prop_map(|(through, ours, gaps)| Accounted { through, ours, gaps });
        let raft = (any::<u64>(), any::<u64>(), revision())
            .prop_map(|(term, index, revision)| RaftSeen { term, index, revision });
        let others = (prop::option::of(any::<u64>()), prop::option::of(raft));
        let ids = (any::<u64>(), others, revision(), any::<u64>(), "[0-9a-f]{32}");
        (ids, phase, prop::collection::vec(witness, 0..4), accounted).prop_map(
            |((cluster, (standby, raft), revision, epoch, scope), phase, witnesses, accounted)| {
                Checkpoint {
                    cluster: ClusterId::new(cluster),
                    standby: standby.map(ClusterId::new),
                    raft,
                    revision,
                    epoch,
                    scope,
                    phase,
                    witnesses,
                    accounted,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn a_checkpoint_reads_back_as_it_was_written(checkpoint in checkpoint()) {
            prop_assert_eq!(Checkpoint::decode(&checkpoint.encode()), Ok(checkpoint));
        }

        #[test]
        fn bytes_that_are_no_checkpoint_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(Checkpoint::decode(&Value::from(bytes)).is_err());
        }
    }

    #[test]
    fn the_written_form_is_what_stored_checkpoints_hold() {
        let checkpoint = Checkpoint {
            cluster: ClusterId::new(0xbeef),
            standby: Some(ClusterId::new(0xcafe)),
            raft: Some(RaftSeen { term: 2, index: 9, revision: PrimaryRevision::new(7) }),
            revision: PrimaryRevision::new(7),
            epoch: 3,
            scope: "ab".into(),
            phase: Phase::Whole,
            witnesses: vec![Witness {
                key: Key::from("/registry/pods/a/b"),
                modified: PrimaryRevision::new(7),
                created: Some(PrimaryRevision::new(5)),
                fingerprint: Some(1),
            }],
            accounted: Accounted { through: StandbyRevision::new(9), ..Accounted::default() },
        };
        assert_eq!(
            String::from_utf8_lossy(checkpoint.encode().expose()),
            concat!(
                r#"{"version":2,"cluster":"beef","standby":"cafe","#,
                r#""raft":{"term":2,"index":9,"revision":7},"#,
                r#""revision":7,"epoch":3,"scope":"ab","phase":"whole","#,
                r#""witnesses":[{"key":"/registry/pods/a/b","modified":7,"created":5,"#,
                r#""fingerprint":"00000000000000000000000000000001"}],"accounted":9}"#
            )
        );
    }

    #[test]
    fn a_checkpoint_of_the_first_version_is_read() {
        let old = Value::from(concat!(
            r#"{"version":1,"cluster":"beef","revision":7,"epoch":3,"scope":"ab","phase":"whole","#,
            r#""witnesses":[{"key":"/registry/pods/a/b","modified":7,"#,
            r#""fingerprint":"00000000000000000000000000000001"}],"accounted":9}"#
        ));
        let checkpoint = Checkpoint::decode(&old).unwrap();
        assert_eq!((checkpoint.standby, checkpoint.raft), (None, None));
        let again = Checkpoint::decode(&checkpoint.encode()).unwrap();
        assert_eq!(again, checkpoint);
    }

    #[test]
    fn a_record_of_a_newer_version_is_refused() {
        let value = Value::from(r#"{"version":2,"epoch":1,"owner":"x"}"#);
        let error = Epoch::decode(&value).unwrap_err();
        assert_eq!(error.to_string(), "the epoch has version 2; this program knows 1");
    }
}
