//! Where to cut the keyspace so that its parts are of like size.
//!
//! Nobody knows how keys are spread before they have been read, and asking etcd to count them
//! costs it a walk over its index. So a check notes landmarks as it goes by, and the next one is
//! cut there.

use etcd_mvcc::{Key, PageSizes};

/// Samples that are kept for one part; beyond, every other one is dropped.
const SAMPLES_MAX: usize = 64;

/// Parts smaller than this are not worth their requests.
const PART_KEYS_MIN: u64 = 4_096;

/// What a check has learned for the next one of the same clusters: keys at about equal distances,
/// as the standby spells them, ascending, and how large pages may get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Landmarks {
    keys: Vec<Key>,
    pages: Option<PageSizes>,
}

impl Landmarks {
    /// Returns the keys, ascending.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Takes over what a later check has learned.
    pub fn renew(&mut self, later: &Self) {
        if !later.keys.is_empty() {
            self.keys.clone_from(&later.keys);
        }
        self.pages = later.pages.or(self.pages);
    }

    pub(crate) fn pages(&self) -> Option<PageSizes> {
        self.pages
    }

    /// Adds how large pages may get.
    pub(crate) fn with_pages(self, pages: PageSizes) -> Self {
        Self { pages: Some(pages), ..self }
    }

    /// Picks at most `parts - 1` landmarks from samples of all parts.
    pub(crate) fn pick(samples: impl IntoIterator<Item = Samples>, parts: usize) -> Self {
        let mut weighted: Vec<(Key, u64)> = samples
            .into_iter()
            .flat_map(|samples| {
                let stride = samples.stride;
                samples.keys.into_iter().map(move |key| (key, stride))
            })
            .collect();
        weighted.sort();
        let total: u64 = weighted.iter().map(|(_, weight)| weight).sum();
        let distance = (total / u64::try_from(parts.max(1)).unwrap_or(1)).max(PART_KEYS_MIN);
        let mut since = 0;
        let picked = weighted.into_iter().filter_map(|(key, weight)| {
            since += weight;
            (since >= distance).then(|| {
                since = 0;
                key
            })
        });
        Self { keys: picked.collect(), pages: None }
    }
}

/// Every so-many-th key of a part, few enough to keep.
#[derive(Clone, Debug)]
pub(crate) struct Samples {
    stride: u64,
    until_next: u64,
    keys: Vec<Key>,
}

impl Default for Samples {
    fn default() -> Self {
        Self { stride: 256, until_next: 256, keys: Vec::new() }
    }
}

impl Samples {
    /// Goes by a key, as the standby spells it.
    pub(crate) fn pass(&mut self, key: &Key) {
        self.until_next -= 1;
        if self.until_next > 0 {
            return;
        }
        self.keys.push(key.clone());
        if self.keys.len() > SAMPLES_MAX {
            let mut keep = false;
            self.keys.retain(|_| {
                keep = !keep;
                !keep
            });
            self.stride *= 2;
        }
        self.until_next = self.stride;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(names: std::ops::Range<u32>) -> Samples {
        let mut samples = Samples::default();
        names.for_each(|name| samples.pass(&Key::from(format!("/{name:08}"))));
        samples
    }

    #[test]
    fn landmarks_cut_into_parts_of_like_size_however_many_keys_there_are() {
        for keys in [50_000, 1_000_000] {
            let all = [samples(0..keys / 10), samples(keys / 10..keys)];
            assert!(all.iter().all(|part| part.keys.len() <= SAMPLES_MAX));
            let landmarks = Landmarks::pick(all, 8);
            let numbers: Vec<u32> = landmarks
                .keys()
                .iter()
                .map(|key| std::str::from_utf8(&key.as_bytes()[1..]).unwrap().parse().unwrap())
                .collect();
            let cuts = [&[0], numbers.as_slice(), &[keys]].concat();
            let widest = cuts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
            assert!((7..=9).contains(&(cuts.len() - 1)), "{cuts:?}");
            assert!(widest <= keys / 4, "{cuts:?}");
        }
    }

    #[test]
    fn few_keys_are_not_cut_at_all() {
        assert_eq!(Landmarks::pick([samples(0..4_000)], 8), Landmarks::default());
    }
}
