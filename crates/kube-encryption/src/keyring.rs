//! The keys of an apiserver.

use std::fmt;

use kube_meta::{Envelope, Format, skim};
use zeroize::Zeroizing;

use crate::provider::{PREFIX, Provider};
use crate::unseal::{Refusal, unseal};
use crate::{ConfigError, Opened, config};

/// What an object begins with in each format that an apiserver writes.
const PROTOBUF: &[u8] = b"k8s\0";
const CBOR: &[u8] = b"\xd9\xd9\xf7";
const JSON: &[u8] = b"{";

/// The keys with which an apiserver reads what is encrypted at rest.
///
/// `Debug` shows the names of keys, never a key. The keys are wiped when the ring is dropped.
pub struct Keyring {
    pub(crate) groups: Vec<Group>,
}

/// Keys and what they are for: one item of the configuration's `resources`.
pub(crate) struct Group {
    pub(crate) resources: Vec<String>,
    pub(crate) keys: Vec<Key>,
}

/// One key, or the name of a KMS plugin, which keeps its keys to itself.
pub(crate) struct Key {
    pub(crate) provider: Provider,
    pub(crate) name: String,
    pub(crate) secret: Zeroizing<Vec<u8>>,
}

/// What may be shown of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName<'k> {
    /// `aescbc`, `aesgcm`, `secretbox` or `kms`.
    pub provider: &'k str,
    /// The version of the provider's format, as an envelope names it: `v1`, or `v2` of `kms`.
    pub version: &'k str,
    /// The name of the key; of `kms` the name of the plugin.
    pub key: &'k str,
    /// What the key is for: `secrets`, `machines.cluster.x-k8s.io`, `*.*`.
    pub resources: &'k [String],
}

impl Keyring {
    /// Reads an EncryptionConfiguration, as an apiserver does.
    ///
    /// # Errors
    ///
    /// The text is none. What is wrong is told on one line, with its field and how to mend it, and
    /// without any value.
    pub fn parse(yaml: &str) -> Result<Self, ConfigError> {
        config::read(yaml).map(|groups| Self { groups })
    }

    /// Returns the names of all keys, in the order of the configuration: the first of each item
    /// encrypts, all decrypt. `identity`, which has no key, is left out.
    pub fn keys(&self) -> impl Iterator<Item = KeyName<'_>> {
        self.groups.iter().flat_map(|group| {
            group.keys.iter().map(|key| KeyName {
                provider: key.provider.name(),
                version: key.provider.version(),
                key: &key.name,
                resources: &group.resources,
            })
        })
    }

    /// Tries to open a value with every key that its envelope names.
    ///
    /// `key_path` is the value's whole key in etcd as the apiserver that is to read it will see it,
    /// `/registry/secrets/shop/token`: `aesgcm` binds a value to it. For which resources the
    /// configuration gives a key makes no difference here.
    #[must_use]
    pub fn open(&self, key_path: &[u8], value: &[u8]) -> Opened {
        if !value.starts_with(PREFIX) {
            return Opened::Plain;
        }
        if !matches!(skim(value).format(), Format::Encrypted(_)) {
            return Opened::Unreadable;
        }
        let keys = self.groups.iter().flat_map(|group| &group.keys);
        keys.filter_map(|key| key.open(key_path, value)).max().unwrap_or(Opened::UnknownKey)
    }

    /// Opens a value and lets `look` see what is in it; `None` if it is not encrypted, or if no key
    /// makes a sound object of it.
    ///
    /// What is in the value is wiped as soon as `look` has returned: what it keeps is its affair.
    /// `key_path` is as in [`Keyring::open`].
    pub fn look<T>(
        &self,
        key_path: &[u8],
        value: &[u8],
        look: impl FnOnce(&[u8]) -> T,
    ) -> Option<T> {
        let keys = self.groups.iter().flat_map(|group| &group.keys);
        let text = keys.filter_map(|key| key.unsealed(key_path, value)).next()?;
        Some(look(&text))
    }

    /// Tells whether there is a key of the provider, version and name that an envelope names. That
    /// does not prove that it is the key: another cluster's `key1` has other bytes.
    #[must_use]
    pub fn knows(&self, envelope: &Envelope<'_>) -> bool {
        self.keys().any(|key| {
            // An envelope is read to the first colon, which a name may hold.
            let name = key.key.split_once(':').map_or(key.key, |(begin, _)| begin);
            (key.provider, key.version, name) == (envelope.provider, envelope.version, envelope.key)
        })
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys()).finish()
    }
}

impl Key {
    /// Returns the object in a value; `None` if this key does not open it.
    fn unsealed(&self, key_path: &[u8], value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let sealed = self.provider.sealed(&self.name, value)?;
        let text = unseal(self.provider, &self.secret, key_path, sealed).ok()?;
        skim(&text).is_readable().then_some(text)
    }

    /// Tries to open a value; `None` if its envelope names another key.
    fn open(&self, key_path: &[u8], value: &[u8]) -> Option<Opened> {
        let sealed = self.provider.sealed(&self.name, value)?;
        if matches!(self.provider, Provider::KmsV1 | Provider::KmsV2) {
            return Some(Opened::Unproven);
        }
        Some(match unseal(self.provider, &self.secret, key_path, sealed) {
            Ok(text) if self.provider == Provider::AesCbc => judge_unauthenticated(&text),
            Ok(text) if begins_like_an_object(&text) => Opened::Opens,
            Ok(_) | Err(Refusal::Malformed) => Opened::Unreadable,
            Err(Refusal::WrongKey) => Opened::WrongKey,
        })
    }
}

/// Judges a plaintext that nothing but its padding vouches for.
///
/// A wrong key, or an end that is missing, passes the padding once in 256 times, and what chance
/// makes begins with a brace as often. So the object has to be sound. Four bytes or three that mark
/// one are not chance: then the key is right, and the value is not.
fn judge_unauthenticated(text: &[u8]) -> Opened {
    if skim(text).is_readable() {
        Opened::Opens
    } else if begins_like_an_object(text) && !text.starts_with(JSON) {
        Opened::Unreadable
    } else {
        Opened::WrongKey
    }
}

/// Tells whether a plaintext begins as objects do in the formats that an apiserver writes.
fn begins_like_an_object(text: &[u8]) -> bool {
    [PROTOBUF, CBOR, JSON].iter().any(|begin| text.starts_with(begin))
}
