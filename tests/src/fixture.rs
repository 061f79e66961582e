//! The Kubernetes keyspace beside the tests, put into an etcd. `fixtures/README.md` describes it.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use etcd_client::{Client, PutOptions};
use flate2::read::GzDecoder;

/// One key of the fixture.
#[derive(Clone, Debug)]
pub struct Record {
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
    /// The lease that it was attached to, or 0.
    pub lease: i64,
}

/// Returns the primary's part, owners before what they own.
#[must_use]
pub fn primary() -> Vec<Record> {
    read(include_bytes!("../fixtures/primary.jsonl.gz"))
}

/// Returns what a new standby holds before its first copy.
#[must_use]
pub fn fresh_standby() -> Vec<Record> {
    read(include_bytes!("../fixtures/standby.jsonl.gz"))
}

fn read(packed: &[u8]) -> Vec<Record> {
    let mut lines = String::new();
    GzDecoder::new(packed).read_to_string(&mut lines).expect("fixture");
    parse(&lines)
}

/// Reads lines such as the fixture has.
///
/// # Panics
///
/// If they are none.
#[must_use]
pub fn parse(lines: &str) -> Vec<Record> {
    let record = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        let bytes =
            |field: &str| STANDARD.decode(line[field].as_str().expect("a string")).expect("base64");
        let lease = line["lease"].as_i64().expect("a lease id");
        Record { key: bytes("key"), value: bytes("value"), lease }
    };
    lines.lines().map(record).collect()
}

/// Writes the records, one revision each, in their order. Keys with a lease get one of an hour.
pub async fn load(client: &mut Client, records: &[Record]) {
    let mut granted = std::collections::BTreeMap::new();
    for record in records {
        let mut options = PutOptions::new();
        if record.lease != 0 {
            if let std::collections::btree_map::Entry::Vacant(entry) = granted.entry(record.lease) {
                let lease = client.lease_grant(3600, None).await.expect("a lease");
                entry.insert(lease.id());
            }
            options = options.with_lease(granted[&record.lease]);
        }
        client.put(record.key.clone(), record.value.clone(), Some(options)).await.expect("a put");
    }
}
