//! The two that judge: a check that can't fail proves nothing, and no more does a collector that
//! never deletes.

use std::collections::BTreeSet;

use end_to_end::kin::{Change, judge};
use end_to_end::{Collector, Etcd};

use crate::objects::{CONFIG_MAP, DEPLOYMENT, Object, PART, definition};

fn put(revision: i64, object: &Object) -> Change {
    Change { revision, key: object.key().into_bytes(), value: Some(object.value()) }
}

fn delete(revision: i64, object: &Object) -> Change {
    Change { revision, key: object.key().into_bytes(), value: None }
}

fn family() -> (Object, Object, BTreeSet<String>) {
    let owner = Object::new(DEPLOYMENT, "team", "owner");
    let dependent = Object::new(CONFIG_MAP, "team", "dependent").owned_by(&owner);
    let uids = [&owner, &dependent].map(|object| object.uid.clone());
    (owner, dependent, BTreeSet::from(uids))
}

#[test]
fn a_dependent_before_its_owner_is_found_and_one_beside_or_after_it_is_not() {
    let (owner, dependent, uids) = family();
    let early = [put(2, &dependent), put(3, &owner)];
    let verdict = judge(&early, 0, &uids);
    assert_eq!((verdict.references, verdict.early.len()), (1, 1), "{verdict:?}");
    for good in [[put(2, &dependent), put(2, &owner)], [put(2, &owner), put(3, &dependent)]] {
        judge(&good, 0, &uids).assert_in_order(1);
    }
    // What the primary does not have either, or what is not asked about, is no fault.
    judge(&early, 0, &BTreeSet::new()).assert_in_order(0);
    judge(&early, 2, &uids).assert_in_order(0);
}

#[test]
fn an_owner_that_was_there_and_went_or_has_another_uid_does_not_count() {
    let (owner, dependent, uids) = family();
    let gone = [put(2, &owner), delete(3, &owner), put(4, &dependent)];
    assert_eq!(judge(&gone, 0, &uids).early.len(), 1);
    let other = owner.with_uid("another");
    assert_eq!(judge(&[put(2, &other), put(3, &dependent)], 0, &uids).early.len(), 1);
}

#[test]
fn an_owner_that_goes_before_its_dependent_is_found_unless_there_is_another() {
    let (owner, dependent, uids) = family();
    let begin = [put(2, &owner), put(3, &dependent)];
    let then = |more: &[Change]| judge(&[&begin, more].concat(), 0, &uids).left_behind.len();
    assert_eq!(then(&[delete(4, &owner), delete(5, &dependent)]), 1);
    assert_eq!(then(&[delete(4, &dependent), delete(5, &owner)]), 0);
    assert_eq!(then(&[delete(4, &owner), delete(4, &dependent)]), 0);
    let second = Object::new(DEPLOYMENT, "team", "second");
    let both = dependent.clone().owned_by(&second);
    assert_eq!(then(&[put(4, &second), put(5, &both), delete(6, &owner)]), 0);
    let free = Object { owners: Vec::new(), ..dependent };
    assert_eq!(then(&[put(4, &free), delete(5, &owner)]), 0);
}

/// An etcd, and a function that puts into it.
async fn cluster() -> (Etcd, impl AsyncFn(&[&Object])) {
    let etcd = Etcd::start_standby().await;
    let client = etcd.client().await;
    let put = async move |objects: &[&Object]| {
        for object in objects {
            client.clone().put(object.key(), object.value(), None).await.unwrap();
        }
    };
    (etcd, put)
}

#[tokio::test]
async fn the_collector_deletes_who_has_no_owner_and_the_line_below_it() {
    let (etcd, put) = cluster().await;
    let (owner, dependent, _) = family();
    let below = Object::new(CONFIG_MAP, "team", "below").owned_by(&dependent);
    put(&[&owner, &dependent, &below]).await;
    let mut collector = Collector::start(etcd.access()).await;
    assert_eq!(collector.settled().await.deleted, Vec::<String>::new());
    etcd.client().await.delete(owner.key(), None).await.unwrap();
    assert_eq!(collector.settled().await.deleted, [dependent.key(), below.key()]);
    // The same name is not the same object.
    put(&[&owner.clone().with_uid("another"), &dependent]).await;
    assert_eq!(collector.settled().await.deleted.len(), 3);
    // One that was without an owner before the collector began is found at its start.
    drop(collector);
    put(&[&dependent]).await;
    assert_eq!(Collector::start(etcd.access()).await.settled().await.deleted, [dependent.key()]);
}

#[tokio::test]
async fn the_collector_never_learns_that_an_absent_owner_has_come() {
    let (etcd, put) = cluster().await;
    let (owner, dependent, _) = family();
    // Whoever refers to an owner by another version than it has is looked at each time.
    let old = Object::new(CONFIG_MAP, "team", "old").owned_as("apps/v1beta1", &owner);
    let mut collector = Collector::start(etcd.access()).await;
    put(&[&dependent, &old]).await;
    assert_eq!(collector.settled().await.deleted.len(), 2);
    put(&[&owner, &dependent, &old]).await;
    assert_eq!(collector.settled().await.deleted[2..], [old.key()]);
    // After a restart it remembers nothing.
    drop(collector);
    let mut collector = Collector::start(etcd.access()).await;
    put(&[&old]).await;
    assert_eq!(collector.settled().await.deleted, Vec::<String>::new());
}

#[tokio::test]
async fn the_collector_leaves_kinds_alone_that_are_not_served_until_they_are() {
    let (etcd, put) = cluster().await;
    let mut collector = Collector::start(etcd.access()).await;
    let owner = Object::new(PART, "team", "owner");
    let dependent = Object::new(CONFIG_MAP, "team", "dependent").owned_by(&owner);
    let part = Object::new(PART, "team", "part").owned_by(&owner);
    put(&[&dependent, &part]).await;
    assert_eq!(collector.settled().await.deleted, Vec::<String>::new());
    let (key, value) = definition(PART.kind, PART.resource, true);
    etcd.client().await.put(key, value, None).await.unwrap();
    let deleted: BTreeSet<String> = collector.settled().await.deleted.into_iter().collect();
    assert_eq!(deleted, BTreeSet::from([dependent.key(), part.key()]));
}

#[tokio::test]
async fn the_collector_tells_of_who_has_lost_one_of_two_owners() {
    let (etcd, put) = cluster().await;
    let mut collector = Collector::start(etcd.access()).await;
    let (owner, dependent, _) = family();
    let second = Object::new(DEPLOYMENT, "team", "second");
    let both = dependent.owned_by(&second);
    put(&[&owner, &both]).await;
    let done = collector.settled().await;
    assert_eq!((done.deleted.len(), done.rewritten.len()), (0, 1), "{done:?}");
}
