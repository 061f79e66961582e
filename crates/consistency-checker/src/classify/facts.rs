//! What a value says of itself, as far as a class depends on it. The value itself is let go.

use std::fmt;

use etcd_mvcc::Value;
use kube_meta::Format;
use xxhash_rust::xxh3::xxh3_128;

/// The type of a Secret that holds the token of a service account.
const ACCOUNT_TOKEN: &str = "kubernetes.io/service-account-token";

/// Owners that are kept of one object; real ones have one or two.
const OWNERS_MAX: usize = 8;

/// What a value was encrypted with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Envelope {
    /// The provider and its version, as in `aescbc:v1`.
    pub provider: String,
    /// The name of the key, or of the key service.
    pub key: String,
}

impl Envelope {
    /// Reads what `value` is encrypted with; `None` if it is not.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        // Asked of every value of a keyspace: most are told apart by their first bytes.
        if !value.expose().starts_with(b"k8s:enc:") {
            return None;
        }
        match kube_meta::skim(value.expose()).format() {
            Format::Encrypted(envelope) => Some(Self::from(&envelope)),
            Format::Protobuf | Format::Json | Format::Cbor | Format::Opaque => None,
        }
    }
}

impl From<&kube_meta::Envelope<'_>> for Envelope {
    fn from(envelope: &kube_meta::Envelope<'_>) -> Self {
        let provider = format!("{}:{}", envelope.provider, envelope.version);
        let key = envelope
            .kms_key_id
            .map_or_else(|| envelope.key.to_owned(), |id| format!("{}:{id}", envelope.key));
        Self { provider, key }
    }
}

impl fmt::Display for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.provider, self.key)
    }
}

/// An object that another one belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its API version, group included.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// What a value says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The object's uid.
    pub uid: Option<String>,
    /// How often what the object is to be was changed; of kinds that don't count it, nothing.
    pub generation: Option<i64>,
    /// It is a Secret that holds the token of a service account.
    pub is_account_token: bool,
    /// The object is being deleted, and waits for its finalizers.
    pub deleting: bool,
    /// What the object belongs to; the first few.
    pub owners: Vec<Owner>,
    /// What the value is encrypted with.
    pub envelope: Option<Envelope>,
    /// The fingerprint of what the value holds, where it is encrypted and somebody has opened it;
    /// then all else here was read off that.
    pub content: Option<u128>,
}

impl Facts {
    /// Reads what `value` says of itself; nothing, if it is not understood.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        Self::read(value.expose())
    }

    /// Reads what is in an encrypted value, once somebody has opened it, who lets it go afterwards.
    #[must_use]
    pub fn opened(self, content: &[u8]) -> Self {
        let content_fingerprint = Some(xxh3_128(content));
        Self { envelope: self.envelope, content: content_fingerprint, ..Self::read(content) }
    }

    fn read(value: &[u8]) -> Self {
        let meta = kube_meta::skim(value);
        let envelope = match meta.format() {
            Format::Encrypted(envelope) => Some(Envelope::from(&envelope)),
            Format::Protobuf | Format::Json | Format::Cbor | Format::Opaque => None,
        };
        let owners = meta.owners().take(OWNERS_MAX).map(|owner| Owner {
            api_version: owner.api_version.to_owned(),
            kind: owner.kind.to_owned(),
            name: owner.name.to_owned(),
            uid: owner.uid.to_owned(),
        });
        Self {
            uid: meta.uid().map(str::to_owned),
            generation: meta.generation(),
            is_account_token: meta.secret_type() == Some(ACCOUNT_TOKEN),
            deleting: meta.is_deleting(),
            owners: owners.collect(),
            envelope,
            content: None,
        }
    }
}
