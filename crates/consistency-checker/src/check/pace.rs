//! Reading no faster than allowed: a check must not be what slows replication down.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use etcd_mvcc::{Entry, Failure, Key, Page, PageRequest, ReadRange};
use tokio::time::{Instant, sleep_until};

use crate::Envelope;

/// How far a check has come; both sides together.
#[derive(Debug, Default)]
pub struct Progress {
    keys: AtomicU64,
    bytes: AtomicU64,
}

impl Progress {
    /// Returns how many keys were read, in scope or not.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.keys.load(Ordering::Relaxed)
    }

    /// Returns how many bytes of keys and values were read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Shares out a rate of bytes among everybody who reads.
#[derive(Debug)]
pub(crate) struct Pace {
    bytes_per_second: Option<u64>,
    free_at: Mutex<Option<Instant>>,
}

impl Pace {
    pub(crate) fn new(bytes_per_second: Option<u64>) -> Self {
        Self { bytes_per_second, free_at: Mutex::new(None) }
    }

    /// Waits until what was read before has been paid for, and notes `bytes` more.
    async fn spend(&self, bytes: u64) {
        let Some(rate) = self.bytes_per_second.filter(|rate| *rate > 0) else { return };
        #[expect(clippy::cast_precision_loss, reason = "a pause need not be exact")]
        let cost = Duration::try_from_secs_f64(bytes as f64 / rate as f64).unwrap_or_default();
        let until = {
            let now = Instant::now();
            let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            let until = free_at.map_or(now, |at| at.max(now)) + cost;
            *free_at = Some(until);
            until
        };
        sleep_until(until).await;
    }
}

/// A reader that keeps to a pace and counts what it reads.
pub(crate) struct Paced<'a, R> {
    pub(crate) reader: &'a R,
    pub(crate) pace: &'a Pace,
    pub(crate) progress: &'a Progress,
    /// Where to note what values are encrypted with; only asked for on the standby.
    pub(crate) envelopes: Option<&'a Envelopes>,
}

/// What the values that were read are encrypted with.
#[derive(Debug, Default)]
pub(crate) struct Envelopes(Mutex<BTreeSet<Envelope>>);

impl Envelopes {
    /// A cluster keeps a handful of keys; more than this is not noted.
    const NOTED_MAX: usize = 64;

    fn note<R>(&self, entries: &[Entry<R>]) {
        for envelope in entries.iter().filter_map(|entry| Envelope::of(&entry.value)) {
            let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if noted.len() < Self::NOTED_MAX {
                noted.insert(envelope);
            }
        }
    }

    pub(crate) fn into_inner(self) -> BTreeSet<Envelope> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: ReadRange> ReadRange for Paced<'_, R> {
    type Revision = R::Revision;

    async fn read_page(
        &self,
        request: PageRequest<Self::Revision>,
    ) -> Result<Page<Self::Revision>, Failure> {
        let page = self.reader.read_page(request).await?;
        let size = |entry: &Entry<_>| entry.key.len() + entry.value.len();
        let bytes: usize = page.entries.iter().map(size).sum();
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let keys = u64::try_from(page.entries.len()).unwrap_or(u64::MAX);
        if let Some(seen) = self.envelopes {
            seen.note(&page.entries);
        }
        self.progress.keys.fetch_add(keys, Ordering::Relaxed);
        self.progress.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.pace.spend(bytes).await;
        Ok(page)
    }

    async fn read_keys(
        &self,
        keys: &[Key],
        at: Option<Self::Revision>,
    ) -> Result<Vec<Option<Entry<Self::Revision>>>, Failure> {
        self.reader.read_keys(keys, at).await
    }
}
