//! Did the standby only ever hold what the primary held, and in that order?
//!
//! A [`Recorder`] watches a whole cluster from its first revision on and notes a fingerprint of the
//! keys in scope after each revision. [`compare`] then asks that every state of the standby, once
//! it has been equal to the primary for the first time, is a state of the primary, and that it
//! never goes back in time. A torn revision, a lost or repeated write, a deletion out of order:
//! each makes a state that the primary never had.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use etcd_client::{EventType, WatchOptions};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use xxhash_rust::xxh3::xxh3_128;

use crate::etcd::Access;

type InScope = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// What a cluster held over time, in scope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// A revision and the fingerprint that held from it on; neighbours differ.
    states: Vec<(i64, u128)>,
    /// The keys in scope and the fingerprint of each.
    keys: BTreeMap<Vec<u8>, u128>,
    /// The newest revision that was seen.
    seen: i64,
}

impl Recording {
    /// Returns a recording of a cluster that has held nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self { states: vec![(0, 0)], ..Self::default() }
    }

    /// Notes one change of `revision`. Changes come in the order of their revisions.
    pub fn note(&mut self, revision: i64, key: &[u8], value: Option<&[u8]>) {
        assert!(revision >= self.seen, "revision {revision} after {}", self.seen);
        let new = value.map(|value| fingerprint(key, value));
        let old = match new {
            Some(new) => self.keys.insert(key.to_vec(), new),
            None => self.keys.remove(key),
        };
        let (last, sum) = *self.states.last().expect("a first state");
        let sum = sum.wrapping_sub(old.unwrap_or(0)).wrapping_add(new.unwrap_or(0));
        if last == revision {
            // More of the same revision: only the whole of it is a state.
            self.states.pop();
        }
        if self.states.last().is_none_or(|(_, before)| *before != sum) {
            self.states.push((revision, sum));
        }
        self.seen = revision;
    }

    /// Notes that `revision` changed nothing in scope.
    pub fn pass(&mut self, revision: i64) {
        self.seen = self.seen.max(revision);
    }

    /// Returns the fingerprint of the state at a revision.
    #[must_use]
    pub fn at(&self, revision: i64) -> u128 {
        let after = self.states.partition_point(|(from, _)| *from <= revision);
        self.states[after - 1].1
    }

    /// Returns how many states there were.
    #[must_use]
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Returns true if nothing in scope was ever written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.states.len() == 1
    }
}

/// A number for a key with its value. Sums of these stand for whole states.
fn fingerprint(key: &[u8], value: &[u8]) -> u128 {
    let mut bytes = Vec::with_capacity(key.len() + value.len() + 8);
    bytes.extend_from_slice(&(key.len() as u64).to_le_bytes());
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(value);
    xxh3_128(&bytes)
}

/// A state of the standby that should not have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Anomaly {
    /// The standby never was as the primary, so there is nothing to compare.
    NeverEqual,
    /// The primary never held this.
    NeverHeld {
        /// Since when the standby did.
        standby: i64,
        /// Where the primary was at least, by the state before.
        after_primary: i64,
    },
    /// The primary held this only before what the standby held already.
    BackInTime {
        /// Since when the standby did.
        standby: i64,
        /// When the primary held it last.
        primary: i64,
        /// Where the standby had been.
        after_primary: i64,
    },
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverEqual => f.write_str("the standby never equalled the primary"),
            Self::NeverHeld { standby, after_primary } => write!(
                f,
                "standby@{standby} holds what the primary never held after revision {after_primary}"
            ),
            Self::BackInTime { standby, primary, after_primary } => write!(
                f,
                "standby@{standby} is primary@{primary} again, after it was primary@{after_primary}"
            ),
        }
    }
}

/// Compares two histories. The standby's states count from its first that equals a state of the
/// primary at or after revision `copied_from` (what the mirror found when it began to copy; the
/// half-copied states before it are no states of anything). Returns how many states were compared.
///
/// # Errors
///
/// With the first state of the standby that should not have been.
pub fn compare(
    primary: &Recording,
    standby: &Recording,
    copied_from: i64,
) -> Result<usize, Anomaly> {
    let mut places: BTreeMap<u128, Vec<usize>> = BTreeMap::new();
    for (place, (_, state)) in primary.states.iter().enumerate() {
        places.entry(*state).or_default().push(place);
    }
    // The state that held at `copied_from` began at or before it.
    let mut at = primary.states.partition_point(|(from, _)| *from <= copied_from) - 1;
    let find =
        |state: u128, from: usize| places.get(&state)?.iter().copied().find(|place| *place >= from);
    let mut states = standby.states.iter();
    let first = states.find_map(|(_, state)| find(*state, at)).ok_or(Anomaly::NeverEqual)?;
    at = first;
    let mut compared = 1;
    for (revision, state) in states {
        let after_primary = primary.states[at].0;
        at = find(*state, at).ok_or_else(|| {
            let earlier = places.get(state).and_then(|places| places.last());
            earlier.map_or(Anomaly::NeverHeld { standby: *revision, after_primary }, |place| {
                let primary = primary.states[*place].0;
                Anomaly::BackInTime { standby: *revision, primary, after_primary }
            })
        })?;
        compared += 1;
    }
    Ok(compared)
}

/// Watches a whole cluster and writes a [`Recording`].
#[derive(Debug)]
pub struct Recorder {
    access: Access,
    seen: watch::Receiver<i64>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Recording>,
}

impl Recorder {
    /// Begins with the cluster's first revision. Must be called before anything is compacted.
    pub fn start(
        access: &Access,
        in_scope: impl Fn(&[u8]) -> bool + Send + Sync + 'static,
    ) -> Self {
        let (report, seen) = watch::channel(0);
        let (stop, stopped) = watch::channel(false);
        let in_scope: InScope = Arc::new(in_scope);
        let task = tokio::spawn(record(access.clone(), in_scope, report, stopped));
        Self { access: access.clone(), seen, stop, task }
    }

    /// Waits until all that the cluster holds now has been recorded, and ends.
    ///
    /// # Panics
    ///
    /// If that takes longer than a minute, or the cluster forgot what was not yet recorded.
    pub async fn finish(mut self) -> Recording {
        let head = newest(&self.access).await;
        let caught_up = async { self.seen.wait_for(|seen| *seen >= head).await.is_ok() };
        let waited = tokio::time::timeout(Duration::from_secs(60), caught_up).await;
        // An `Ok(false)` means that the task has ended: its own panic says more.
        assert!(waited.is_ok(), "recorded up to {} of {head} in a minute", *self.seen.borrow());
        self.stop.send_replace(true);
        self.task.await.expect("the recorder")
    }
}

/// Returns the cluster's revision. Each revision but the first has a change, so a watch of
/// everything comes by.
async fn newest(access: &Access) -> i64 {
    let mut client = access.client().await;
    client.get("\0", None).await.expect("a read").header().expect("a header").revision()
}

async fn record(
    access: Access,
    in_scope: InScope,
    report: watch::Sender<i64>,
    mut stop: watch::Receiver<bool>,
) -> Recording {
    let mut recording = Recording::new();
    // Revision 1 is the empty cluster.
    recording.pass(1);
    report.send_replace(1);
    loop {
        let follow = follow(&access, &in_scope, &mut recording, &report);
        tokio::select! {
            () = follow => {}
            _ = stop.wait_for(|stop| *stop) => return recording,
        }
        // The connection broke. What is not whole comes again.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn follow(
    access: &Access,
    in_scope: &InScope,
    recording: &mut Recording,
    report: &watch::Sender<i64>,
) {
    let client = access.client().await;
    let mut watcher = client.watch_client().max_decoding_message_size(1 << 30);
    // From the last one on, inclusive: a deletion at the compacted revision is never lost that way.
    let from = recording.seen;
    let options = WatchOptions::new().with_all_keys().with_start_revision(from);
    let Ok(mut stream) = watcher.watch(Vec::new(), Some(options)).await else { return };
    while let Ok(Some(response)) = stream.message().await {
        assert!(
            response.compact_revision() == 0,
            "the history up to {} is gone, recorded up to {from}",
            response.compact_revision()
        );
        if response.canceled() {
            return;
        }
        // A response holds whole revisions, as fragments were not asked for.
        let known = recording.seen;
        for event in response.events() {
            let Some(kv) = event.kv().filter(|kv| kv.mod_revision() > known) else { continue };
            if in_scope(kv.key()) {
                let value = (event.event_type() == EventType::Put).then(|| kv.value());
                recording.note(kv.mod_revision(), kv.key(), value);
            } else {
                recording.pass(kv.mod_revision());
            }
        }
        report.send_replace(recording.seen);
    }
}
