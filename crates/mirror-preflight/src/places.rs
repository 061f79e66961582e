//! What the primary will put where, in sixteen bytes an object.

use crate::hashes::NO_UID;

/// The objects of the primary in scope: their places on the standby, and their uids.
#[derive(Debug, Default)]
pub(crate) struct Places {
    by_place: Vec<(u64, u64)>,
    uids: Vec<u64>,
}

impl Places {
    /// Takes one; nothing can be asked before [`Places::sort`].
    pub(crate) fn add(&mut self, place: u64, uid: u64) {
        self.by_place.push((place, uid));
    }

    /// Makes the lists ready to be asked.
    pub(crate) fn sort(&mut self) {
        self.by_place.sort_unstable();
        self.uids =
            self.by_place.iter().map(|(_, uid)| *uid).filter(|uid| *uid != NO_UID).collect();
        self.uids.sort_unstable();
    }

    /// Returns the uid of what the primary will put there ([`NO_UID`] if it has none that can be
    /// read); `None` if it will put nothing there.
    pub(crate) fn uid_at(&self, place: u64) -> Option<u64> {
        let at = self.by_place.partition_point(|(other, _)| *other < place);
        self.by_place.get(at).filter(|(other, _)| *other == place).map(|(_, uid)| *uid)
    }

    /// Tells whether an object with this uid will be mirrored.
    pub(crate) fn has_uid(&self, uid: u64) -> bool {
        self.uids.binary_search(&uid).is_ok()
    }
}
