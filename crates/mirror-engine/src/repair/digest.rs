//! The digest of exactly what a repair does.

use std::fmt;
use std::str::FromStr;

use etcd_mvcc::{ClusterId, Key, Revision, StandbyRevision};
use xxhash_rust::xxh3::Xxh3;

use super::kinds::{RepairKind, RepairKinds, Surplus};

/// Names what exactly a repair does: whose values it writes under which filter, which kinds were
/// asked for, and each key with its kind, the fingerprint of the value that it gets, and the last
/// write on the standby that it overwrites or deletes.
///
/// The pair that was compared is no part of it: a repair that still does the same is the same
/// repair, however far the mirror has come since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepairDigest(u128);

/// A text that is no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest has 32 hexadecimal digits")]
pub struct DigestError;

impl fmt::Display for RepairDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for RepairDigest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let digest = digits.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        digest.map(Self).ok_or(DigestError)
    }
}

/// A digest that is being taken: the keys come in the standby's order.
#[derive(Clone)]
pub(crate) struct Digesting(Xxh3);

impl fmt::Debug for Digesting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digesting")
    }
}

impl Digesting {
    /// Begins with what holds for all keys. `scope` is the hash of the filter, as text.
    pub(crate) fn new(cluster: ClusterId, scope: &str, kinds: RepairKinds) -> Self {
        let mut hash = Xxh3::new();
        hash.update(b"repair");
        hash.update(&cluster.get().to_be_bytes());
        hash.update(&(scope.len() as u64).to_be_bytes());
        hash.update(scope.as_bytes());
        let surplus = match kinds.surplus {
            Surplus::Left => 0,
            Surplus::Stale => 1,
            Surplus::All => 2,
        };
        hash.update(&[u8::from(kinds.missed), u8::from(kinds.different), surplus]);
        Self(hash)
    }

    /// Takes in a key: the fingerprint of the primary's value, and the standby's last write, as
    /// far as either side has the key.
    pub(crate) fn key(
        &mut self,
        kind: RepairKind,
        key: &Key,
        fingerprint: Option<u128>,
        modified: Option<StandbyRevision>,
    ) {
        // Which of the two are there follows from the kind: no two keys read alike.
        let kind = match kind {
            RepairKind::Missed => 1,
            RepairKind::Surplus => 2,
            RepairKind::Different => 3,
        };
        self.0.update(&[kind]);
        self.0.update(&(key.len() as u64).to_be_bytes());
        self.0.update(key.as_bytes());
        if let Some(fingerprint) = fingerprint {
            self.0.update(&fingerprint.to_be_bytes());
        }
        if let Some(modified) = modified {
            self.0.update(&modified.get().to_be_bytes());
        }
    }

    pub(crate) fn digest(&self) -> RepairDigest {
        RepairDigest(self.0.digest128())
    }
}

#[cfg(test)]
mod tests {
    use etcd_mvcc::Value;

    use super::*;

    /// What a digest is taken of, to be varied.
    #[derive(Clone)]
    struct Case {
        cluster: u64,
        scope: &'static str,
        kinds: RepairKinds,
        keys: Vec<(RepairKind, &'static str, Option<&'static str>, Option<i64>)>,
    }

    fn case() -> Case {
        Case {
            cluster: 0xbeef,
            scope: "5eed",
            kinds: RepairKinds::default(),
            keys: vec![
                (RepairKind::Missed, "/registry/pods/a/b", Some("v"), None),
                (RepairKind::Different, "/registry/pods/a/c", Some("w"), Some(7)),
                (RepairKind::Surplus, "/registry/pods/a/d", None, Some(9)),
            ],
        }
    }

    fn digest(case: &Case) -> RepairDigest {
        let mut digesting = Digesting::new(ClusterId::new(case.cluster), case.scope, case.kinds);
        for (kind, key, value, modified) in &case.keys {
            let fingerprint = value.map(|value| Value::from(value).fingerprint());
            digesting.key(*kind, &Key::from(*key), fingerprint, modified.map(Revision::new));
        }
        digesting.digest()
    }

    #[test]
    fn a_digest_stays_what_operators_have_written_down() {
        assert_eq!(digest(&case()).to_string(), "827515efb6e366e0e998edcad4f3ae57");
    }

    #[test]
    fn whatever_a_repair_would_do_otherwise_changes_its_digest() {
        let variations: [fn(&mut Case); 10] = [
            |case| case.cluster += 1,
            |case| case.scope = "5eee",
            |case| case.kinds.missed = false,
            |case| case.kinds.surplus = Surplus::All,
            |case| case.keys[0].1 = "/registry/pods/a/a",
            |case| case.keys[0].2 = Some("x"),
            |case| case.keys[1].3 = Some(8),
            |case| case.keys[2].3 = Some(10),
            |case| case.keys.truncate(2),
            |case| case.keys[1].0 = RepairKind::Surplus,
        ];
        for (at, vary) in variations.iter().enumerate() {
            let mut varied = case();
            vary(&mut varied);
            assert_ne!(digest(&varied), digest(&case()), "variation {at}");
        }
    }

    #[test]
    fn a_digest_is_read_as_it_is_shown_and_nothing_else_is_one() {
        let digest = digest(&case());
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for text in ["", "5eed", "+0000000000000000000000000000001", &"g".repeat(32)] {
            assert_eq!(text.parse::<RepairDigest>(), Err(DigestError), "{text}");
        }
    }
}
