//! All keys of a cluster at one revision, and the comparison of two.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use etcd_client::{Client, Error, GetOptions, GetResponse, KvClient};
use tokio::time::Instant;

/// One key's value and revisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: Vec<u8>,
    /// The revision that created the key.
    pub create_revision: i64,
    /// The revision that wrote it last.
    pub mod_revision: i64,
    /// The lease that it is attached to, or 0.
    pub lease: i64,
}

/// A cluster's keys at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump {
    /// The revision.
    pub revision: i64,
    /// What it holds.
    pub keys: BTreeMap<Vec<u8>, Entry>,
}

impl Dump {
    /// Returns the part that `keep` admits.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&[u8]) -> bool) -> Self {
        let keys = self.keys.iter().filter(|(key, _)| keep(key));
        Self {
            revision: self.revision,
            keys: keys.map(|(key, entry)| (key.clone(), entry.clone())).collect(),
        }
    }
}

/// Reads every key, as of now (linearizable).
pub async fn dump(client: &Client) -> Dump {
    dump_at(client, 0).await
}

/// Reads every key as of `revision`; 0 means now.
///
/// # Panics
///
/// If the revision has been compacted or is not there yet.
pub async fn dump_at(client: &Client, revision: i64) -> Dump {
    // Far above the 4 MiB that a client accepts by itself.
    let mut kv = client.kv_client().max_decoding_message_size(1 << 30);
    let mut pinned = revision;
    let mut keys = BTreeMap::new();
    let mut from = vec![0];
    loop {
        let options = GetOptions::new().with_from_key().with_limit(5_000).with_revision(pinned);
        let mut page = read(&mut kv, &from, options).await;
        if pinned == 0 {
            pinned = page.header().expect("a header").revision();
        }
        let more = page.more();
        for kv in page.take_kvs() {
            let entry = Entry {
                create_revision: kv.create_revision(),
                mod_revision: kv.mod_revision(),
                lease: kv.lease(),
                value: kv.value().to_vec(),
            };
            keys.insert(kv.key().to_vec(), entry);
        }
        let Some((last, _)) = keys.last_key_value().filter(|_| more) else {
            return Dump { revision: pinned, keys };
        };
        from.clone_from(last);
        from.push(0);
    }
}

/// Reads a page. A cluster that elects a leader at that moment refuses; it is asked again.
async fn read(kv: &mut KvClient, from: &[u8], options: GetOptions) -> GetResponse {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match kv.get(from.to_vec(), Some(options.clone())).await {
            Ok(page) => return page,
            Err(Error::GRpcStatus(status)) if status.message().contains("leader") => {
                assert!(Instant::now() < deadline, "no leader for 20 s: {status}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("read a page: {error}"),
        }
    }
}

/// Returns what keeps two dumps from holding the same keys and values, over the keys that
/// `in_scope` admits: one line each.
#[must_use]
pub fn differences(
    primary: &Dump,
    standby: &Dump,
    in_scope: impl Fn(&[u8]) -> bool,
) -> Vec<String> {
    let mut found = Vec::new();
    for (key, entry) in primary.keys.iter().filter(|(key, _)| in_scope(key)) {
        match standby.keys.get(key) {
            None => found.push(format!("missed    {}", key.escape_ascii())),
            Some(other) if other.value != entry.value => {
                found.push(format!("different {}", key.escape_ascii()));
            }
            Some(_) => {}
        }
    }
    for key in standby.keys.keys().filter(|key| in_scope(key)) {
        if !primary.keys.contains_key(key) {
            found.push(format!("surplus   {}", key.escape_ascii()));
        }
    }
    found
}

/// Ends the test unless both sides hold the same keys and values, over the keys that `in_scope`
/// admits.
///
/// # Panics
///
/// If they differ; the message names the first keys.
pub fn assert_equal_in_scope(primary: &Dump, standby: &Dump, in_scope: impl Fn(&[u8]) -> bool) {
    let found = differences(primary, standby, in_scope);
    if found.is_empty() {
        return;
    }
    let mut message = format!(
        "primary@{} and standby@{} differ in {} keys:",
        primary.revision,
        standby.revision,
        found.len()
    );
    for line in found.iter().take(20) {
        let _ = write!(message, "\n  {line}");
    }
    panic!("{message}");
}

/// Ends the test unless every key that `in_scope` does not admit is as it was: bytes, revisions,
/// lease. The mirror's own keys don't count.
///
/// # Panics
///
/// If one is not.
pub fn assert_untouched(before: &Dump, after: &Dump, in_scope: impl Fn(&[u8]) -> bool) {
    let local = |key: &[u8]| !key.starts_with(crate::OWN_PREFIX) && !in_scope(key);
    let (before, after) = (before.filtered(local), after.filtered(local));
    for (key, entry) in &before.keys {
        assert_eq!(
            after.keys.get(key),
            Some(entry),
            "{} is out of scope and was touched",
            key.escape_ascii()
        );
    }
    for key in after.keys.keys() {
        assert!(before.keys.contains_key(key), "{} appeared out of scope", key.escape_ascii());
    }
}
