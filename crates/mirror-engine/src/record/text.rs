//! What all records have in common when they are written down.

use etcd_mvcc::{Key, Value};
use serde::{Deserialize, Serialize};

/// The version of the records that this program writes.
pub(crate) const VERSION: u32 = 1;

/// A stored record that can't be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RecordError(pub(crate) String);

/// A key: as text if it is one, else in hexadecimal.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum KeyText {
    Text(String),
    Bytes { hex: String },
}

impl From<&Key> for KeyText {
    fn from(key: &Key) -> Self {
        match std::str::from_utf8(key.as_bytes()) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes {
                hex: key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect(),
            },
        }
    }
}

impl KeyText {
    pub(crate) fn into_key(self) -> Result<Key, RecordError> {
        match self {
            Self::Text(text) => Ok(Key::from(text)),
            Self::Bytes { hex } => {
                let digits: Option<Vec<u8>> = hex
                    .chars()
                    .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
                    .collect();
                let digits = digits.filter(|digits| digits.len() % 2 == 0);
                let digits =
                    digits.ok_or_else(|| RecordError("a key is not hexadecimal".into()))?;
                let bytes =
                    digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |a, b| a << 4 | b));
                Ok(Key::from(bytes.collect::<Vec<u8>>()))
            }
        }
    }
}

pub(crate) fn parse<'a, T: Deserialize<'a>>(
    what: &str,
    value: &'a Value,
) -> Result<T, RecordError> {
    serde_json::from_slice(value.expose())
        .map_err(|error| RecordError(format!("the {what} can't be read: {error}")))
}

pub(crate) fn write(record: &impl Serialize) -> Value {
    // These structs hold strings and numbers only: there is nothing that JSON can't express.
    Value::from(serde_json::to_vec(record).unwrap_or_default())
}

pub(crate) fn known(what: &str, version: u32, newest: u32) -> Result<(), RecordError> {
    if version == newest {
        return Ok(());
    }
    Err(RecordError(format!("the {what} has version {version}; this program knows {newest}")))
}
