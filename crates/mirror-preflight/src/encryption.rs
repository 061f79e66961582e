//! Values that are encrypted at rest: by which keys, and whether the standby knows those.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use etcd_mvcc::Key;
use kube_encryption::Keyring;
use kube_meta::{Envelope, Format};

use crate::findings::Findings;
use crate::report::GateReport;
use crate::seen::{Held, Offered, Place};
use crate::{Gate, hashes};

/// What is known of an encryption key without having it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    provider: String,
    version: String,
    key: String,
    kms_key_id: Option<String>,
}

impl Name {
    fn of(envelope: Envelope<'_>) -> Self {
        Self {
            provider: envelope.provider.to_owned(),
            version: envelope.version.to_owned(),
            key: envelope.key.to_owned(),
            kms_key_id: envelope.kms_key_id.map(ToOwned::to_owned),
        }
    }

    fn known_to(&self, keyring: &Keyring) -> bool {
        keyring.knows(&Envelope {
            provider: &self.provider,
            version: &self.version,
            key: &self.key,
            kms_key_id: self.kms_key_id.as_deref(),
        })
    }
}

/// Names come from a user's configuration: shown so that they can't forge a line.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("{}:{}:{}", self.provider, self.version, self.key);
        write!(f, "{}", Key::from(name))?;
        match &self.kms_key_id {
            Some(id) => write!(f, " (key id {})", Key::from(id.as_str())),
            None => Ok(()),
        }
    }
}

/// The primary's values under one encryption key.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) count: u64,
    first: Key,
    /// Some keys, picked by their hashes: spread over all, and the same in every run.
    pub(crate) sample: BTreeSet<(u64, Key)>,
}

/// What both sides have encrypted.
#[derive(Debug)]
pub(crate) struct Encryption {
    pub(crate) sealed: BTreeMap<Name, Sealed>,
    /// The encrypted values by key and content, to tell the standby's own from copies.
    contents: Vec<u64>,
    /// What the standby uses itself.
    here: BTreeSet<Name>,
    moved: Findings,
    trials_max: usize,
    shown_max: usize,
}

impl Encryption {
    pub(crate) fn new(shown_max: usize, trials_max: usize) -> Self {
        Self {
            sealed: BTreeMap::new(),
            contents: Vec::new(),
            here: BTreeSet::new(),
            moved: Findings::new(shown_max),
            trials_max,
            shown_max,
        }
    }

    pub(crate) fn offer(&mut self, seen: &Offered<'_>) {
        let (Some(Place { hash, moved }), Format::Encrypted(envelope)) =
            (seen.place, seen.meta.format())
        else {
            return;
        };
        self.contents.push(hashes::content(hash, seen.value));
        let name = Name::of(envelope);
        if moved && binds_key(envelope) {
            self.moved.add(seen.key, || format!("encrypted by {name} for this key alone"));
        }
        let sealed = self.sealed.entry(name).or_insert_with(|| Sealed {
            count: 0,
            first: seen.key.clone(),
            sample: BTreeSet::new(),
        });
        sealed.count += 1;
        let chosen = (hashes::key(seen.key.as_bytes()), seen.key.clone());
        let full = sealed.sample.len() >= self.trials_max;
        if !full || sealed.sample.last().is_some_and(|last| chosen < *last) {
            sealed.sample.insert(chosen);
            if full {
                sealed.sample.pop_last();
            }
        }
    }

    pub(crate) fn all_offered(&mut self) {
        self.contents.sort_unstable();
    }

    pub(crate) fn hold(&mut self, seen: &Held<'_>) {
        let Format::Encrypted(envelope) = seen.meta.format() else { return };
        // What a mirror has copied says nothing of what the standby's apiservers can read.
        let content = hashes::content(seen.hash, seen.value);
        if self.contents.binary_search(&content).is_err() {
            self.here.insert(Name::of(envelope));
        }
    }

    /// Returns `encryption-keys` and `encryption-prefix`.
    pub(crate) fn judge(self, keyring: Option<&Keyring>) -> [GateReport; 2] {
        let mut unknown = Findings::new(self.shown_max);
        for (name, sealed) in &self.sealed {
            let known = keyring.is_some_and(|keyring| name.known_to(keyring));
            if !known && !self.here.contains(name) {
                unknown.add(&sealed.first, || {
                    format!("one of {} values encrypted with {name}", sealed.count)
                });
            }
        }
        let keys = if unknown.count() > 0 {
            GateReport::found(
                Gate::EncryptionKeys,
                unknown,
                "the standby is not known to have these keys: one value that it can't decrypt, and \
                 it can list no object of that resource",
                "give the standby's apiservers the primary's keys, and their configuration to \
                 --encryption-config",
            )
        } else if self.sealed.is_empty() {
            GateReport::passed(Gate::EncryptionKeys, "nothing in scope is encrypted at rest")
        } else {
            GateReport::passed(Gate::EncryptionKeys, "the standby knows every key by its name")
        };
        [keys, prefix(self.moved)]
    }
}

fn prefix(moved: Findings) -> GateReport {
    if moved.count() == 0 {
        return GateReport::passed(
            Gate::EncryptionPrefix,
            "no value that is bound to its key gets another one",
        );
    }
    GateReport::found(
        Gate::EncryptionPrefix,
        moved,
        "aesgcm and kms v2 bind a value to its key: under another prefix it can never be decrypted",
        "leave out --dest-prefix and --no-dest-prefix; both sides need the same --etcd-prefix",
    )
}

/// Tells whether the value can be decrypted only under the key that it was written to.
fn binds_key(envelope: Envelope<'_>) -> bool {
    matches!((envelope.provider, envelope.version), ("aesgcm", _) | ("kms", "v2"))
}
