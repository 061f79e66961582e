//! Whole checks, on simulated clusters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use consistency_checker::{
    Check, CheckSettings, Kind, Landmarks, NotPinned, Outcome, PinSource, Pins, Progress, Verdict,
    View, confirm,
};
use etcd_mvcc::{
    ClusterId, Entry, Failure, FailureCause, FailureClass, Key, Page, PageRequest, PrimaryRevision,
    ReadRange, Revision, StandbyRevision, WalkLimits,
};
use etcd_sim::{Fault, Rng, SimPrimary, SimStandby};
use keyspace_filter::{Preset, Scope, ScopeSpec};

fn scope() -> Scope {
    let prefixes = vec!["/registry/".to_owned()];
    Scope::compile(ScopeSpec { preset: Preset::None, prefixes, ..ScopeSpec::default() }).unwrap()
}

pub(crate) fn pair() -> (SimPrimary, SimStandby) {
    (SimPrimary::new(ClusterId::new(1)), SimStandby::new(ClusterId::new(2)))
}

/// Pins what both sides hold at the moment.
pub(crate) struct Heads<'a>(pub(crate) &'a SimPrimary, pub(crate) &'a SimStandby);

impl PinSource for Heads<'_> {
    async fn pin(&self) -> Result<Pins, NotPinned> {
        Ok(Pins {
            primary: self.0.with(|etcd| etcd.revision()),
            standby: self.1.with(|etcd| etcd.revision()),
        })
    }
}

/// Pins the same pair for ever, as a mirror does that stands still.
struct Still(Pins);

impl PinSource for Still {
    async fn pin(&self) -> Result<Pins, NotPinned> {
        Ok(self.0)
    }
}

pub(crate) async fn checked(
    sides: (
        &impl ReadRange<Revision = PrimaryRevision>,
        &impl ReadRange<Revision = StandbyRevision>,
    ),
    pins: &impl PinSource,
    view: &View,
    settings: &CheckSettings,
    landmarks: &Landmarks,
) -> Outcome {
    let (primary, standby) = sides;
    let check = Check { primary, standby, view, pins, settings, landmarks };
    check.run(&Progress::default()).await
}

pub(crate) fn found(outcome: &Outcome) -> BTreeMap<String, Kind> {
    let findings = outcome.findings.iter();
    findings.map(|found| (found.key.to_string(), found.kind)).collect()
}

pub(crate) fn small_pages() -> CheckSettings {
    let limits = WalkLimits { page_bytes: 4_000, page_keys: 100 };
    CheckSettings { limits, ..CheckSettings::default() }
}

#[tokio::test]
async fn every_divergence_is_found_and_nothing_else_however_the_keys_are_cut() {
    let (primary, standby) = pair();
    let mut dice = Rng::new(7);
    let mut planted = BTreeMap::new();
    for name in 0..20_000 {
        let key = format!("/registry/r{}/n{}/{name:05}", name % 7, name % 31);
        let value = format!("value {name}");
        let fate = dice.below(400);
        let (there, here) = match fate {
            0 => (Some(value), None),
            1 => (None, Some(value)),
            2 => (Some(value.clone()), Some(value + "\0")),
            3 => (Some(value), Some(String::new())),
            _ => (Some(value.clone()), Some(value)),
        };
        let kind = match (&there, &here) {
            (Some(_), None) => Some(Kind::Missed),
            (None, Some(_)) => Some(Kind::Surplus),
            (there, here) => (there != here).then_some(Kind::Different),
        };
        planted.extend(kind.map(|kind| (key.clone(), kind)));
        if let Some(value) = there {
            primary.with(|etcd| etcd.put(key.as_str(), value.as_str())).unwrap();
        }
        if let Some(value) = here {
            standby.with(|etcd| etcd.put(key.as_str(), value.as_str())).unwrap();
        }
    }
    assert!(planted.values().collect::<BTreeSet<_>>().len() == 3, "all kinds: {planted:?}");
    let (pins, view) = (Heads(&primary, &standby), View::new(scope()));
    let mut landmarks = Landmarks::default();
    for parallel in [1, 2, 5] {
        let settings = CheckSettings { parallel, ..small_pages() };
        let outcome = checked((&primary, &standby), &pins, &view, &settings, &landmarks).await;
        assert_eq!(outcome.verdict, Verdict::Drift);
        assert_eq!(found(&outcome), planted);
        assert_eq!((outcome.spans.len(), outcome.is_truncated()), (1, false));
        assert!(outcome.findings.is_sorted_by(|a, b| a.key < b.key));
        landmarks = outcome.landmarks;
    }
    assert!(landmarks.keys().len() >= 4, "{landmarks:?}");
}

#[tokio::test]
async fn a_view_looks_at_its_part_only() {
    let (primary, standby) = pair();
    for key in [
        "/registry/pods/a/1",
        "/registry/pods/b/1",
        "/registry/roles/a/1",
        "/registry/namespaces/a",
    ] {
        primary.with(|etcd| etcd.put(key, "1")).unwrap();
    }
    let pins = Heads(&primary, &standby);
    let missed = async |view: View| {
        let outcome = checked(
            (&primary, &standby),
            &pins,
            &view,
            &CheckSettings::default(),
            &Landmarks::default(),
        )
        .await;
        found(&outcome).into_keys().collect::<Vec<_>>()
    };
    let of_a = View::new(scope()).of_namespaces(["a".to_owned()]);
    assert_eq!(
        missed(of_a.clone()).await,
        ["/registry/namespaces/a", "/registry/pods/a/1", "/registry/roles/a/1"]
    );
    let pods = [Key::from("/registry/pods/"), Key::from("/registry/pods/a")];
    let within = View::new(scope()).within(pods.clone());
    assert_eq!(missed(within).await, ["/registry/pods/a/1", "/registry/pods/b/1"]);
    assert_eq!(missed(of_a.within(pods)).await, ["/registry/pods/a/1"]);
}

#[tokio::test]
async fn the_first_of_each_kind_are_named_and_all_are_counted() {
    let (primary, standby) = pair();
    for name in 0..50 {
        primary.with(|etcd| etcd.put(format!("/registry/a/{name:02}").as_str(), "1")).unwrap();
        standby.with(|etcd| etcd.put(format!("/registry/b/{name:02}").as_str(), "1")).unwrap();
    }
    let settings = CheckSettings { named_max: 3, ..small_pages() };
    let (pins, view) = (Heads(&primary, &standby), View::new(scope()));
    let outcome =
        checked((&primary, &standby), &pins, &view, &settings, &Landmarks::default()).await;
    assert_eq!((outcome.totals.missed, outcome.totals.surplus), (50, 50));
    let named = ["a/00", "a/01", "a/02", "b/00", "b/01", "b/02"];
    let named: Vec<_> = named.iter().map(|name| format!("/registry/{name}")).collect();
    assert_eq!(found(&outcome).into_keys().collect::<Vec<_>>(), named);
    assert!(outcome.is_truncated());
}

#[tokio::test]
async fn keys_only_says_nothing_about_values() {
    let (primary, standby) = pair();
    primary.with(|etcd| etcd.put("/registry/a", "1")).unwrap();
    primary.with(|etcd| etcd.put("/registry/b", "1")).unwrap();
    standby.with(|etcd| etcd.put("/registry/a", "2")).unwrap();
    let settings = CheckSettings { keys_only: true, ..CheckSettings::default() };
    let (pins, view) = (Heads(&primary, &standby), View::new(scope()));
    let outcome =
        checked((&primary, &standby), &pins, &view, &settings, &Landmarks::default()).await;
    assert_eq!(found(&outcome), BTreeMap::from([("/registry/b".to_owned(), Kind::Missed)]));
}

/// A primary that is compacted to its head after so many pages were read.
struct CompactedAfter<'a> {
    primary: &'a SimPrimary,
    pages: AtomicUsize,
    at: usize,
}

impl ReadRange for CompactedAfter<'_> {
    type Revision = PrimaryRevision;

    async fn read_page(
        &self,
        request: PageRequest<PrimaryRevision>,
    ) -> Result<Page<PrimaryRevision>, Failure> {
        if self.pages.fetch_add(1, Ordering::Relaxed) == self.at {
            self.primary.with(|etcd| {
                etcd.put("/elsewhere", "moved").unwrap();
                etcd.compact(etcd.revision()).unwrap();
            });
        }
        self.primary.read_page(request).await
    }

    async fn read_keys(
        &self,
        keys: &[Key],
        at: Option<PrimaryRevision>,
    ) -> Result<Vec<Option<Entry<PrimaryRevision>>>, Failure> {
        self.primary.read_keys(keys, at).await
    }
}

fn equal_pair(keys: u32) -> (SimPrimary, SimStandby) {
    let (primary, standby) = pair();
    for name in 0..keys {
        let key = format!("/registry/a/{name:04}");
        primary.with(|etcd| etcd.put(key.as_str(), "1")).unwrap();
        standby.with(|etcd| etcd.put(key.as_str(), "1")).unwrap();
    }
    (primary, standby)
}

#[tokio::test(start_paused = true)]
async fn compaction_in_the_middle_is_met_with_a_newer_pair_for_the_rest() {
    let (primary, standby) = equal_pair(1_000);
    let old = primary.with(|etcd| etcd.revision());
    let reader = CompactedAfter { primary: &primary, pages: AtomicUsize::new(0), at: 4 };
    let (pins, view) = (Heads(&primary, &standby), View::new(scope()));
    let sides = (&reader, &standby);
    let outcome = checked(sides, &pins, &view, &small_pages(), &Landmarks::default()).await;
    assert_eq!(outcome.verdict, Verdict::InSync);
    let revisions: Vec<_> = outcome.spans.iter().map(|span| span.pins.primary).collect();
    assert_eq!(revisions, [old, old.next()]);
    assert_eq!(outcome.verified(), Some(old), "the oldest of the pairs is what is proven");
    assert!(outcome.spans[0].through.is_some() && outcome.spans[1].through.is_none());
    assert_eq!(outcome.totals.keys, 1_000, "each key once");
}

#[tokio::test(start_paused = true)]
async fn compaction_without_a_newer_pair_is_never_in_sync() {
    let (primary, standby) = equal_pair(1_000);
    let pins = Heads(&primary, &standby).pin().await.unwrap();
    let reader = CompactedAfter { primary: &primary, pages: AtomicUsize::new(0), at: 4 };
    let view = View::new(scope());
    let sides = (&reader, &standby);
    let outcome = checked(sides, &Still(pins), &view, &small_pages(), &Landmarks::default()).await;
    let Verdict::Inconclusive(reason) = &outcome.verdict else { panic!("{:?}", outcome.verdict) };
    assert!(reason.contains("primary") && reason.contains("compaction"), "{reason}");
    assert_eq!(outcome.verified(), None);
}

#[tokio::test(start_paused = true)]
async fn a_side_that_cannot_be_read_is_never_in_sync() {
    let (primary, standby) = equal_pair(10);
    let pins = Heads(&primary, &standby).pin().await.unwrap();
    standby.set_away(true);
    let view = View::new(scope());
    let sides = (&primary, &standby);
    let outcome = checked(sides, &Still(pins), &view, &small_pages(), &Landmarks::default()).await;
    let Verdict::Inconclusive(reason) = &outcome.verdict else { panic!("{:?}", outcome.verdict) };
    assert!(reason.contains("the standby could not be read"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_read_that_fails_now_and_then_is_tried_again() {
    let (primary, standby) = equal_pair(1_000);
    for _ in 0..3 {
        primary.inject(Fault::ReadFails);
        standby.inject(Fault::ReadFails);
    }
    let (pins, view) = (Heads(&primary, &standby), View::new(scope()));
    let sides = (&primary, &standby);
    let outcome = checked(sides, &pins, &view, &small_pages(), &Landmarks::default()).await;
    assert_eq!((outcome.verdict, outcome.totals.keys), (Verdict::InSync, 1_000));
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_kept() {
    let (primary, standby) = equal_pair(1_000);
    let settings = CheckSettings { bytes_per_second: Some(1_000), ..small_pages() };
    let (pins, view) = (Heads(&primary, &standby), View::new(scope()));
    let begin = tokio::time::Instant::now();
    let sides = (&primary, &standby);
    let outcome = checked(sides, &pins, &view, &settings, &Landmarks::default()).await;
    let (took, bytes) = (begin.elapsed(), outcome.totals.bytes);
    assert_eq!(outcome.verdict, Verdict::InSync);
    assert!(took >= Duration::from_millis(bytes), "{bytes} bytes in {took:?}");
}

/// Changes a key on one side every time that a pair is asked for.
struct Busy<'a> {
    heads: Heads<'a>,
    looks: Mutex<u32>,
}

impl PinSource for Busy<'_> {
    async fn pin(&self) -> Result<Pins, NotPinned> {
        let look = {
            let mut looks = self.looks.lock().unwrap();
            *looks += 1;
            *looks
        };
        let Heads(primary, standby) = &self.heads;
        primary.with(|etcd| etcd.put("/registry/hot", look.to_string().as_str())).unwrap();
        if look == 2 {
            // What was on its way has arrived.
            standby.with(|etcd| etcd.put("/registry/late", "1")).unwrap();
        }
        self.heads.pin().await
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_pair_only_what_lasts_is_reported() {
    let (primary, standby) = equal_pair(10);
    standby.with(|etcd| etcd.put("/registry/hot", "0")).unwrap();
    primary.with(|etcd| etcd.put("/registry/late", "1")).unwrap();
    primary.with(|etcd| etcd.put("/registry/lost", "1")).unwrap();
    let pins = Busy { heads: Heads(&primary, &standby), looks: Mutex::new(0) };
    let view = View::new(scope());
    let sides = (&primary, &standby);
    let outcome = checked(sides, &pins, &view, &small_pages(), &Landmarks::default()).await;
    assert_eq!(outcome.findings.len(), 3);
    let confirmed = confirm(sides, &view, &pins, outcome, Duration::from_secs(1)).await.unwrap();
    let lost = BTreeMap::from([("/registry/lost".to_owned(), Kind::Missed)]);
    assert_eq!(found(&confirmed.outcome), lost);
    assert_eq!((confirmed.unsettled, confirmed.outcome.totals.different), (1, 0));
    assert_eq!(confirmed.outcome.verdict, Verdict::Drift);
}

#[tokio::test(start_paused = true)]
async fn what_keeps_changing_is_not_called_equal() {
    let (primary, standby) = equal_pair(10);
    standby.with(|etcd| etcd.put("/registry/hot", "0")).unwrap();
    standby.with(|etcd| etcd.put("/registry/late", "1")).unwrap();
    primary.with(|etcd| etcd.put("/registry/late", "1")).unwrap();
    let pins = Busy { heads: Heads(&primary, &standby), looks: Mutex::new(2) };
    let view = View::new(scope());
    let sides = (&primary, &standby);
    let outcome = checked(sides, &pins, &view, &small_pages(), &Landmarks::default()).await;
    let confirmed = confirm(sides, &view, &pins, outcome, Duration::from_secs(1)).await.unwrap();
    assert!(matches!(confirmed.outcome.verdict, Verdict::Inconclusive(_)));
    assert_eq!(confirmed.outcome.verified(), None);
}

/// A thin link: large pages are refused unread, and those that may hold many keys never come.
struct Thin<'a, R> {
    reader: &'a R,
    keys_in_time: usize,
    bytes_max: usize,
    failed: AtomicU64,
}

impl<'a, R> Thin<'a, R> {
    fn new(reader: &'a R, keys_in_time: usize, bytes_max: usize) -> Self {
        Self { reader, keys_in_time, bytes_max, failed: AtomicU64::new(0) }
    }

    fn failed(&self) -> u64 {
        self.failed.swap(0, Ordering::Relaxed)
    }
}

impl<R: ReadRange> ReadRange for Thin<'_, R> {
    type Revision = R::Revision;

    async fn read_page(
        &self,
        request: PageRequest<Self::Revision>,
    ) -> Result<Page<Self::Revision>, Failure> {
        let limit = request.limit;
        let page = self.reader.read_page(request).await?;
        let bytes: usize = page.entries.iter().map(|it| it.key.len() + it.value.len()).sum();
        let failure = |class, cause| Failure::new(class, "too much").because(cause);
        let failure = if limit > self.keys_in_time {
            failure(FailureClass::Retry, FailureCause::TimedOut)
        } else if bytes > self.bytes_max && limit > 1 {
            failure(FailureClass::TooLarge, FailureCause::Size(bytes as u64))
        } else {
            return Ok(page);
        };
        self.failed.fetch_add(1, Ordering::Relaxed);
        Err(failure)
    }

    async fn read_keys(
        &self,
        keys: &[Key],
        at: Option<Self::Revision>,
    ) -> Result<Vec<Option<Entry<Self::Revision>>>, Failure> {
        self.reader.read_keys(keys, at).await
    }
}

#[tokio::test]
async fn a_check_over_a_thin_link_reads_smaller_pages_and_the_next_one_begins_with_them() {
    let (primary, standby) = pair();
    for name in 0..2_000 {
        let value = "x".repeat(if name < 1_500 { 10 } else { 2_000 });
        let key = format!("/registry/pods/n/{name:05}");
        primary.with(|etcd| etcd.put(key.as_str(), value.as_str())).unwrap();
        standby.with(|etcd| etcd.put(key.as_str(), value.as_str())).unwrap();
    }
    let (pins, view) = (Heads(&primary, &standby), View::new(scope()));
    let limits = WalkLimits { page_bytes: 20_000, page_keys: 2_000 };
    let settings = CheckSettings { limits, parallel: 1, ..CheckSettings::default() };
    for (keys_in_time, bytes_max) in [(2_000, 40_000), (10, 40_000)] {
        let far = Thin::new(&primary, keys_in_time, bytes_max);
        let near = Thin::new(&standby, 2_000, 40_000);
        let first = checked((&far, &near), &pins, &view, &settings, &Landmarks::default()).await;
        assert_eq!(first.verdict, Verdict::InSync);
        let failed = far.failed();
        assert!((1..60).contains(&failed), "{failed} pages failed");
        let next = checked((&far, &near), &pins, &view, &settings, &first.landmarks).await;
        assert_eq!(next.verdict, Verdict::InSync);
        let later = far.failed();
        assert!(later <= failed, "{failed}, then {later} pages failed");
    }
}
