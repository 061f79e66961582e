//! Why a configuration can't be used.

/// Why a text is no EncryptionConfiguration: which field, and how to mend it. No value is ever in
/// it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The text is no YAML. What the parser says of it may quote a secret and is not repeated.
    #[error(
        "line {line}, column {column}: this can't be read as YAML: give the file that the apiserver gets as --encryption-provider-config"
    )]
    Yaml {
        /// The line, counted from 1; 0 if the parser does not tell.
        line: u64,
        /// The column, counted from 1; 0 if the parser does not tell.
        column: u64,
    },
    /// The text is something else, or of a version that is not known.
    #[error(
        "{field} must be {expected:?}: give the file that the apiserver gets as --encryption-provider-config"
    )]
    Kind {
        /// `apiVersion` or `kind`.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// Something of another type.
    #[error("{field} must be {expected}")]
    Type {
        /// The field.
        field: String,
        /// What it must be, and how to write it.
        expected: &'static str,
    },
    /// A field that is needed is not there, or is empty.
    #[error("{field} is missing or empty: give {expected}")]
    Missing {
        /// The field.
        field: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A field that nobody knows.
    #[error("{field} is no field that an apiserver knows: remove it, or write one of {known}")]
    Unknown {
        /// The field, or where it is if its name is as long as a secret.
        field: String,
        /// The fields that are known there.
        known: String,
    },
    /// An item of `providers` that is none or several.
    #[error("{field} names {count} providers: give each an item of its own")]
    Providers {
        /// The item.
        field: String,
        /// How many it names.
        count: usize,
    },
    /// A key that is not base64.
    #[error("{field} is not base64: encode the bytes of the key, with padding")]
    Base64 {
        /// The field.
        field: String,
    },
    /// A key of a length that the provider has no use for.
    #[error("{field} is a key of {bytes} bytes: {provider} takes {expected}")]
    KeyLength {
        /// The field.
        field: String,
        /// How many bytes it has.
        bytes: usize,
        /// The provider.
        provider: &'static str,
        /// How many it could have.
        expected: String,
    },
    /// A name that an envelope can't hold.
    #[error("{field} can't be written into an envelope: give {expected}")]
    Name {
        /// The field.
        field: String,
        /// What is possible.
        expected: &'static str,
    },
    /// A version of KMS that is not known.
    #[error("{field} is no version of KMS that is known: give v1 or v2")]
    KmsVersion {
        /// The field.
        field: String,
    },
}
