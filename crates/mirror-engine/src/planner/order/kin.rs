//! Who an object is and who owns it, as far as its value tells.

use std::collections::BTreeSet;
use std::sync::Arc;

use etcd_mvcc::Value;
use kube_meta::skim;
use xxhash_rust::xxh3::xxh3_64;

/// Where an object stands among its kin. Uids are kept as hashes of 8 bytes: among the millions of
/// objects that an etcd holds, two alike are not to be expected.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kin {
    /// The hash of its uid, if it has one that can be read.
    pub(crate) uid: Option<u64>,
    /// Whom it names as its owners.
    pub(crate) owners: Box<[Owner]>,
    /// Whether the value could be read: if not, it may have owners all the same.
    pub(crate) readable: bool,
}

/// Somebody who is named as an owner.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    /// The hash of the uid.
    pub(crate) uid: u64,
    /// The kind: `ReplicaSet`.
    pub(crate) kind: Arc<str>,
}

/// The kinds that are named as owners: a handful, however many objects name them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kinds(BTreeSet<Arc<str>>);

impl Kinds {
    fn shared(&mut self, kind: &str) -> Arc<str> {
        if let Some(known) = self.0.get(kind) {
            return Arc::clone(known);
        }
        let kind: Arc<str> = kind.into();
        self.0.insert(Arc::clone(&kind));
        kind
    }
}

impl Kin {
    /// Reads a value.
    pub(crate) fn read(value: &Value, kinds: &mut Kinds) -> Self {
        let meta = skim(value.expose());
        let owners = meta
            .owners()
            .filter(|owner| !owner.uid.is_empty())
            .map(|owner| Owner { uid: hash(owner.uid), kind: kinds.shared(owner.kind) });
        Self { uid: meta.uid().map(hash), owners: owners.collect(), readable: meta.is_readable() }
    }
}

/// Returns the hash of a value's uid, if it has one that can be read.
pub(crate) fn uid(value: &Value) -> Option<u64> {
    skim(value.expose()).uid().map(hash)
}

fn hash(uid: &str) -> u64 {
    xxh3_64(uid.as_bytes())
}
