//! The fixture put into an etcd, and all keys read back, by etcd's JSON gateway.
#![expect(clippy::indexing_slicing, reason = "of JSON values only, where what is missing is null")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::gateway;

const PRIMARY: &[u8] = include_bytes!("../../../tests/fixtures/primary.jsonl.gz");
const STANDBY: &[u8] = include_bytes!("../../../tests/fixtures/standby.jsonl.gz");

/// What a key holds, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) value: Vec<u8>,
    pub(crate) mod_revision: i64,
}

/// A cluster's keys.
pub(crate) type Keys = BTreeMap<Vec<u8>, Entry>;

/// Writes the primary's keyspace, owners first; returns how many keys that is.
pub(crate) fn load_primary(address: &str) -> Result<usize> {
    load(address, PRIMARY)
}

/// Writes what a new standby holds by itself.
pub(crate) fn load_standby(address: &str) -> Result<usize> {
    load(address, STANDBY)
}

fn load(address: &str, packed: &[u8]) -> Result<usize> {
    let mut lines = String::new();
    GzDecoder::new(packed).read_to_string(&mut lines).context("the fixture is broken")?;
    let mut leases = BTreeSet::new();
    let mut count = 0;
    for line in lines.lines() {
        let record: Value = serde_json::from_str(line).context("the fixture is broken")?;
        let lease = record["lease"].as_i64().unwrap_or_default();
        if lease != 0 && leases.insert(lease) {
            gateway::call(address, "lease/grant", &json!({ "ID": lease, "TTL": 3600 }))?;
        }
        let put = json!({ "key": record["key"], "value": record["value"], "lease": lease });
        gateway::call(address, "kv/put", &put)?;
        count += 1;
    }
    Ok(count)
}

/// Reads all keys at one moment.
pub(crate) fn read(address: &str) -> Result<Keys> {
    let everything = json!({ "key": STANDARD.encode([0]), "range_end": STANDARD.encode([0]) });
    let answer = gateway::call(address, "kv/range", &everything)?;
    let kvs = answer["kvs"].as_array().map(Vec::as_slice).unwrap_or_default();
    kvs.iter().map(entry).collect::<Option<Keys>>().context("etcd answers in another form")
}

fn entry(kv: &Value) -> Option<(Vec<u8>, Entry)> {
    let bytes = |field: &str| {
        // What is empty is left out.
        STANDARD.decode(kv.get(field).map_or(Some(""), Value::as_str)?).ok()
    };
    let mod_revision = kv["mod_revision"].as_str()?.parse().ok()?;
    Some((bytes("key")?, Entry { value: bytes("value")?, mod_revision }))
}

/// Returns how many keys in scope are equal on both sides, and the names of those that are not.
pub(crate) fn compare(
    primary: &Keys,
    standby: &Keys,
    in_scope: impl Fn(&[u8]) -> bool,
) -> (usize, Vec<String>) {
    let mut equal = 0;
    let mut unequal = Vec::new();
    let names: BTreeSet<&Vec<u8>> = primary.keys().chain(standby.keys()).collect();
    for key in names.into_iter().filter(|key| in_scope(key)) {
        let value = |keys: &Keys| keys.get(key).map(|entry| entry.value.clone());
        if value(primary) == value(standby) {
            equal += 1;
        } else {
            unequal.push(key.escape_ascii().to_string());
        }
    }
    (equal, unequal)
}

/// Returns how many keys out of scope are as they were, to the byte and revision, and the names of
/// those that are not.
pub(crate) fn untouched(
    before: &Keys,
    after: &Keys,
    in_scope: impl Fn(&[u8]) -> bool,
) -> (usize, Vec<String>) {
    let mut same = 0;
    let mut touched = Vec::new();
    let names: BTreeSet<&Vec<u8>> = before.keys().chain(after.keys()).collect();
    for key in names.into_iter().filter(|key| !in_scope(key)) {
        // Its own bookkeeping is the one thing that the mirror adds.
        if key.starts_with(keyspace_filter::OWN_PREFIX.as_bytes()) {
            continue;
        }
        if before.get(key) == after.get(key) {
            same += 1;
        } else {
            touched.push(key.escape_ascii().to_string());
        }
    }
    (same, touched)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(entries: &[(&str, &str, i64)]) -> Keys {
        let entry = |(key, value, mod_revision): &(&str, &str, i64)| {
            let value = value.as_bytes().to_vec();
            (key.as_bytes().to_vec(), Entry { value, mod_revision: *mod_revision })
        };
        entries.iter().map(entry).collect()
    }

    fn in_scope(key: &[u8]) -> bool {
        key.starts_with(b"/in/")
    }

    #[test]
    fn only_values_in_scope_count_as_equal() {
        let primary = keys(&[("/in/a", "1", 5), ("/in/b", "2", 6), ("/out", "3", 7)]);
        let standby = keys(&[("/in/a", "1", 9), ("/in/c", "2", 6), ("/out", "4", 7)]);
        let (equal, unequal) = compare(&primary, &standby, in_scope);
        assert_eq!((equal, unequal), (1, vec!["/in/b".to_owned(), "/in/c".to_owned()]));
    }

    #[test]
    fn a_rewrite_of_the_same_bytes_out_of_scope_is_a_touch() {
        let before = keys(&[("/out/a", "1", 5), ("/out/b", "2", 6), ("/in/a", "1", 2)]);
        let after = keys(&[("/out/a", "1", 5), ("/out/b", "2", 7), ("/etcd-sync/x", "", 9)]);
        assert_eq!(untouched(&before, &after, in_scope), (1, vec!["/out/b".to_owned()]));
    }

    #[test]
    fn the_fixture_can_be_read() {
        for packed in [PRIMARY, STANDBY] {
            let mut lines = String::new();
            GzDecoder::new(packed).read_to_string(&mut lines).unwrap();
            assert!(lines.lines().count() > 100);
        }
    }
}
