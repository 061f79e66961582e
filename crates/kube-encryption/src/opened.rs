//! What became of an attempt to open a value.

/// What became of an attempt to open a value. What is in the value is not part of the answer.
///
/// The later of two answers is the better one: of several keys of one name, the best answer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Opened {
    /// Encrypted, with a key that the configuration does not name.
    UnknownKey,
    /// It begins like an envelope, and no key could make an object of it: it is cut short, or its
    /// seal is right and there is no object under it.
    Unreadable,
    /// The configuration has a key of that name, but other bytes; or, where the provider binds a
    /// value to its key in etcd, the value was moved.
    WrongKey,
    /// A KMS plugin of that name is configured. Whether it has the key, only the plugin can tell.
    Unproven,
    /// Opened with a key of that name, and an object is in it.
    Opens,
    /// Not encrypted.
    Plain,
}
