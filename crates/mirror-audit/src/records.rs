//! The checkpoint's history on the standby.

use etcd_mvcc::{
    Failure, FailureClass, PrimaryRevision, ReadRange, Revision as _, StandbyRevision,
};
use mirror_engine::{Checkpoint, OwnKeys};

/// What was there before a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// A whole checkpoint.
    Whole,
    /// A copy or a torn revision under way, or no checkpoint at all.
    Between,
    /// Nobody can say any more.
    Compacted,
}

/// The checkpoint's history.
#[derive(Clone, Debug)]
pub(crate) struct Records<'a, S> {
    pub(crate) standby: &'a S,
    pub(crate) own: OwnKeys,
}

/// A checkpoint and when it was written.
pub(crate) type Record = (Checkpoint, StandbyRevision);

impl<'a, S> Records<'a, S>
where
    S: ReadRange<Revision = StandbyRevision>,
{
    /// The history of the mirror called `name`.
    pub(crate) fn new(standby: &'a S, name: &str) -> Self {
        Self { standby, own: OwnKeys::new(name) }
    }

    /// Returns the checkpoint as it was at `at`, if there was one.
    pub(crate) async fn at(&self, at: StandbyRevision) -> Result<Option<Record>, Failure> {
        let keys = std::slice::from_ref(&self.own.checkpoint);
        let entries = self.standby.read_keys(keys, Some(at)).await?;
        let Some(entry) = entries.into_iter().flatten().next() else { return Ok(None) };
        let checkpoint = Checkpoint::decode(&entry.value)
            .map_err(|error| Failure::new(FailureClass::Fatal, error))?;
        Ok(Some((checkpoint, entry.modified)))
    }

    /// Finds the first whole record at or after the primary's `revision`, at or before the
    /// standby's `by`, and what was there before it. Records only grow, so older and older ones are
    /// looked at in steps that double, then by halving.
    pub(crate) async fn first_at_or_after(
        &self,
        revision: PrimaryRevision,
        by: StandbyRevision,
    ) -> Result<(Option<Record>, Before), Failure> {
        let reaches = |record: &Option<Record>| {
            record
                .as_ref()
                .is_some_and(|(record, _)| record.is_whole() && record.revision >= revision)
        };
        let newest = self.at(by).await?;
        let Some(mut found) = newest.filter(|record| reaches(&Some(record.clone()))) else {
            return Ok((None, Before::Between));
        };
        let (mut step, mut may_grow, mut short) = (1, true, None);
        // Everything at or before `short` falls short of it.
        while short.is_none() {
            if step < 1 {
                return Ok((Some(found), Before::Compacted));
            }
            if found.1.get() <= 1 {
                short = Some(StandbyRevision::default());
                break;
            }
            let older = found.1.get().saturating_sub(step).max(1);
            match self.at(StandbyRevision::new(older)).await {
                Ok(record) if reaches(&record) => {
                    found = record.unwrap_or(found);
                    step = if may_grow { step * 2 } else { step };
                }
                Ok(_) => short = Some(StandbyRevision::new(older)),
                Err(failure) if failure.class == FailureClass::Resync => {
                    may_grow = false;
                    step /= 2;
                }
                Err(failure) => return Err(failure),
            }
        }
        let mut short = short.unwrap_or_default();
        while found.1.ahead_of(short) > 1 {
            let middle = short.get() + (found.1.get() - short.get()) / 2;
            match self.at(StandbyRevision::new(middle)).await? {
                record if reaches(&record) => found = record.unwrap_or(found),
                _ => short = StandbyRevision::new(middle),
            }
        }
        let before = match short.get() {
            0 => None,
            _ => self.at(short).await?,
        };
        let before = match before {
            Some((record, _)) if record.is_whole() => Before::Whole,
            _ => Before::Between,
        };
        Ok((Some(found), before))
    }
}
