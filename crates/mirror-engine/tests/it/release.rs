//! What is parked goes to its own place once the standby is promoted, and not before.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use etcd_mvcc::{
    ClusterId, Commit, CommitTxn, Entry, Failure, Key, KeyRange, Page, PageRequest, ReadRange,
    Revision, StandbyRevision, Txn, Value,
};
use etcd_sim::{Fault, SimEtcd, SimPrimary, SimStandby};
use keyspace_filter::{Action, RuleSpec, Scope, ScopeSpec, parked_prefix};
use kube_meta::skim;
use mirror_engine::orders::OrderError;
use mirror_engine::promotion::{InTheWay, Released, fence, promote, release_parked, take_back};
use mirror_engine::{JudgeValue, Mirror, Settings, State};
use tokio_util::sync::CancellationToken;

const MIRROR: &str = "m";
const HELD: [&str; 3] = ["a.io/*", "z.io/*", "apiextensions.k8s.io/customresourcedefinitions"];

fn scope() -> Scope {
    let rule = |resource: &&str| RuleSpec {
        resource: Some((*resource).to_owned()),
        ..RuleSpec::new(Action::HoldUntilPromote)
    };
    let rules = HELD.iter().map(rule).collect();
    let parked_prefix = Some(parked_prefix(MIRROR));
    Scope::compile(ScopeSpec { rules, parked_prefix, ..ScopeSpec::default() }).unwrap()
}

fn object(uid: &str, owners: &[&str]) -> String {
    let owners: Vec<_> =
        owners.iter().map(|owner| format!(r#"{{"kind":"K","uid":"{owner}"}}"#)).collect();
    let owners = owners.join(",");
    format!(r#"{{"metadata":{{"uid":"{uid}","ownerReferences":[{owners}]}}}}"#)
}

/// Owners sort behind what they own, by name and by the revision that made them.
fn platform(count: usize) -> BTreeMap<String, String> {
    let mut objects = BTreeMap::new();
    for at in 0..count {
        let (cluster, set, machine) = (format!("c{at}"), format!("s{at}"), format!("m{at}"));
        let place = |resource: &str| format!("/registry/{resource}/team/{at:03}");
        objects.insert(place("a.io/machines"), object(&machine, &[&set]));
        objects.insert(place("a.io/sets"), object(&set, &[&cluster, "elsewhere"]));
        objects.insert(place("z.io/clusters"), object(&cluster, &[]));
    }
    let definitions = "/registry/apiextensions.k8s.io/customresourcedefinitions/machines.a.io";
    objects.insert(definitions.to_owned(), object("d", &[]));
    objects
}

/// A standby on which all of it is parked by a mirror, and which was promoted.
async fn promoted(objects: &BTreeMap<String, String>) -> SimStandby {
    let standby = mirrored(objects, SimStandby::new(ClusterId::new(2))).await;
    promote(&standby, MIRROR, "a test", 1).await.unwrap();
    standby
}

async fn mirrored(objects: &BTreeMap<String, String>, standby: SimStandby) -> SimStandby {
    let primary = SimPrimary::new(ClusterId::new(1));
    for (key, value) in objects {
        primary.with(|etcd| etcd.put(key.as_str(), value.as_str())).unwrap();
    }
    primary.with(|etcd| etcd.put("/registry/configmaps/team/live", "{}")).unwrap();
    // What is encrypted is bound to the key that it will be read under, parked or not.
    let judge: JudgeValue = Arc::new(|key, _| {
        let own = key.as_bytes().starts_with(b"/registry/");
        own.then_some(()).ok_or_else(|| format!("nobody will read {key}"))
    });
    let settings =
        Settings { name: MIRROR.to_owned(), judge_value: Some(judge), ..Settings::default() };
    let (mirror, mut status) = Mirror::new(primary, standby.clone(), scope(), settings);
    let stop = CancellationToken::new();
    let running = tokio::spawn(mirror.run(stop.clone()));
    status.wait_for(|status| status.state == State::Following).await.unwrap();
    stop.cancel();
    running.await.unwrap();
    standby
}

fn parked_range() -> KeyRange {
    scope().parked_range().unwrap()
}

fn held(standby: &SimStandby, range: &KeyRange) -> BTreeMap<String, String> {
    let entries = standby.with(|etcd| etcd.truth_at(range, etcd.revision()));
    let text = |value: &Value| String::from_utf8(value.expose().to_vec()).unwrap();
    entries.iter().map(|entry| (entry.key.to_string(), text(&entry.value))).collect()
}

fn live(standby: &SimStandby) -> BTreeMap<String, String> {
    held(standby, &KeyRange::prefix(b"/registry/"))
}

async fn released(standby: &SimStandby, in_the_way: InTheWay) -> Released {
    release_parked(standby, &scope(), MIRROR, in_the_way).await.unwrap()
}

/// At no revision is an object in both places or in none, or there before an owner of its.
fn invariant_each_is_in_one_place_and_after_its_owners(
    standby: &SimStandby,
    objects: &BTreeMap<String, String>,
    from: StandbyRevision,
) {
    let uid = |value: &Value| skim(value.expose()).uid().map(str::to_owned);
    let all: BTreeSet<String> =
        objects.values().filter_map(|value| uid(&Value::from(value.as_str()))).collect();
    let last = standby.with(|etcd| etcd.revision());
    for at in (from.get()..=last.get()).map(StandbyRevision::new) {
        let of = |range: &KeyRange| standby.with(|etcd| etcd.truth_at(range, at));
        let there = of(&KeyRange::prefix(b"/registry/"));
        let uids: BTreeSet<String> = there.iter().filter_map(|entry| uid(&entry.value)).collect();
        for key in objects.keys() {
            let parked = of(&KeyRange::single(&Key::from(format!("/etcd-sync/m/parked{key}"))));
            let own = there.iter().filter(|entry| entry.key.as_bytes() == key.as_bytes());
            assert_eq!(parked.len() + own.count(), 1, "{key} at {at}");
        }
        for entry in &there {
            for owner in skim(entry.value.expose()).owners() {
                let expected = all.contains(owner.uid);
                assert!(!expected || uids.contains(owner.uid), "{} at {at}", entry.key);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn everything_is_moved_owners_first_with_its_bytes_and_a_second_time_nothing() {
    let objects = platform(150);
    let standby = promoted(&objects).await;
    let parked = held(&standby, &parked_range());
    assert_eq!((parked.len(), live(&standby).len()), (451, 1));
    let from = standby.with(|etcd| etcd.revision());
    let told = released(&standby, InTheWay::Keep).await;
    assert_eq!(told, Released { moved: 451, ..Released::default() });
    assert!(held(&standby, &parked_range()).is_empty());
    let mut expected = objects.clone();
    expected.insert("/registry/configmaps/team/live".to_owned(), "{}".to_owned());
    assert_eq!(live(&standby), expected);
    invariant_each_is_in_one_place_and_after_its_owners(&standby, &objects, from);
    let made = |key: &str| standby.with(|etcd| etcd.get(key.as_bytes()).unwrap().created);
    let definition = "/registry/apiextensions.k8s.io/customresourcedefinitions/machines.a.io";
    assert!(made("/registry/z.io/clusters/team/000") < made("/registry/a.io/machines/team/000"));
    assert!(made("/registry/a.io/machines/team/149") <= made(definition));
    let at = standby.with(|etcd| etcd.revision());
    assert_eq!(released(&standby, InTheWay::Overwrite).await, Released::default());
    assert_eq!(standby.with(|etcd| etcd.revision()), at);
}

#[tokio::test(start_paused = true)]
async fn without_a_promotion_nothing_is_released() {
    let standby = mirrored(&platform(3), SimStandby::new(ClusterId::new(2))).await;
    let before = standby.with(|etcd| etcd.revision());
    let refused = release_parked(&standby, &scope(), MIRROR, InTheWay::Overwrite).await;
    assert!(matches!(refused, Err(OrderError::NotPromoted)), "{refused:?}");
    assert_eq!(standby.with(|etcd| etcd.revision()), before);
}

/// A standby to which something happens right before a transaction arrives.
struct Meddled<'a> {
    standby: &'a SimStandby,
    commits: AtomicUsize,
    meddle: &'a (dyn Fn(&SimStandby, usize, &Txn) + Sync),
}

impl<'a> Meddled<'a> {
    fn new(standby: &'a SimStandby, meddle: &'a (dyn Fn(&SimStandby, usize, &Txn) + Sync)) -> Self {
        Self { standby, commits: AtomicUsize::new(0), meddle }
    }
}

impl ReadRange for Meddled<'_> {
    type Revision = StandbyRevision;

    async fn read_page(
        &self,
        request: PageRequest<StandbyRevision>,
    ) -> Result<Page<StandbyRevision>, Failure> {
        self.standby.read_page(request).await
    }

    async fn read_keys(
        &self,
        keys: &[Key],
        at: Option<StandbyRevision>,
    ) -> Result<Vec<Option<Entry<StandbyRevision>>>, Failure> {
        self.standby.read_keys(keys, at).await
    }
}

impl CommitTxn for Meddled<'_> {
    async fn commit(&self, txn: Txn) -> Result<Commit, Failure> {
        let before = self.commits.fetch_add(1, Ordering::Relaxed);
        (self.meddle)(self.standby, before, &txn);
        self.standby.commit(txn).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_interrupted_goes_on_where_it_was() {
    let objects = platform(150);
    for fault in [Fault::CommitFails, Fault::CommitLost, Fault::CommitUnanswered] {
        let standby = promoted(&objects).await;
        let from = standby.with(|etcd| etcd.revision());
        let fail = move |standby: &SimStandby, before: usize, _: &Txn| {
            if before == 2 {
                standby.inject(fault);
            }
        };
        let mut calls = 0;
        loop {
            calls += 1;
            let failing = Meddled::new(&standby, &fail);
            match release_parked(&failing, &scope(), MIRROR, InTheWay::Keep).await {
                Ok(_) => break,
                Err(error) => assert!(matches!(error, OrderError::Standby(_)), "{error:?}"),
            }
        }
        assert!(calls > 2, "{fault:?}: {calls}");
        assert!(held(&standby, &parked_range()).is_empty());
        invariant_each_is_in_one_place_and_after_its_owners(&standby, &objects, from);
    }
}

/// Polls what never waits.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("a model answers at once"),
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_the_promotion_back_ends_the_release() {
    let standby = promoted(&platform(150)).await;
    let take = |standby: &SimStandby, before: usize, _: &Txn| {
        if before == 2 {
            let fence = at_once(fence(standby, MIRROR)).unwrap().unwrap();
            at_once(take_back(standby, MIRROR, fence.digest())).unwrap();
        }
    };
    let meddled = Meddled::new(&standby, &take);
    let ended = release_parked(&meddled, &scope(), MIRROR, InTheWay::Keep).await;
    assert!(matches!(ended, Err(OrderError::NotPromoted)), "{ended:?}");
    let (moved, parked) = (live(&standby).len() - 1, held(&standby, &parked_range()).len());
    assert!(moved > 0 && parked > 0 && moved + parked == 451, "{moved} {parked}");
}

#[tokio::test(start_paused = true)]
async fn what_somebody_writes_meanwhile_is_looked_at_again() {
    let standby = promoted(&platform(3)).await;
    let place = "/registry/z.io/clusters/team/001";
    let write_once = |standby: &SimStandby, before: usize, _: &Txn| {
        if before == 0 {
            standby.with(|etcd| etcd.put(place, "somebody's")).unwrap();
        }
    };
    let meddled = Meddled::new(&standby, &write_once);
    let told = release_parked(&meddled, &scope(), MIRROR, InTheWay::Keep).await.unwrap();
    assert_eq!((told.in_the_way, told.in_the_way_shown), (1, vec![Key::from(place)]));
    assert_eq!(live(&standby)[place], "somebody's");

    let standby = promoted(&platform(3)).await;
    let write_always = |standby: &SimStandby, _: usize, _: &Txn| {
        standby.with(|etcd| etcd.put(place, "somebody's")).unwrap();
    };
    let meddled = Meddled::new(&standby, &write_always);
    let ended = release_parked(&meddled, &scope(), MIRROR, InTheWay::Overwrite).await;
    assert!(matches!(ended, Err(OrderError::Contended)), "{ended:?}");
    assert_eq!(held(&standby, &parked_range()).len(), 10, "nothing is lost");
}

#[tokio::test(start_paused = true)]
async fn what_is_in_the_way_is_overwritten_only_if_that_was_said_and_told_either_way() {
    let objects = platform(3);
    let standby = promoted(&objects).await;
    let own = |key: &str, value: String| {
        standby.with(|etcd| etcd.put(key, value.as_str())).unwrap();
    };
    let (other, same) = ("/registry/z.io/clusters/team/000", "/registry/z.io/clusters/team/001");
    let there = "/registry/z.io/clusters/team/002";
    own(other, object("another", &[]));
    own(same, object("c1", &[]).replace(r#"{"metadata""#, r#"{"status":1,"metadata""#));
    own(there, objects[there].clone());
    let way = vec![Key::from(other), Key::from(same)];

    let before = standby.with(|etcd| etcd.revision());
    let told = released(&standby, InTheWay::Report).await;
    // A set has an owner elsewhere too, so it goes.
    let expected = Released {
        moved: 7,
        there: 1,
        in_the_way: 2,
        in_the_way_shown: way.clone(),
        ..Released::default()
    };
    assert_eq!(told, expected);
    assert_eq!(standby.with(|etcd| etcd.revision()), before, "a report changes nothing");

    let told = released(&standby, InTheWay::Keep).await;
    assert_eq!(told, expected);
    assert_eq!(live(&standby)[other], object("another", &[]));
    assert_eq!(held(&standby, &parked_range()).len(), 2);

    let told = released(&standby, InTheWay::Overwrite).await;
    assert_eq!((told.moved, told.in_the_way, told.in_the_way_shown), (2, 2, way));
    let mut expected = objects.clone();
    expected.insert("/registry/configmaps/team/live".to_owned(), "{}".to_owned());
    assert_eq!(live(&standby), expected);
}

#[tokio::test(start_paused = true)]
async fn what_would_have_no_owner_stays_parked_until_it_has_one() {
    let place = |name: &str| format!("/registry/a.io/things/team/{name}");
    let objects = BTreeMap::from([
        (place("z-owner"), object("o", &[])),
        (place("m-owned"), object("d", &["o"])),
        (place("a-below"), object("b", &["d"])),
        (place("free"), object("f", &[])),
    ]);
    let standby = promoted(&objects).await;
    standby.with(|etcd| etcd.put(place("z-owner"), object("other", &[]).as_str())).unwrap();
    for _ in 0..2 {
        let told = released(&standby, InTheWay::Keep).await;
        assert_eq!((told.in_the_way, told.ownerless), (1, 2));
        let ownerless = [place("m-owned"), place("a-below")].map(Key::from);
        assert_eq!(told.ownerless_shown, ownerless);
        assert_eq!(held(&standby, &parked_range()).len(), 3);
    }
    assert_eq!(released(&standby, InTheWay::Overwrite).await.moved, 3);
    assert!(held(&standby, &parked_range()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_no_rule_holds_is_not_released() {
    let standby = promoted(&platform(1)).await;
    let stray = "/etcd-sync/m/parked/registry/configmaps/team/live";
    standby.with(|etcd| etcd.put(stray, "an older value")).unwrap();
    let told = released(&standby, InTheWay::Overwrite).await;
    assert_eq!((told.moved, told.strays), (4, 1));
    assert_eq!(live(&standby)["/registry/configmaps/team/live"], "{}");
    assert_eq!(held(&standby, &parked_range()).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_value_that_fills_a_request_is_released_too() {
    let key = "/registry/a.io/things/team/large";
    let mut objects = platform(1);
    objects.insert(key.to_owned(), object("l", &[]) + &" ".repeat(3_500));
    let standby = promoted(&objects).await;
    // It fits beside its key, and not beside the deletion of the copy.
    let room = key.len() + objects[key].len() + 20;
    let smaller = standby.with(|etcd| etcd.clone()).with_request_bytes_max(room);
    let standby = SimEtcd::of(smaller);
    let told = released(&standby, InTheWay::Keep).await;
    assert_eq!((told.moved, told.there), (4, 1));
    assert_eq!(live(&standby)[key], objects[key]);
    assert!(held(&standby, &parked_range()).is_empty());
}
