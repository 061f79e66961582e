//! Where a mirror keeps its own keys on the standby.

use etcd_mvcc::{Key, KeyRange};
use keyspace_filter::OWN_PREFIX;

/// The keys under `/etcd-sync/<mirror>/`.
#[derive(Clone, Debug)]
pub struct OwnKeys {
    /// Position and state of the mirror; written with every change.
    pub checkpoint: Key,
    /// Who may write: grows with every takeover.
    pub epoch: Key,
    /// What the operator wants.
    pub control: Key,
    /// What the mirror says of itself.
    pub status: Key,
    /// What became of the last repair.
    pub repair: Key,
    /// Changes that were mirrored, by which another history shows itself.
    pub history: Key,
    /// Which instance leads; it hangs on a lease.
    pub leader: Key,
    /// Written with every value that leaves no room for the checkpoint in its transaction: the
    /// revision says that the transaction was the mirror's. It is the ledger's entry for the empty
    /// key, which etcd does not allow: whoever reads the ledger reads it too.
    pub alone: Key,
    ledger: String,
    withheld: String,
}

impl OwnKeys {
    /// Names the keys of the mirror called `name`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let key = |last: &str| Key::from(format!("{OWN_PREFIX}{name}/{last}"));
        Self {
            checkpoint: key("checkpoint"),
            epoch: key("epoch"),
            control: key("control"),
            status: key("status"),
            repair: key("repair"),
            history: key("history"),
            leader: key("leader"),
            alone: key("ledger/"),
            ledger: format!("{OWN_PREFIX}{name}/ledger/"),
            withheld: format!("{OWN_PREFIX}{name}/withheld/"),
        }
    }

    /// The ledger's entry for a key of the standby.
    #[must_use]
    pub fn ledger(&self, key: &Key) -> Key {
        Key::from([self.ledger.as_bytes(), key.as_bytes()].concat())
    }

    /// The key of the standby that a ledger entry speaks of.
    #[must_use]
    pub fn ledgered(&self, entry: &Key) -> Option<Key> {
        let key = entry.as_bytes().strip_prefix(self.ledger.as_bytes())?;
        (!key.is_empty()).then(|| Key::from(key.to_vec()))
    }

    /// The record that says why a key of the standby is held back.
    #[must_use]
    pub fn withheld(&self, key: &Key) -> Key {
        Key::from([self.withheld.as_bytes(), key.as_bytes()].concat())
    }

    /// The key of the standby that such a record speaks of.
    #[must_use]
    pub fn withheld_key(&self, record: &Key) -> Option<Key> {
        let key = record.as_bytes().strip_prefix(self.withheld.as_bytes())?;
        Some(Key::from(key.to_vec()))
    }

    /// All records of keys that are held back.
    #[must_use]
    pub fn withheld_range(&self) -> KeyRange {
        KeyRange::prefix(self.withheld.as_bytes())
    }

    /// All ledger entries.
    #[must_use]
    pub fn ledger_range(&self) -> KeyRange {
        KeyRange::prefix(self.ledger.as_bytes())
    }
}
