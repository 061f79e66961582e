//! What a mirror's own records bear witness of.

use std::future::Future;

use etcd_mvcc::{Key, PrimaryRevision, StandbyRevision};

/// Who wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// The mirror.
    Mirror,
    /// Somebody else.
    Other,
    /// The evidence is gone, or could not be read.
    Unknown,
}

/// When a change of the primary reached the standby.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// With the transaction of this revision.
    At {
        /// The revision.
        revision: StandbyRevision,
        /// The transaction before it had left the standby whole: so this one must have written
        /// what it brought, all by itself.
        strictly: bool,
    },
    /// Not before the revision asked for.
    NotYet,
    /// The evidence is gone, or could not be read.
    Unknown,
}

/// Knows what a mirror has recorded of itself. A failure to read is [`Writer::Unknown`] or
/// [`Arrival::Unknown`], never a guess.
pub trait Evidence: Send + Sync {
    /// Tells who wrote the standby's revision `at`.
    fn writer(&self, at: StandbyRevision) -> impl Future<Output = Writer> + Send;

    /// Tells whose a key is that the primary lacks, by when it was created and last written.
    fn maker(
        &self,
        key: &Key,
        created: StandbyRevision,
        modified: StandbyRevision,
    ) -> impl Future<Output = Writer> + Send;

    /// Tells with which revision of the standby, at or before `by`, the primary's `revision` came.
    fn arrival(
        &self,
        revision: PrimaryRevision,
        by: StandbyRevision,
    ) -> impl Future<Output = Arrival> + Send;

    /// Tells why the mirror keeps a key off the standby, if it has said so; on one line.
    fn held_back(&self, key: &Key) -> impl Future<Output = Option<String>> + Send;

    /// Returns the primary revision up to which the mirror has applied everything, if known.
    fn applied(&self) -> Option<PrimaryRevision>;

    /// Tells whether the comparison was made at a pinned pair: then nothing may be on its way.
    fn is_pair(&self) -> bool;
}
