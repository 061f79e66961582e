//! The providers that encrypt, and how they mark what they have encrypted.

/// What every encrypted value begins with.
pub(crate) const PREFIX: &[u8] = b"k8s:enc:";

/// One that encrypts, in one version of its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Provider {
    AesCbc,
    AesGcm,
    Secretbox,
    KmsV1,
    KmsV2,
}

impl Provider {
    /// Returns the name in an envelope, which is the one in a configuration.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AesCbc => "aescbc",
            Self::AesGcm => "aesgcm",
            Self::Secretbox => "secretbox",
            Self::KmsV1 | Self::KmsV2 => "kms",
        }
    }

    /// Returns the version in an envelope.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::AesCbc | Self::AesGcm | Self::Secretbox | Self::KmsV1 => "v1",
            Self::KmsV2 => "v2",
        }
    }

    /// Returns the lengths in bytes that a key may have; none where the key is not in the
    /// configuration.
    pub(crate) fn key_bytes(self) -> &'static [usize] {
        match self {
            Self::AesCbc | Self::AesGcm => &[16, 24, 32],
            Self::Secretbox => &[32],
            Self::KmsV1 | Self::KmsV2 => &[],
        }
    }

    /// Returns what the key of this name sealed in a value; `None` if the envelope names another.
    ///
    /// Names may hold a colon, so that two may begin what one value begins with. It is compared,
    /// not taken apart.
    pub(crate) fn sealed<'v>(self, key: &str, value: &'v [u8]) -> Option<&'v [u8]> {
        [self.name(), self.version(), key]
            .iter()
            .try_fold(value.strip_prefix(PREFIX)?, |rest, part| {
                rest.strip_prefix(part.as_bytes())?.strip_prefix(b":")
            })
    }
}
