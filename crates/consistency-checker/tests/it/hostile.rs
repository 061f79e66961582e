//! A peer that answers nonsense gets no conclusion drawn from it.

use consistency_checker::{Breach, DiffError, Options, PrimarySide, StandbySide, diff};
use etcd_mvcc::{
    ClusterId, Entry, Failure, FailureClass, Key, KeyRange, Page, PageRequest, PrimaryRevision,
    ReadRange, Revision, Side, StandbyRevision, WalkLimits,
};
use etcd_sim::{SimPrimary, SimStandby};
use futures::executor::block_on;

/// A standby whose pages pass through a closure on their way.
struct Tampered<F>(SimStandby, F);

impl<F: Fn(&mut Page<StandbyRevision>) + Send + Sync> ReadRange for Tampered<F> {
    type Revision = StandbyRevision;

    async fn read_page(
        &self,
        request: PageRequest<StandbyRevision>,
    ) -> Result<Page<StandbyRevision>, Failure> {
        let mut page = self.0.read_page(request).await?;
        (self.1)(&mut page);
        Ok(page)
    }

    async fn read_keys(
        &self,
        keys: &[Key],
        at: Option<StandbyRevision>,
    ) -> Result<Vec<Option<Entry<StandbyRevision>>>, Failure> {
        self.0.read_keys(keys, at).await
    }
}

/// Compares two clusters with the same five keys, the standby's pages tampered with.
fn compare(
    tamper: impl Fn(&mut Page<StandbyRevision>) + Send + Sync,
    map: impl FnMut(&Key) -> Option<Key>,
) -> Result<u64, DiffError> {
    let primary = SimPrimary::new(ClusterId::new(1));
    let standby = SimStandby::new(ClusterId::new(2));
    for key in ["a", "b", "c", "d", "e"] {
        primary.with(|model| model.put(key, "")).unwrap();
        standby.with(|model| model.put(key, "")).unwrap();
    }
    let standby = Tampered(standby, tamper);
    let ranges = [KeyRange::new(Key::from("a"), Key::from("e"))];
    let limits = WalkLimits { page_keys: 3, ..WalkLimits::default() };
    let options = Options { sizes: limits.into(), ..Options::default() };
    let at = PrimaryRevision::new(6);
    let primary = PrimarySide { reader: &primary, ranges: &ranges, at, map };
    let at = StandbyRevision::new(6);
    let standby = StandbySide { reader: &standby, ranges: &ranges, at, admits: |_: &Key| true };
    let summary = block_on(diff(primary, standby, &options, |_| {}))?;
    assert!(summary.is_clean());
    Ok(summary.keys)
}

fn breach(tamper: impl Fn(&mut Page<StandbyRevision>) + Send + Sync) -> Breach {
    match compare(tamper, |key| Some(key.clone())) {
        Err(DiffError::Broken { side: Side::Standby, breach }) => breach,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_honest_peer_is_believed() {
    assert_eq!(compare(|_| {}, |key| Some(key.clone())), Ok(4));
}

#[test]
fn pages_that_etcd_never_sends_are_refused() {
    assert_eq!(breach(|page| page.at = page.at.next()), Breach::Revision);
    assert_eq!(breach(|page| page.entries.reverse()), Breach::Order);
    assert_eq!(breach(|page| page.entries[1] = page.entries[0].clone()), Breach::Order);
    assert_eq!(breach(|page| page.entries[0].key = Key::from("Z")), Breach::Order);
    assert_eq!(breach(|page| page.entries[0].modified = page.at.next()), Breach::Order);
    assert_eq!(breach(|page| page.more = !page.more), Breach::Count);
    assert_eq!(breach(|page| page.entries.clear()), Breach::Count);
    let wide = |page: &mut Page<_>| page.entries.extend(page.entries.clone());
    assert_eq!(breach(wide), Breach::Limit);
}

#[test]
fn a_mapping_that_turns_the_order_around_is_refused() {
    let turned = |key: &Key| Some(Key::from(vec![!key.as_bytes()[0]]));
    let error = compare(|_| {}, turned).unwrap_err();
    assert_eq!(error, DiffError::Unordered { key: Key::from("b") });
    assert_eq!(error.class(), FailureClass::Fatal);
    let merged = |_: &Key| Some(Key::from("a"));
    assert!(matches!(compare(|_| {}, merged), Err(DiffError::Unordered { .. })));
}
