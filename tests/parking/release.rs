//! The release, on a real etcd: after the fence, in level order, with every byte.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use end_to_end::{Mirror, dump_at};
use etcd_link::{Settings, Standby};
use keyspace_filter::{Scope, ScopeSpec, parked_prefix};
use kube_meta::skim;
use mirror_engine::orders::OrderError;
use mirror_engine::promotion::{InTheWay, Released, promote, release_parked};

use crate::support::{GROUP, Keys, PARKED, Pair, object, platform, put_all, under};

const MIRROR: &str = "default";

fn scope() -> Scope {
    let rule = r#"{"action":"hold-until-promote","resource":"cluster.x-k8s.io/*"}"#;
    let rules = vec![serde_json::from_str(rule).unwrap()];
    let parked_prefix = Some(parked_prefix(MIRROR));
    Scope::compile(ScopeSpec { rules, parked_prefix, ..ScopeSpec::default() }).unwrap()
}

/// The standby as whoever releases has it: the own places of what is held may be written, too.
fn releasing(pair: &Pair) -> Standby {
    let scope = scope();
    let admits = move |key: &[u8]| scope.admits_release(key);
    connected(pair, Arc::new(admits))
}

fn connected(pair: &Pair, admits: etcd_link::Admits) -> Standby {
    let settings = Settings { endpoints: pair.standby.endpoints(), ..Settings::default() };
    Standby::new(settings, &format!("/etcd-sync/{MIRROR}/"), admits).unwrap()
}

/// A mirror that follows, of these objects.
async fn following(objects: &Keys) -> (Pair, Mirror) {
    let pair = Pair::start().await;
    put_all(&pair.there, objects).await;
    let mut mirror = pair.mirror().start();
    mirror.wait_for_state("following").await;
    pair.caught_up(&mut mirror).await;
    assert_eq!(&pair.parked_equals_held().await, objects);
    (pair, mirror)
}

async fn revision(pair: &Pair) -> i64 {
    let mut client = pair.here.clone();
    client.get("\0", None).await.unwrap().header().unwrap().revision()
}

#[tokio::test]
async fn after_the_fence_everything_is_released_owners_first_and_byte_for_byte() {
    let objects = platform(100);
    let (pair, mut mirror) = following(&objects).await;
    let standby = releasing(&pair);
    let early = release_parked(&standby, &scope(), MIRROR, InTheWay::Overwrite).await;
    assert!(matches!(early, Err(OrderError::NotPromoted)), "{early:?}");
    assert!(under(&pair.here, "/registry/", "").await.is_empty());

    let fence = promote(&standby, MIRROR, "a test", 1).await.unwrap();
    let told = release_parked(&standby, &scope(), MIRROR, InTheWay::Keep).await.unwrap();
    assert_eq!(told, Released { moved: 500, ..Released::default() });
    assert_eq!(under(&pair.here, GROUP, "").await, objects);
    assert!(under(&pair.here, PARKED, PARKED).await.is_empty());
    assert_history(&pair, &objects, fence.revision.to_string().parse().unwrap()).await;

    // The mirror is fenced, and parks nothing again.
    mirror.wait_for_state("fenced").await;
    let machine = format!("{GROUP}amachines/team/later");
    let put = pair.there.clone().put(machine, object("Machine", "later", &[], ""), None).await;
    put.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(under(&pair.here, PARKED, PARKED).await.is_empty());
    assert_eq!(under(&pair.here, GROUP, "").await, objects);
    let again = release_parked(&standby, &scope(), MIRROR, InTheWay::Overwrite).await.unwrap();
    assert_eq!(again, Released::default());
}

/// What the standby's own history says of it, revision by revision.
async fn assert_history(pair: &Pair, objects: &Keys, fence: i64) {
    let mut appeared: BTreeMap<String, i64> = BTreeMap::new();
    for at in fence..=revision(pair).await {
        let dump = dump_at(&pair.here, at).await;
        let keys: BTreeSet<&str> =
            dump.keys.keys().map(|key| std::str::from_utf8(key).unwrap()).collect();
        for key in objects.keys() {
            let own = keys.contains(key.as_str());
            let parked = keys.contains(format!("{PARKED}{key}").as_str());
            assert!(own != parked, "{key} at {at}: own place {own}, parked {parked}");
            if own {
                appeared.entry(key.clone()).or_insert(at);
            }
        }
    }
    let uid = |value: &[u8]| skim(value).uid().map(str::to_owned);
    let places: BTreeMap<String, &String> =
        objects.iter().filter_map(|(key, value)| Some((uid(value)?, key))).collect();
    let mut later = 0;
    for (key, value) in objects {
        for owner in skim(value).owners() {
            let owner = places[owner.uid];
            assert!(appeared[owner] <= appeared[key], "{key} came before {owner}");
            later += usize::from(appeared[owner] < appeared[key]);
        }
    }
    assert!(later > 100, "{later} came in a revision after their owners'");
}

#[tokio::test]
async fn what_the_standby_has_in_the_way_is_told_kept_and_overwritten_as_was_said() {
    let objects = platform(5);
    let (pair, _mirror) = following(&objects).await;
    let own = format!("{GROUP}zclusters/team/c003");
    pair.here.clone().put(own.as_str(), "the standby's own", None).await.unwrap();
    let standby = releasing(&pair);
    promote(&standby, MIRROR, "a test", 1).await.unwrap();
    let before = revision(&pair).await;
    let told = release_parked(&standby, &scope(), MIRROR, InTheWay::Report).await.unwrap();
    assert_eq!((told.moved, told.in_the_way, told.ownerless), (20, 1, 4));
    assert_eq!(told.in_the_way_shown[0].to_string(), own);
    // Beside the status that the mirror stores, nothing was written.
    assert_eq!(under(&pair.here, PARKED, PARKED).await, objects);
    assert!(revision(&pair).await >= before);

    let told = release_parked(&standby, &scope(), MIRROR, InTheWay::Keep).await.unwrap();
    assert_eq!((told.moved, told.in_the_way, told.ownerless), (20, 1, 4));
    let live = under(&pair.here, GROUP, "").await;
    assert_eq!((live.len(), live[&own].as_slice()), (21, &b"the standby's own"[..]));

    let told = release_parked(&standby, &scope(), MIRROR, InTheWay::Overwrite).await.unwrap();
    assert_eq!((told.moved, told.in_the_way, told.ownerless), (5, 1, 0));
    assert_eq!(under(&pair.here, GROUP, "").await, objects);
}

#[tokio::test]
async fn whoever_may_only_mirror_can_not_release() {
    let objects = platform(2);
    let (pair, _mirror) = following(&objects).await;
    let scope = scope();
    let mirrors = scope.clone();
    let standby = connected(&pair, Arc::new(move |key: &[u8]| mirrors.admits_standby(key)));
    promote(&standby, MIRROR, "a test", 1).await.unwrap();
    let refused = release_parked(&standby, &scope, MIRROR, InTheWay::Overwrite).await;
    assert!(matches!(&refused, Err(OrderError::Standby(_))), "{refused:?}");
    assert_eq!(under(&pair.here, PARKED, PARKED).await, objects);
}
