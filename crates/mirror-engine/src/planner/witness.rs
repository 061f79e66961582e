//! What is noted of a change, so that another history shows itself.

use etcd_mvcc::{Change, Entry, Op, PrimaryRevision};

use super::batch::Placed;
use crate::history::Changed;
use crate::record::Witness;

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

impl From<&Entry<PrimaryRevision>> for Witness {
    fn from(entry: &Entry<PrimaryRevision>) -> Self {
        Self {
            key: entry.key.clone(),
            modified: entry.modified,
            created: Some(entry.created),
            fingerprint: Some(entry.value.fingerprint()),
        }
    }
}

impl Changed for Placed {
    fn revision(&self) -> PrimaryRevision {
        self.modified
    }
}
