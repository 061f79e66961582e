//! A comparison of two clusters of which one may lie.
//!
//! The first bytes say how to compare and how to lie, the rest which keys there are. While nobody
//! lies, the answer is the one of set algebra; else there is an error, or an answer to the lie, but
//! no panic, no end of memory, and no difference out of order.

#![no_main]

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use consistency_checker::{Diff, DiffError, Options, PrimarySide, StandbySide};
use etcd_mvcc::{
    ClusterId, Entry, Failure, FailureClass, Key, KeyRange, Page, PageRequest, ReadRange, Revision,
    Side, StandbyRevision, WalkLimits,
};
use etcd_sim::{SimEtcd, SimStandby};
use libfuzzer_sys::fuzz_target;

/// The steps of lying, one per page; honest once they are used up.
struct Liar {
    standby: SimStandby,
    steps: Mutex<Vec<u8>>,
}

impl ReadRange for Liar {
    type Revision = StandbyRevision;

    async fn read_page(
        &self,
        request: PageRequest<StandbyRevision>,
    ) -> Result<Page<StandbyRevision>, Failure> {
        let mut page = self.standby.read_page(request).await?;
        let step = self.steps.lock().unwrap().pop().unwrap_or(0);
        let at = usize::from(step / 16) % page.entries.len().max(1);
        match (step % 16, page.entries.len()) {
            (1, _) => return Err(Failure::new(FailureClass::Retry, "away")),
            (2, _) => return Err(Failure::new(FailureClass::Resync, "compacted")),
            (3, _) => page.at = page.at.next(),
            (4, _) => page.more = !page.more,
            (5, _) => page.count += 1,
            (6, _) => page.entries.clear(),
            (7, 1..) => page.entries.swap(0, at),
            (8, 1..) => page.entries[at].key = Key::from(vec![step]),
            (9, 1..) => drop(page.entries.remove(at)),
            (10, 1..) => page.entries.push(page.entries[at].clone()),
            (11, 1..) => page.entries[at].modified = page.at.next(),
            (12, 1..) => page.entries[at].key = page.entries[at].key.successor(),
            _ => {}
        }
        Ok(page)
    }

    async fn read_keys(
        &self,
        keys: &[Key],
        at: Option<StandbyRevision>,
    ) -> Result<Vec<Option<Entry<StandbyRevision>>>, Failure> {
        self.standby.read_keys(keys, at).await
    }
}

type Keys = BTreeMap<Vec<u8>, u8>;

fn fill<R: Revision>(keys: &Keys) -> SimEtcd<R> {
    let etcd = SimEtcd::new(ClusterId::new(1));
    for (key, value) in keys {
        etcd.with(|model| model.put(key.clone(), vec![*value])).expect("a key that etcd takes");
    }
    etcd
}

/// Keys between zeros: in the primary, the standby, or both; with equal values or not.
fn keys(bytes: &[u8]) -> [Keys; 2] {
    let mut sides = [Keys::new(), Keys::new()];
    for item in bytes.split(|&byte| byte == 0) {
        let [place, key @ ..] = item else { continue };
        if key.is_empty() || key.len() > 200 {
            continue;
        }
        for (index, side) in sides.iter_mut().enumerate() {
            if place >> index & 1 == 1 {
                side.insert(key.to_vec(), place >> (2 + index) & 1);
            }
        }
    }
    sides
}

/// Nothing here ever waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("waits for nothing"),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&[page_bytes, page_keys, flags, lies], rest)) = data.split_first_chunk() else {
        return;
    };
    let (steps, rest) = rest.split_at(usize::from(lies).min(rest.len()));
    let [left, right] = keys(rest);
    let primary = fill(&left);
    let standby = Liar { standby: fill(&right), steps: Mutex::new(steps.to_vec()) };
    let (at, standby_at) =
        (primary.with(|model| model.revision()), standby.standby.with(|model| model.revision()));
    let limits =
        WalkLimits { page_bytes: page_bytes.into(), page_keys: usize::from(page_keys).max(1) };
    let options = Options { limits, keys_only: flags & 1 == 1, after: None };
    let ranges = [KeyRange::all()];
    let mut diff = Diff::new(
        PrimarySide { reader: &primary, ranges: &ranges, at, map: |key: &Key| Some(key.clone()) },
        StandbySide { reader: &standby, ranges: &ranges, at: standby_at, admits: |_: &Key| true },
        &options,
    );
    // A page without values holds four times as many keys.
    let page_keys = limits.page_keys * if options.keys_only { 4 } else { 1 };
    let mut found: Vec<(&str, Key)> = Vec::new();
    loop {
        for side in [Side::Primary, Side::Standby] {
            assert!(diff.waiting(side) <= 2 * page_keys);
        }
        match now(diff.next()) {
            Ok(Some(difference)) => {
                assert!(found.last().is_none_or(|(_, last)| last < difference.key()));
                found.push((difference.kind(), difference.key().clone()));
            }
            Ok(None) => break,
            Err(DiffError::Unread(_)) => {}
            Err(_) => {
                assert!(!steps.is_empty(), "nobody lied");
                return;
            }
        }
    }
    let summary = diff.summary();
    assert_eq!(summary.missed + summary.surplus + summary.different, found.len() as u64);
    if steps.is_empty() {
        assert_eq!(found, by_set_algebra(&left, &right, options.keys_only));
    }
});

fn by_set_algebra(left: &Keys, right: &Keys, keys_only: bool) -> Vec<(&'static str, Key)> {
    let mut all: BTreeMap<&Vec<u8>, &str> = BTreeMap::new();
    for (key, value) in left {
        match right.get(key) {
            None => drop(all.insert(key, "missed")),
            Some(other) if other != value && !keys_only => drop(all.insert(key, "different")),
            Some(_) => {}
        }
    }
    all.extend(right.keys().filter(|key| !left.contains_key(*key)).map(|key| (key, "surplus")));
    all.into_iter().map(|(key, kind)| (kind, Key::from(key.clone()))).collect()
}
