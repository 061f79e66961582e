//! When a key vanished from the standby, found by looking at older and older revisions.

use etcd_mvcc::{FailureClass, Key, ReadRange, Revision, StandbyRevision};

use super::{Classifier, Evidence};
use crate::Finding;

/// How a key came to be absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deletion {
    /// It was deleted at this revision.
    At(StandbyRevision),
    /// Compacted, never there, or not to be read.
    Unknown,
}

enum Look {
    Present,
    Absent,
    Compacted,
    Failed,
}

impl<S, E> Classifier<'_, S, E>
where
    S: ReadRange<Revision = StandbyRevision>,
    E: Evidence,
{
    /// Tells whether the standby held the key at `at`; `None` if that can't be read.
    pub(super) async fn holds(&self, finding: &Finding, at: StandbyRevision) -> Option<bool> {
        match self.look(&finding.key, at).await {
            Look::Present => Some(true),
            Look::Absent => Some(false),
            Look::Compacted | Look::Failed => None,
        }
    }

    /// Finds a deletion after which the key was absent until `gone`, in steps that double until
    /// the key is there. A life that is shorter than a step may be missed.
    pub(super) async fn deletion(&self, key: &Key, gone: StandbyRevision) -> Deletion {
        let (mut absent, mut step, mut may_grow) = (gone.get(), 1, true);
        loop {
            if step < 1 || absent <= 1 {
                return Deletion::Unknown;
            }
            let probe = (absent - step).max(1);
            match self.look(key, StandbyRevision::new(probe)).await {
                Look::Present => {
                    let (present, absent) =
                        (StandbyRevision::new(probe), StandbyRevision::new(absent));
                    return self.deletion_between(key, present, absent).await;
                }
                Look::Absent => {
                    absent = probe;
                    step = if may_grow { step * 2 } else { step };
                }
                Look::Compacted => {
                    may_grow = false;
                    step /= 2;
                }
                Look::Failed => return Deletion::Unknown,
            }
        }
    }

    /// Finds a deletion between a revision at which the key was there and one at which it was not,
    /// by halving. Of several lives in between, the end of one is found.
    pub(super) async fn deletion_between(
        &self,
        key: &Key,
        present: StandbyRevision,
        absent: StandbyRevision,
    ) -> Deletion {
        let (mut present, mut absent) = (present.get(), absent.get());
        while absent - present > 1 {
            let middle = present + (absent - present) / 2;
            match self.look(key, StandbyRevision::new(middle)).await {
                Look::Present => present = middle,
                Look::Absent => absent = middle,
                Look::Compacted | Look::Failed => return Deletion::Unknown,
            }
        }
        Deletion::At(StandbyRevision::new(absent))
    }

    async fn look(&self, key: &Key, at: StandbyRevision) -> Look {
        match self.standby.read_keys(std::slice::from_ref(key), Some(at)).await {
            Ok(entries) if entries.iter().flatten().next().is_some() => Look::Present,
            Ok(_) => Look::Absent,
            Err(failure) if failure.class == FailureClass::Resync => Look::Compacted,
            Err(_) => Look::Failed,
        }
    }
}
