//! The order of a copy, a resync and a repair, by the history that the standby has of it.

use std::collections::BTreeSet;

use end_to_end::kin::{changes, judge};
use end_to_end::{Collector, Etcd, Mirror, dump, fixture};
use etcd_client::{Client, Txn, TxnOp};
use kube_meta::skim;

use crate::objects::{CONFIG_MAP, DEPLOYMENT, Object, PART, PLANT, SECRET, SERVICE_ACCOUNT};
use crate::world::{World, head, in_scope, named_keyspace, repair};

/// Copies what the primary holds, and waits for the end.
async fn copied(world: &World, flags: &[&str]) -> Mirror {
    let builder = flags.iter().fold(world.mirror(), |builder, flag| builder.flag(*flag));
    let mut mirror = builder.start();
    mirror.wait_for_state("following").await;
    world.assert_equal(&mut mirror).await;
    mirror
}

/// Copies objects that are put in this order, and judges.
async fn copies_in_order(
    objects: Vec<Object>,
    flags: &[&str],
    references: usize,
) -> (World, Mirror) {
    let world = World::start().await;
    world.put(&objects).await;
    let begin = world.standby_head().await;
    let mirror = copied(&world, flags).await;
    world.verdict(begin).await.assert_in_order(references);
    (world, mirror)
}

/// Objects with the space that a transaction has for a few of them only.
fn wide(object: Object) -> Object {
    object.of_bytes(9_000)
}

#[tokio::test]
async fn what_is_owned_comes_after_what_owns_it_whatever_the_keys_and_the_ages_say() {
    // Its key is smaller, and it is older: it was adopted.
    let owner = wide(Object::new(DEPLOYMENT, "team", "owner"));
    let dependent = wide(Object::new(CONFIG_MAP, "team", "adopted"));
    let filling = |n| wide(Object::new(CONFIG_MAP, "team", &format!("filling-{n}")));
    let mut objects = vec![dependent.clone()];
    objects.extend((0..20).map(filling));
    objects.extend([owner.clone(), dependent.owned_by(&owner)]);
    // No namespace, and a version that is not the one it is stored with.
    let plant = wide(Object::global(PLANT, "plant"));
    objects.push(plant.clone());
    objects.extend((0..20).map(|n| {
        let name = format!("in-plant-{n}");
        wide(Object::new(CONFIG_MAP, "team", &name)).owned_as("parts.example.io/v1beta1", &plant)
    }));
    copies_in_order(objects, &[], 21).await;
}

#[tokio::test]
async fn a_line_of_six_is_copied_from_its_head_to_its_tail() {
    let mut objects = Vec::new();
    for line in 0..10 {
        // The tail has the smallest key: `0` to `5`.
        let mut owner: Option<Object> = None;
        for place in (0..6).rev() {
            let object = wide(Object::new(PART, "team", &format!("{place}-of-{line}")));
            let object = match &owner {
                Some(owner) => object.owned_by(owner),
                None => object,
            };
            objects.push(object.clone());
            owner = Some(object);
        }
    }
    let (world, _mirror) = copies_in_order(objects, &[], 50).await;
    // It has to have been more than one transaction.
    let history = changes(world.standby.access()).await;
    let parts = history.iter().filter(|change| change.key.starts_with(b"/registry/parts."));
    let revisions: BTreeSet<i64> = parts.map(|change| change.revision).collect();
    assert!(revisions.len() > 6, "{revisions:?}");
}

#[tokio::test]
async fn those_who_own_each_other_share_a_transaction() {
    let world = World::start().await;
    let mut objects = Vec::new();
    for circle in 0..8 {
        let member = |n: usize| wide(Object::new(PART, "team", &format!("{n}-in-circle-{circle}")));
        objects.extend((0..3).map(|n| member(n).owned_by(&member((n + 1) % 3))));
        // The tail of a circle, with a smaller key.
        objects
            .push(wide(Object::new(CONFIG_MAP, "team", &format!("{circle}")).owned_by(&member(0))));
    }
    world.put(&objects).await;
    let begin = world.standby_head().await;
    let _mirror = copied(&world, &[]).await;
    // Nobody of a circle is before its owner: all three came in one revision.
    world.verdict(begin).await.assert_in_order(32);
}

#[tokio::test]
async fn fifty_thousand_wait_for_one() {
    let world = World::start().await;
    let owner = Object::new(DEPLOYMENT, "team", "owner");
    let name = |n| format!("{n:05}");
    world
        .put_many((0..50_000).map(|n| Object::new(CONFIG_MAP, "team", &name(n)).owned_by(&owner)))
        .await;
    world.put(&[owner]).await;
    let begin = world.standby_head().await;
    let _mirror = copied(&world, &[]).await;
    world.verdict(begin).await.assert_in_order(50_000);
}

#[tokio::test]
async fn who_may_be_owned_by_what_is_encrypted_comes_after_it() {
    let mut objects = Vec::new();
    for n in 0..10 {
        let hidden = wide(Object::new(SECRET, "team", &format!("hidden-{n}"))).encrypted();
        let account = Object::new(SERVICE_ACCOUNT, "team", &format!("account-{n}"));
        let token = wide(Object::new(SECRET, "team", &format!("a-token-{n}")).owned_by(&account));
        objects.push(wide(Object::new(CONFIG_MAP, "team", &format!("{n}")).owned_by(&hidden)));
        objects.extend([hidden, token.encrypted(), account]);
    }
    // Nobody has the keys: none of it is more than a pretence.
    let allow = ["--allow", "encryption-keys"];
    let (_world, mut mirror) = copies_in_order(objects, &allow, 20).await;
    let status = mirror.wait_for_state("following").await;
    assert_eq!(status["held_back"]["count"], 0, "{}", status["held_back"]);
}

/// Deletes keys in one revision, as somebody does who restores an older state.
async fn delete_at_once(client: &mut Client, keys: &[Vec<u8>]) {
    for keys in keys.chunks(100) {
        let deletes: Vec<TxnOp> = keys.iter().map(|key| TxnOp::delete(key.clone(), None)).collect();
        client.txn(Txn::new().and_then(deletes)).await.unwrap();
    }
}

/// These keys of a cluster, and those of all that is owned by what they hold.
async fn with_all_below(etcd: &Etcd, keys: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let there = dump(&etcd.client().await).await.keys;
    let mut line: BTreeSet<Vec<u8>> = keys.iter().cloned().collect();
    loop {
        let uids: BTreeSet<String> =
            line.iter().filter_map(|key| Some(skim(&there[key].value).uid()?.to_owned())).collect();
        let before = line.len();
        let owned = there
            .iter()
            .filter(|(_, entry)| skim(&entry.value).owners().any(|owner| uids.contains(owner.uid)));
        line.extend(owned.map(|(key, _)| key.clone()));
        if line.len() == before {
            return line.into_iter().collect();
        }
    }
}

/// Every so-many-th key of a cluster's that is in scope and has owners or is one.
async fn related(etcd: &Etcd, step: usize, skip: usize) -> Vec<Vec<u8>> {
    let there = in_scope(&dump(&etcd.client().await).await);
    let owned: BTreeSet<String> = there
        .keys
        .values()
        .flat_map(|entry| {
            let meta = skim(&entry.value);
            meta.owners().map(|owner| owner.uid.to_owned()).collect::<Vec<_>>()
        })
        .collect();
    let related = there.keys.iter().filter(|(_, entry)| {
        let meta = skim(&entry.value);
        meta.owners().next().is_some() || meta.uid().is_some_and(|uid| owned.contains(uid))
    });
    related.map(|(key, _)| key.clone()).skip(skip).step_by(step).collect()
}

/// Base copy, resync and repair of a Kubernetes keyspace. A collector looks at the first; later the
/// test itself deletes owners, so that it had a reason.
async fn a_keyspace_is_in_order(records: &[fixture::Record]) {
    let world = World::of_kubernetes(records).await;
    let begin = world.standby_head().await;
    let mut collector = Collector::start(world.standby.access()).await;
    let mut mirror = copied(&world, &["--heal-deletions=false"]).await;
    let done = collector.settled().await;
    assert_eq!((done.deleted, done.rewritten.len()), (Vec::new(), 0));
    drop(collector);
    let verdict = world.verdict(begin).await;
    let base = verdict.references;
    verdict.assert_in_order(20);

    // While the mirror is away, objects come and go on the primary, others go on the standby, and
    // the history of it all is compacted.
    mirror.kill();
    let (mut from, mut to) = (world.primary.client().await, world.standby.client().await);
    let gone = related(&world.primary, 7, 3).await;
    delete_at_once(&mut from, &with_all_below(&world.primary, &gone).await).await;
    delete_at_once(&mut to, &related(&world.standby, 3, 1).await).await;
    world.put(&fresh_family(40)).await;
    from.compact(head(&world.primary).await, None).await.unwrap();
    let begin = world.standby_head().await;
    mirror.restart();
    let status = mirror.wait_for_state("following").await;
    assert!(!status["counters"]["resyncs"].as_array().unwrap().is_empty(), "{status}");
    world.assert_equal(&mut mirror).await;
    let verdict = world.verdict(begin).await;
    let resync = verdict.references;
    verdict.assert_in_order(40);

    // And a repair puts back what others have deleted or written over.
    let gone = related(&world.standby, 2, 0).await;
    delete_at_once(&mut to, &gone).await;
    for key in related(&world.standby, 4, 0).await {
        let owned = to.get(key.clone(), None).await.unwrap();
        let text = [owned.kvs()[0].value(), b" "].concat();
        to.put(key, text, None).await.unwrap();
    }
    let begin = world.standby_head().await;
    let done = repair(&mirror);
    assert_eq!(done["written"]["missed"], gone.len(), "{done}");
    world.assert_equal(&mut mirror).await;
    let verdict = world.verdict(begin).await;
    verdict.assert_in_order(20);
    println!(
        "{} records: {base} references in the base copy, {resync} in the resync, {} in the repair",
        records.len(),
        verdict.references
    );
    mirror.assert_no_errors(&[]);
}

/// An owner with the largest key, and as many that it owns.
fn fresh_family(count: usize) -> Vec<Object> {
    let owner = wide(Object::new(PART, "team", "zz-owner"));
    let dependent = |n| wide(Object::new(CONFIG_MAP, "team", &format!("{n:03}")).owned_by(&owner));
    let mut family: Vec<Object> = (0..count).map(dependent).collect();
    family.push(owner);
    family
}

#[tokio::test]
async fn a_real_keyspace_is_copied_resynced_and_repaired_owners_first() {
    a_keyspace_is_in_order(&fixture::primary()).await;
    if let Some(named) = named_keyspace() {
        a_keyspace_is_in_order(&named).await;
    }
}

#[tokio::test]
async fn a_resync_deletes_dependents_before_their_owners() {
    let world = World::start().await;
    // Both ways: the owner has the smaller key, and the larger one.
    let mut objects = Vec::new();
    for line in 0..8 {
        let first = Object::new(CONFIG_MAP, "team", &format!("{line}-first"));
        let second = Object::new(PART, "team", &format!("{line}-second")).owned_by(&first);
        let third = Object::new(CONFIG_MAP, "team", &format!("{line}-third")).owned_by(&second);
        objects.extend([first, second, third]);
    }
    // So many that they don't go in one transaction.
    let owner = Object::new(PART, "team", "owner");
    let many: Vec<Object> = (0..2_500)
        .map(|n| Object::new(CONFIG_MAP, "team", &format!("many-{n:04}")).owned_by(&owner))
        .collect();
    objects.push(owner);
    world.put(&objects).await;
    world.put_many(many.clone()).await;
    // Others, so that it is not everything that goes.
    let rest = |n| Object::new(SECRET, "team", &format!("{n:04}"));
    world.put_many((0..3_000).map(rest)).await;
    let mut mirror = copied(&world, &["--guard-max-deletes", "10000"]).await;
    let required = world.required().await;

    mirror.kill();
    let mut client = world.primary.client().await;
    let keys = objects.iter().chain(&many).map(|object| object.key().into_bytes());
    delete_at_once(&mut client, &keys.collect::<Vec<_>>()).await;
    client.compact(head(&world.primary).await, None).await.unwrap();
    let begin = world.standby_head().await;
    mirror.restart();
    world.assert_equal(&mut mirror).await;

    let history = changes(world.standby.access()).await;
    let deletions = history.iter().filter(|change| {
        change.revision > begin && change.value.is_none() && change.key.starts_with(b"/registry/")
    });
    let revisions: Vec<i64> = deletions.map(|change| change.revision).collect();
    assert_eq!(revisions.len(), objects.len() + many.len());
    assert!(revisions.iter().collect::<BTreeSet<_>>().len() > 2, "in one transaction");
    judge(&history, begin, &required).assert_in_order(0);
}
