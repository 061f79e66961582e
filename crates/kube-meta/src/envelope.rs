//! What encryption at rest leaves readable of a value.

use crate::wire::Fields;
use crate::{Malformed, text};

/// What every encrypted value begins with.
pub(crate) const PREFIX: &[u8] = b"k8s:enc:";

/// The most bytes of a provider's name. The longest known has nine.
const PROVIDER_BYTES_MAX: usize = 32;

/// The most bytes of a provider's version. Those known have two.
const VERSION_BYTES_MAX: usize = 8;

/// The most bytes of a key's name. Kubernetes sets no limit; a user's configuration names the key,
/// and a name that fills a page is not one that somebody gave.
const KEY_BYTES_MAX: usize = 1024;

/// The most bytes of the id that a KMS plugin gives to its key: the apiserver's own limit.
const KMS_KEY_ID_BYTES_MAX: usize = 1024;

/// The number of the key's id in the `EncryptedObject` of KMS v2.
const KMS_KEY_ID: u64 = 2;

/// Who encrypted a value, and with which key.
///
/// Equal names do not prove equal keys: two clusters may call different bytes `key1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Envelope<'v> {
    /// `aescbc`, `aesgcm`, `secretbox`, `kms`, or whatever else is spelt like them.
    pub provider: &'v str,
    /// The version of the provider's format: `v1`, `v2`.
    pub version: &'v str,
    /// The name of the key, or of the KMS plugin. Ends at the first colon, which Kubernetes does
    /// not forbid in the name of a key.
    pub key: &'v str,
    /// The id of the key that the plugin used, where it can be read without one: KMS v2.
    pub kms_key_id: Option<&'v str>,
}

impl<'v> Envelope<'v> {
    /// Reads a whole value. `None` if it has no envelope, or one that Kubernetes can't have made.
    pub(crate) fn read(value: &'v [u8]) -> Option<Self> {
        let rest = value.strip_prefix(PREFIX)?;
        let (provider, rest) = part(rest, PROVIDER_BYTES_MAX)?;
        let (version, rest) = part(rest, VERSION_BYTES_MAX)?;
        let (key, sealed) = part(rest, KEY_BYTES_MAX)?;
        let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let digits = version.strip_prefix('v')?;
        if !provider.bytes().all(lower)
            || digits.is_empty()
            || !digits.bytes().all(|byte| byte.is_ascii_digit())
        {
            return None;
        }
        let kms_key_id = match (provider, version) {
            ("kms", "v2") => kms_key_id(sealed).ok(),
            _ => None,
        };
        Some(Self { provider, version, key, kms_key_id })
    }
}

/// Splits off what stands before the next colon.
fn part(bytes: &[u8], length_max: usize) -> Option<(&str, &[u8])> {
    let length = bytes.iter().take(length_max + 1).position(|&byte| byte == b':')?;
    let (part, rest) = bytes.split_at_checked(length)?;
    Some((name(part).ok()?, rest.strip_prefix(b":")?))
}

/// Reads a name that may be shown to a user.
fn name(bytes: &[u8]) -> Result<&str, Malformed> {
    let name = text(bytes)?;
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(Malformed);
    }
    Ok(name)
}

fn kms_key_id(sealed: &[u8]) -> Result<&str, Malformed> {
    let mut found = None;
    let mut fields = Fields::new(sealed);
    while let Some(field) = fields.take()? {
        if field.number == KMS_KEY_ID {
            found = Some(field.bytes()?);
        }
    }
    let id = found.ok_or(Malformed)?;
    if id.len() > KMS_KEY_ID_BYTES_MAX {
        return Err(Malformed);
    }
    name(id)
}
