//! Is this the pair of clusters, and is this the history, that a checkpoint was taken from?
//!
//! One judgement, pure, for everybody who goes on from a checkpoint: the mirror, the check, the
//! plans, the repairs, the digest files and the exports. It yields *proven*, *refuted* or *not
//! decided*, each with its evidence in words. The absence of a contradiction is not a proof.
//!
//! # Evidence
//!
//! - **Identity**: the ids of both clusters, as the checkpoint names them.
//! - **The log**: the term and the committed entries of the primary's raft log never go back
//!   within one life of a cluster, and every revision takes at least one entry. A restore from a
//!   snapshot (`etcdutl snapshot restore`, with `--bump-revision` or not) begins both anew.
//! - **Witnesses**: changes that were mirrored. At a revision that can still be read, each must be
//!   there as it was. Today it may have changed since, but it can't be older than it was, and it
//!   can't have been changed or made at a revision up to which all of its changes are known.
//! - **Values**: where nothing else decides, every key that the primary last changed at or before
//!   the checkpoint must be on the standby as it is on the primary.
//!
//! # What it can't see
//!
//! A primary whose members were all set back to a copy of their data directories, which has since
//! gone past the checkpoint's revision and log position, has compacted past it, and shows none of
//! the witnesses as it was before: its log goes on from the copy and looks like one life.

mod witnesses;

use etcd_mvcc::{
    ClusterId, Entry, Failure, FailureClass, Key, Position, PrimaryRevision, RaftPosition,
    ReadHead, ReadRange, Revision as _, Side, StandbyRevision,
};

#[cfg(test)]
pub(crate) use self::witnesses::WITNESS_KEY_MAX;
pub use self::witnesses::WitnessBook;
pub(crate) use self::witnesses::{Changed, note};
use crate::own_keys::OwnKeys;
use crate::record::{Checkpoint, Phase, RaftSeen, RecordError, Witness};
use crate::status::GuardKind;

/// What is known of a primary's history, held against a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is the history that the checkpoint was taken from.
    Proven(Proof),
    /// It is another history, or another cluster.
    Refuted(Refutation),
    /// The evidence does not suffice. The text says what is missing, on one line.
    Undecided(String),
}

/// Why a history counts as the one that was mirrored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The checkpoint's revision can still be read.
    pub readable: bool,
    /// The proof reaches up to the checkpoint's revision itself: a key that the primary has not
    /// changed since needs no comparison. Otherwise values must be compared.
    pub exact: bool,
    /// Something speaks for it beyond the absence of a contradiction: the log, or a witness.
    pub continuous: bool,
    /// Further witnesses, as they are at the checkpoint's revision; empty where it is compacted.
    pub book: WitnessBook,
    /// The evidence, on one line.
    pub evidence: String,
}

/// What shows that a history is not the one that was mirrored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refutation {
    /// The guard that it belongs to.
    pub guard: GuardKind,
    /// The evidence, on one line.
    pub evidence: String,
}

/// Single keys to read from the primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The keys.
    pub keys: Vec<Key>,
    /// The revision to read at; `None` for the newest.
    pub at: Option<PrimaryRevision>,
}

/// A judgement under way: asks for the witnesses, at the checkpoint's revision first, then as they
/// are today. Performs no I/O.
#[derive(Clone, Debug)]
pub struct Inquiry {
    revision: PrimaryRevision,
    log: Log,
    witnesses: Vec<Known>,
    /// Where the witnesses are asked for.
    at: Option<PrimaryRevision>,
}

/// A witness, and the revision up to which every change of its key is known.
#[derive(Clone, Debug)]
struct Known {
    witness: Witness,
    through: PrimaryRevision,
}

/// What the log's position says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Log {
    /// It goes on from where it was.
    GoesOn,
    /// It was not known then, or is not known now.
    Unknown,
}

/// What a witness says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// The key is as it was mirrored.
    Stands,
    /// The key has changed since, or is gone: nothing speaks against that.
    MovedOn,
    /// The key can't be so in the history that was mirrored.
    Contradicts,
}

impl Inquiry {
    /// Begins with what both clusters say of themselves. `book` holds further witnesses, where
    /// they were stored.
    ///
    /// # Errors
    ///
    /// These answers alone refute the checkpoint.
    pub fn open(
        checkpoint: &Checkpoint,
        book: Option<&WitnessBook>,
        primary: &Position<PrimaryRevision>,
        standby: ClusterId,
    ) -> Result<Self, Refutation> {
        let refuted = |guard, evidence| Err(Refutation { guard, evidence });
        if checkpoint.cluster != primary.head.cluster {
            let (found, stored) = (primary.head.cluster, checkpoint.cluster);
            let evidence = format!(
                "the primary is cluster {found}; the checkpoint was taken from cluster {stored}"
            );
            return refuted(GuardKind::ClusterChanged, evidence);
        }
        if let Some(stored) = checkpoint.standby.filter(|stored| *stored != standby) {
            let evidence = format!(
                "the standby is cluster {standby}; the checkpoint was written to cluster {stored}"
            );
            return refuted(GuardKind::StandbyChanged, evidence);
        }
        let proven_at = match &checkpoint.phase {
            Phase::Copying(position) => checkpoint.revision.max(position.base),
            Phase::Whole | Phase::Torn { .. } => checkpoint.revision,
        };
        if primary.head.revision < proven_at {
            let found = primary.head.revision;
            let evidence = format!(
                "the primary's history changed: its revision went back to {found}, below the \
                 checkpoint's {proven_at}"
            );
            return refuted(GuardKind::HistoryChanged, evidence);
        }
        let log = match (checkpoint.raft, &primary.raft) {
            (Some(seen), Some(raft)) => {
                if let Some(evidence) = log_went_back(&seen, primary.head.revision, raft) {
                    return refuted(GuardKind::HistoryChanged, evidence);
                }
                Log::GoesOn
            }
            (None, _) | (_, None) => Log::Unknown,
        };
        let copying = matches!(checkpoint.phase, Phase::Copying(_));
        let mut witnesses: Vec<Known> = Vec::new();
        for witness in &checkpoint.witnesses {
            // A copy under way has witnesses that are newer than the checkpoint's revision.
            let through = if copying { witness.modified } else { checkpoint.revision };
            witnesses.push(Known { witness: witness.clone(), through });
        }
        // What the book knows beyond the checkpoint was never applied.
        let book = book.filter(|book| book.through <= checkpoint.revision);
        for witness in book.into_iter().flat_map(|book| book.witnesses().map(|w| (w, book.through)))
        {
            let (witness, through) = witness;
            if witnesses.iter().all(|known| known.witness.key != witness.key) {
                witnesses.push(Known { witness: witness.clone(), through });
            }
        }
        let at = (!copying).then_some(checkpoint.revision);
        Ok(Self { revision: checkpoint.revision, log, witnesses, at })
    }

    /// What to ask the primary next; `None` if there is nothing to ask for.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        let keys: Vec<_> = self.witnesses.iter().map(|known| known.witness.key.clone()).collect();
        (!keys.is_empty()).then_some(Question { keys, at: self.at })
    }

    /// Judges what came of [`Inquiry::question`]; `None` if there is another question, because the
    /// checkpoint's revision is compacted.
    ///
    /// # Errors
    ///
    /// The question was not answered.
    pub fn answer(
        &mut self,
        answer: Result<Vec<Option<Entry<PrimaryRevision>>>, Failure>,
    ) -> Result<Option<Judgement>, Failure> {
        match answer {
            Ok(entries) => Ok(Some(self.judge(&entries))),
            Err(failure) if failure.class == FailureClass::Resync && self.at.is_some() => {
                self.at = None;
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Judges without an answer, where there is no question.
    #[must_use]
    pub fn unasked(&self) -> Judgement {
        self.judge(&[])
    }

    /// The witnesses as they are at the checkpoint's revision.
    fn refreshed(&self, entries: &[Option<Entry<PrimaryRevision>>]) -> WitnessBook {
        let mut book = WitnessBook::default();
        book.through = self.revision;
        let mut witnesses: Vec<Witness> = Vec::new();
        for (known, entry) in self.witnesses.iter().zip(entries) {
            match entry {
                Some(entry) => witnesses.push(Witness::from(entry)),
                None if known.witness.fingerprint.is_none() => {
                    witnesses.push(known.witness.clone());
                }
                None => {}
            }
        }
        witnesses.sort_by_key(|witness| witness.modified);
        witnesses.into_iter().for_each(|witness| book.note(witness));
        book
    }

    fn judge(&self, entries: &[Option<Entry<PrimaryRevision>>]) -> Judgement {
        let mut standing: Option<&Known> = None;
        for (known, entry) in self.witnesses.iter().zip(entries) {
            match known.word(entry.as_ref(), self.at) {
                Word::Contradicts => {
                    let evidence = format!(
                        "the primary's history changed: it does not show {} as it was mirrored \
                         (restored from an older copy?)",
                        known.witness.key
                    );
                    let guard = GuardKind::HistoryChanged;
                    return Judgement::Refuted(Refutation { guard, evidence });
                }
                Word::Stands
                    if standing.is_none_or(|s| s.witness.modified < known.witness.modified) =>
                {
                    standing = Some(known);
                }
                Word::Stands | Word::MovedOn => {}
            }
        }
        let log = match self.log {
            Log::GoesOn => "its raft log goes on from where it was",
            Log::Unknown => "the position of its raft log is unknown",
        };
        if self.at.is_some() && !self.witnesses.is_empty() {
            let evidence = format!(
                "at revision {} the primary shows what was mirrored last; {log}",
                self.revision
            );
            let book = self.refreshed(entries);
            return Judgement::Proven(Proof {
                readable: true,
                exact: true,
                continuous: true,
                book,
                evidence,
            });
        }
        let compacted = |exact, evidence| {
            Judgement::Proven(Proof {
                readable: false,
                exact,
                continuous: self.log == Log::GoesOn || standing.is_some(),
                book: WitnessBook::default(),
                evidence,
            })
        };
        if let Some(known) = standing.filter(|known| known.witness.modified == self.revision) {
            let key = &known.witness.key;
            let evidence =
                format!("{key} still stands as revision {} left it; {log}", self.revision);
            return compacted(true, evidence);
        }
        let newest = standing.map_or_else(
            || "no key that was noted is as it was".to_owned(),
            |known| {
                let Witness { key, modified, .. } = &known.witness;
                format!("{key} still stands as revision {modified} left it")
            },
        );
        match self.log {
            Log::GoesOn => {
                let evidence = format!("{log}; {newest}");
                compacted(false, evidence)
            }
            Log::Unknown => Judgement::Undecided(format!(
                "the primary has compacted revision {}, {newest}, and {log}: let the mirror's user \
                 ask for the member's status, or compare the values",
                self.revision
            )),
        }
    }
}

impl Known {
    /// What the witness says of how the key is at `at`, or today.
    fn word(&self, entry: Option<&Entry<PrimaryRevision>>, at: Option<PrimaryRevision>) -> Word {
        let Witness { modified, created, fingerprint, .. } = &self.witness;
        let Some(entry) = entry else {
            let must_be_there = at.is_some_and(|at| at <= self.through);
            return match (fingerprint, must_be_there) {
                (Some(_), true) => Word::Contradicts,
                (None, _) | (Some(_), false) => Word::MovedOn,
            };
        };
        if entry.modified == *modified {
            let same = *fingerprint == Some(entry.value.fingerprint());
            return if same { Word::Stands } else { Word::Contradicts };
        }
        // Every change of the key up to `through` is known: this one is not among them.
        if entry.modified <= self.through {
            return Word::Contradicts;
        }
        // It was made up to then: by the same write as the witness, if that knows which.
        let made_then = entry.created <= self.through;
        let by_another = created.is_some_and(|created| created != entry.created);
        if made_then && (fingerprint.is_none() || by_another) {
            return Word::Contradicts;
        }
        Word::MovedOn
    }
}

/// Says what is wrong if a log can't have come from `seen` to `raft` within one life.
pub(crate) fn log_went_back(
    seen: &RaftSeen,
    revision: PrimaryRevision,
    raft: &RaftPosition,
) -> Option<String> {
    if raft.term < seen.term {
        return Some(format!(
            "the primary's history changed: the term of its raft log went back from {} to {} \
             (restored from a snapshot?)",
            seen.term, raft.term
        ));
    }
    if raft.index_after < seen.index {
        return Some(format!(
            "the primary's history changed: its raft log went back from entry {} to {} (restored \
             from a snapshot?)",
            seen.index, raft.index_after
        ));
    }
    let (entries, revisions) = (raft.index_after - seen.index, revision.ahead_of(seen.revision));
    (entries < revisions).then(|| {
        format!(
            "the primary's history changed: its revision grew by {revisions} while its raft log \
             grew by {entries} entries, and every revision takes one (restored with a bumped \
             revision?)"
        )
    })
}

/// Why there is no judgement.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProofError {
    /// A side did not answer, or refused.
    #[error("the {}: {failure}", side_name(*side))]
    Unread {
        /// The side.
        side: Side,
        /// Why.
        failure: Failure,
    },
    /// What is stored on the standby can't be understood.
    #[error(transparent)]
    Record(#[from] RecordError),
}

const fn side_name(side: Side) -> &'static str {
    match side {
        Side::Primary => "primary",
        Side::Standby => "standby",
    }
}

/// Judges by what the mirror called `name` had stored on the standby at `at`, or has today; `None` if
/// it has no checkpoint.
///
/// # Errors
///
/// A side did not answer, or a record can't be understood.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind.
pub async fn prove_stored<P, S>(
    primary: &P,
    standby: &S,
    name: &str,
    at: Option<StandbyRevision>,
) -> Result<Option<Judgement>, ProofError>
where
    P: ReadHead<Revision = PrimaryRevision> + ReadRange<Revision = PrimaryRevision>,
    S: ReadHead<Revision = StandbyRevision> + ReadRange<Revision = StandbyRevision>,
{
    let unread = |side| move |failure| ProofError::Unread { side, failure };
    let OwnKeys { checkpoint, history, .. } = OwnKeys::new(name);
    let here = standby.head().await.map_err(unread(Side::Standby))?;
    let entries = standby.read_keys(&[checkpoint, history], at).await;
    let mut entries = entries.map_err(unread(Side::Standby))?.into_iter();
    let Some(entry) = entries.next().flatten() else { return Ok(None) };
    let checkpoint = Checkpoint::decode(&entry.value)?;
    let book = entries.next().flatten().map(|entry| WitnessBook::decode(&entry.value));
    let book = book.transpose()?;
    let judged = prove(primary, here.cluster, &checkpoint, book.as_ref()).await;
    judged.map(Some).map_err(unread(Side::Primary))
}

/// Judges, asking the primary what has to be asked.
///
/// # Errors
///
/// Whatever kept the primary from answering.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind.
pub async fn prove<P>(
    primary: &P,
    standby: ClusterId,
    checkpoint: &Checkpoint,
    book: Option<&WitnessBook>,
) -> Result<Judgement, Failure>
where
    P: ReadHead<Revision = PrimaryRevision> + ReadRange<Revision = PrimaryRevision>,
{
    let position = primary.position().await?;
    let mut inquiry = match Inquiry::open(checkpoint, book, &position, standby) {
        Ok(inquiry) => inquiry,
        Err(refutation) => return Ok(Judgement::Refuted(refutation)),
    };
    while let Some(Question { keys, at }) = inquiry.question() {
        if let Some(judgement) = inquiry.answer(primary.read_keys(&keys, at).await)? {
            return Ok(judgement);
        }
    }
    Ok(inquiry.unasked())
}

#[cfg(test)]
mod tests;
