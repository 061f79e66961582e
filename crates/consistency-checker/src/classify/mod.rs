//! Why a key differs, from what the standby's history, the mirror's own records and the values
//! themselves bear witness of.
//!
//! A key that differs differs, whatever its class: a class says whom to ask about it. What a report
//! concludes from classes is the report's affair.

mod evidence;
mod facts;
mod history;
mod owners;
mod rewritten;

use std::collections::BTreeSet;
use std::fmt;

use etcd_mvcc::{PrimaryRevision, ReadRange, StandbyRevision};
use keyspace_filter::OWN_PREFIX;
use keyspace_filter::grammar::Grammar;

pub use self::evidence::{Arrival, Evidence, Writer};
pub use self::facts::{Envelope, Facts, Owner};
use self::history::Deletion;
use self::rewritten::rewriter;
use crate::{Finding, Kind};

/// Why a key differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Somebody else wrote or deleted the key on the standby.
    ForeignWrite,
    /// Somebody else deleted an object on the standby of which no owner exists there: its garbage
    /// collector, most likely.
    Collected,
    /// A controller of the standby has rewritten its own part of the object, as it does in every
    /// live cluster.
    Rewritten,
    /// The mirror keeps the primary's object off the standby, and has said why. What is there under
    /// the key is the standby's own.
    HeldBack,
    /// The object is being deleted, on one side only or faster on one.
    Terminating,
    /// Somebody else wrote the key on the standby, and both values are encrypted: most likely the
    /// same object under another key or nonce. Whoever has the keys can prove it: if the objects
    /// are not the same, they are judged as if they were not encrypted.
    Reencrypted,
    /// The value is encrypted under a key that nothing on the standby is encrypted under.
    UnreadableKey,
    /// The mirror wrote the key and the primary has deleted it since; a resync deletes it.
    Stale,
    /// The primary's change is newer than what the mirror has applied.
    NotMirroredYet,
    /// The mirror was the last to write the key, and wrote something else than the primary had:
    /// never to happen.
    EngineDefect,
    /// The evidence is gone: compacted, or nobody kept any.
    Unattributed,
}

impl Class {
    /// All classes.
    pub const ALL: [Self; 11] = [
        Self::ForeignWrite,
        Self::Collected,
        Self::Rewritten,
        Self::HeldBack,
        Self::Terminating,
        Self::Reencrypted,
        Self::UnreadableKey,
        Self::Stale,
        Self::NotMirroredYet,
        Self::EngineDefect,
        Self::Unattributed,
    ];

    /// The word for it in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ForeignWrite => "foreign-write",
            Self::Collected => "collected",
            Self::Rewritten => "rewritten",
            Self::HeldBack => "held-back",
            Self::Terminating => "terminating",
            Self::Reencrypted => "re-encrypted",
            Self::UnreadableKey => "unreadable-key",
            Self::Stale => "stale",
            Self::NotMirroredYet => "not-mirrored-yet",
            Self::EngineDefect => "engine-defect",
            Self::Unattributed => "unattributed",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Finds out why keys differ.
#[derive(Debug)]
pub struct Classifier<'a, S, E> {
    /// How to read the standby, and its history.
    pub standby: &'a S,
    /// What the mirror has recorded.
    pub evidence: &'a E,
    /// How keys are spelt.
    pub grammar: &'a Grammar,
    /// What values on the standby were seen to be encrypted under.
    pub readable: &'a BTreeSet<Envelope>,
}

/// Tells whether both values are encrypted, and hold the same as far as anybody can tell: whoever
/// has no keys can't.
fn is_sealed_anew(there: &Facts, here: &Facts) -> bool {
    let opened = there.content.zip(here.content);
    there.envelope.is_some()
        && here.envelope.is_some()
        && opened.is_none_or(|(there, here)| there == here)
}

/// A class, and what else there is to say.
type Judgement = (Class, String);

fn plain(class: Class) -> Judgement {
    (class, String::new())
}

impl<S, E> Classifier<'_, S, E>
where
    S: ReadRange<Revision = StandbyRevision>,
    E: Evidence,
{
    /// Sets the class of a finding. What can't be read leaves it unattributed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the finding as it was.
    pub async fn classify(&self, finding: &mut Finding) {
        let (class, note) = match finding.kind {
            Kind::Missed => self.missed(finding).await,
            Kind::Surplus => self.surplus(finding).await,
            Kind::Different => self.different(finding).await,
        };
        (finding.class, finding.note) = (class, note);
    }

    async fn missed(&self, finding: &Finding) -> Judgement {
        let Some(primary) = &finding.primary else { return plain(Class::Unattributed) };
        if let Some(why) = self.evidence.held_back(&finding.key).await {
            return (Class::HeldBack, why);
        }
        let gone = finding.pins.standby;
        let deletion = match self.evidence.arrival(primary.modified, gone).await {
            Arrival::NotYet => return plain(Class::NotMirroredYet),
            Arrival::At { revision, strictly } => {
                match self.holds(finding, revision).await {
                    None => Deletion::Unknown,
                    Some(true) => self.deletion_between(&finding.key, revision, gone).await,
                    Some(false) if strictly => {
                        let note = format!("the transaction at {revision} should have written it");
                        return (Class::EngineDefect, note);
                    }
                    // It came while a copy ran, and was gone when the copy ended.
                    Some(false) => self.deletion(&finding.key, revision).await,
                }
            }
            Arrival::Unknown => self.deletion(&finding.key, gone).await,
        };
        let Deletion::At(at) = deletion else { return self.vanished(finding).await };
        match self.evidence.writer(at).await {
            Writer::Mirror => (Class::EngineDefect, format!("the mirror deleted it at {at}")),
            Writer::Unknown => plain(Class::Unattributed),
            Writer::Other => {
                let (class, note) = self.deleted_by_others(finding).await;
                let when = format!("deleted on the standby at {at}");
                (class, if note.is_empty() { when } else { format!("{when}; {note}") })
            }
        }
    }

    /// Nobody knows when the key vanished; what the value says may still tell why.
    async fn vanished(&self, finding: &Finding) -> Judgement {
        match self.deleted_by_others(finding).await {
            (Class::ForeignWrite, _) => plain(Class::Unattributed),
            told => told,
        }
    }

    async fn deleted_by_others(&self, finding: &Finding) -> Judgement {
        let Some(primary) = &finding.primary else { return plain(Class::ForeignWrite) };
        if finding.key.as_bytes().starts_with(OWN_PREFIX.as_bytes()) {
            // It is parked: nothing on the standby but people and programs reaches it there.
            return plain(Class::ForeignWrite);
        }
        if let Some(envelope) = &primary.facts.envelope
            && !self.readable.contains(envelope)
        {
            return (Class::UnreadableKey, format!("encrypted under {envelope}"));
        }
        if primary.facts.deleting {
            return (Class::Terminating, "being deleted on the primary".to_owned());
        }
        match self.absent_owner(finding, &primary.facts).await {
            Some(owner) => (Class::Collected, format!("its owner {owner} is not on the standby")),
            None => plain(Class::ForeignWrite),
        }
    }

    async fn surplus(&self, finding: &Finding) -> Judgement {
        let Some(standby) = &finding.standby else { return plain(Class::Unattributed) };
        let (created, modified) = (standby.created, standby.modified);
        match self.evidence.maker(&finding.key, created, modified).await {
            Writer::Other => plain(Class::ForeignWrite),
            Writer::Unknown => plain(Class::Unattributed),
            Writer::Mirror if self.evidence.is_pair() => {
                (Class::EngineDefect, format!("the mirror wrote it at {modified}"))
            }
            Writer::Mirror => plain(Class::Stale),
        }
    }

    async fn different(&self, finding: &Finding) -> Judgement {
        let (Some(primary), Some(standby)) = (&finding.primary, &finding.standby) else {
            return plain(Class::Unattributed);
        };
        if let Some(why) = self.evidence.held_back(&finding.key).await {
            return (Class::HeldBack, why);
        }
        match self.evidence.writer(standby.modified).await {
            Writer::Other if is_sealed_anew(&primary.facts, &standby.facts) => {
                plain(Class::Reencrypted)
            }
            Writer::Other if standby.facts.deleting && !primary.facts.deleting => {
                (Class::Terminating, "being deleted on the standby".to_owned())
            }
            Writer::Other => {
                let when = format!("written on the standby at {}", standby.modified);
                match rewriter(self.grammar, finding) {
                    Some(who) => (Class::Rewritten, format!("{who}; {when}")),
                    None => (Class::ForeignWrite, when),
                }
            }
            _ if self.is_newer_than_the_mirror(primary.modified) => plain(Class::NotMirroredYet),
            Writer::Mirror => {
                (Class::EngineDefect, format!("the mirror wrote it at {}", standby.modified))
            }
            // A live cluster forgets its history within minutes. What the mirror last wrote there
            // it wrote as the primary had it, so that somebody else must have.
            Writer::Unknown if self.evidence.applied().is_some() => rewriter(self.grammar, finding)
                .map_or_else(
                    || plain(Class::Unattributed),
                    |who| (Class::Rewritten, format!("{who}; when is forgotten")),
                ),
            Writer::Unknown => plain(Class::Unattributed),
        }
    }

    fn is_newer_than_the_mirror(&self, revision: PrimaryRevision) -> bool {
        self.evidence.applied().is_some_and(|applied| revision > applied)
    }
}
