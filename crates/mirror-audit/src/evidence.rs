//! Who wrote what, as the standby's history and the ledger bear witness of it.

use consistency_checker::{Arrival, Evidence, Writer};
use etcd_mvcc::{Failure, Key, PrimaryRevision, ReadRange, StandbyRevision};
use mirror_engine::{Checkpoint, HeldBack};

use crate::records::{Before, Records};

/// What the standby's history and the ledger bear witness of, as of one revision.
#[derive(Clone, Debug)]
pub struct MirrorEvidence<'a, S> {
    records: Records<'a, S>,
    /// The standby revision that was compared.
    at: StandbyRevision,
    checkpoint: Option<Checkpoint>,
    is_pair: bool,
}

impl<'a, S> MirrorEvidence<'a, S>
where
    S: ReadRange<Revision = StandbyRevision>,
{
    /// Gathers the evidence of the mirror called `name` as of the standby's revision `at`.
    ///
    /// # Errors
    ///
    /// The standby could not be read, or not any more at this revision.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn new(
        standby: &'a S,
        name: &str,
        at: StandbyRevision,
        is_pair: bool,
    ) -> Result<Self, Failure> {
        let records = Records::new(standby, name);
        let checkpoint = records.at(at).await?.map(|(checkpoint, _)| checkpoint);
        Ok(Self { records, at, checkpoint, is_pair })
    }
}

impl<S> Evidence for MirrorEvidence<'_, S>
where
    S: ReadRange<Revision = StandbyRevision>,
{
    /// Whatever the mirror writes moves its checkpoint or its epoch in the same revision. (A value
    /// that fills a whole request is the exception: it travels alone, and counts as others'.)
    async fn writer(&self, at: StandbyRevision) -> Writer {
        if self.checkpoint.is_none() {
            // No mirror has left anything to tell its writes by.
            return Writer::Unknown;
        }
        let own = &self.records.own;
        let keys = [own.checkpoint.clone(), own.epoch.clone()];
        match self.records.standby.read_keys(&keys, Some(at)).await {
            Ok(entries) if entries.iter().flatten().any(|entry| entry.modified == at) => {
                Writer::Mirror
            }
            Ok(_) => Writer::Other,
            Err(_) => Writer::Unknown,
        }
    }

    async fn maker(
        &self,
        key: &Key,
        created: StandbyRevision,
        modified: StandbyRevision,
    ) -> Writer {
        let entry = [self.records.own.ledger(key)];
        match self.records.standby.read_keys(&entry, Some(self.at)).await {
            Ok(entries) if entries.iter().flatten().next().is_some() => return Writer::Other,
            Ok(_) => {}
            Err(_) => return Writer::Unknown,
        }
        match (self.writer(modified).await, &self.checkpoint) {
            (Writer::Unknown, Some(checkpoint)) => {
                // Compacted; but whatever others made until then would be in the ledger.
                let accounted = &checkpoint.accounted;
                let unsure =
                    accounted.may_be_foreign(created) && accounted.may_be_foreign(modified);
                if unsure { Writer::Unknown } else { Writer::Mirror }
            }
            (writer, _) => writer,
        }
    }

    async fn arrival(&self, revision: PrimaryRevision, by: StandbyRevision) -> Arrival {
        if self.applied().is_some_and(|applied| applied < revision) {
            return Arrival::NotYet;
        }
        match self.records.first_at_or_after(revision, by).await {
            Ok((Some((_, revision)), Before::Whole)) => Arrival::At { revision, strictly: true },
            Ok((Some((_, revision)), Before::Between)) => Arrival::At { revision, strictly: false },
            Ok((None, _)) => Arrival::NotYet,
            Ok((Some(_), Before::Compacted)) | Err(_) => Arrival::Unknown,
        }
    }

    /// A record that can't be read is one of a newer version: the key is held back all the same.
    async fn held_back(&self, key: &Key) -> Option<String> {
        let record = [self.records.own.withheld(key)];
        let entries = self.records.standby.read_keys(&record, Some(self.at)).await.ok()?;
        let record = entries.into_iter().flatten().next()?;
        let unknown = "for a reason that this version does not know";
        Some(HeldBack::decode(&record.value).map_or(unknown, |why| why.as_str()).to_owned())
    }

    fn applied(&self) -> Option<PrimaryRevision> {
        self.checkpoint.as_ref().map(|checkpoint| checkpoint.revision)
    }

    fn is_pair(&self) -> bool {
        self.is_pair
    }
}
