//! Keys, which may be shown, and values, which may not.

use std::borrow::Borrow;
use std::fmt;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_128;

/// A key: any bytes, ordered as etcd orders them. Cloning is cheap.
///
/// `Display` prints it on one line: printable ASCII as it is, everything else as `\xNN`, a
/// backslash doubled, so that no key can forge a log line or move a terminal's cursor.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Bytes);

impl Key {
    /// Makes a key of these bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// Makes a key of bytes that live as long as the program.
    #[must_use]
    pub const fn from_static(bytes: &'static [u8]) -> Self {
        Self(Bytes::from_static(bytes))
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the bytes, shared.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// Returns the length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether the key has no bytes. etcd stores no such key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the smallest key that is greater than this one.
    #[must_use]
    pub fn successor(&self) -> Self {
        let mut bytes = Vec::with_capacity(self.len() + 1);
        bytes.extend_from_slice(&self.0);
        bytes.push(0);
        Self(bytes.into())
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Vec<u8>> for Key {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in &self.0 {
            match byte {
                b'\\' => f.write_str("\\\\")?,
                0x20..=0x7e => write!(f, "{}", char::from(byte))?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// A value: bytes that never reach a log. Cloning is cheap.
///
/// `Debug` prints the length only, and there is no `Display`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Value(Bytes);

impl Value {
    /// Makes a value of these bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// Returns the bytes. Whoever calls this takes on the duty not to print them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Returns the bytes, shared, with the same duty as [`Value::expose`].
    #[must_use]
    pub fn expose_bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// Returns the length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether the value has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns a 128-bit hash (XXH3) by which two values can be told apart. Not a secret-keeping
    /// hash: it does not resist somebody who makes values to collide.
    #[must_use]
    pub fn fingerprint(&self) -> u128 {
        xxh3_128(&self.0)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_key_prints_on_one_line() {
        let key = Key::new(&b"/a\n\x1b[31m\\\xff"[..]);
        assert_eq!(key.to_string(), r"/a\x0a\x1b[31m\\\xff");
    }

    #[test]
    fn a_value_shows_its_length_only() {
        assert_eq!(format!("{:?}", Value::from("secret")), "<6 bytes>");
    }

    #[test]
    fn nothing_lies_between_a_key_and_its_successor() {
        let key = Key::from("/a");
        assert!(key < key.successor());
        assert!(key.successor() < Key::from("/a\u{1}"));
    }
}
