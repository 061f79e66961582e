//! Volumes that are admitted follow their claims: where the claim stays local, the volume does.

use std::path::Path;

use end_to_end::fixture::{self, Record};
use end_to_end::{Etcd, Mirror, dump};
use serde_json::Value;

use crate::support::{
    assert_in_sync, caught_up, check, delete, expected, head, healed, mirror, named, pair, put,
    repair, settled, value,
};

const VOLUMES: &str = "/registry/persistentvolumes/";

/// Claimed from a namespace that stays local; the standby has a volume of that name, too.
const OWN: &str = "/registry/persistentvolumes/pv-cert-manager";

/// Claimed from a namespace that is mirrored, however it is called.
const COPIED: &str = "/registry/persistentvolumes/pv-cert-manager-csi";

/// Claimed from a namespace that stays local; the standby has none of that name.
const ABSENT: &str = "/registry/persistentvolumes/pv-absent";

const WITNESS: &str = "/registry/configmaps/shop/witness";

fn volumes(records: Vec<Record>) -> Vec<Record> {
    records.into_iter().filter(|record| record.key.starts_with(VOLUMES.as_bytes())).collect()
}

/// The value of one of the fixture's volumes.
fn volume(records: &[Record], key: &str) -> Vec<u8> {
    records.iter().find(|record| record.key == key.as_bytes()).unwrap().value.clone()
}

/// A mirror that a rule has let volumes through.
fn admitting(primary: &Etcd, standby: &Etcd, dir: &Path) -> Mirror {
    let rules = dir.join("rules.yaml");
    std::fs::write(&rules, "- {action: include, resource: persistentvolumes, unsafe: true}\n")
        .unwrap();
    mirror(primary, standby).connection_flag("--rules").connection_flag(rules).start()
}

/// The keys that are kept off the standby, as the status tells them.
fn held_back(status: &Value) -> Vec<String> {
    let told = status["held_back"]["keys"].as_array().unwrap();
    assert_eq!(status["held_back"]["count"], told.len(), "{status}");
    for key in told {
        let reason = key["reason"].as_str().unwrap();
        assert!(reason.contains("claimed from a namespace that stays local"), "{key}");
    }
    told.iter().map(|key| key["key"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_volume_is_copied_only_if_its_claim_is() {
    let dir = tempfile::tempdir().unwrap();
    let (primary, standby) = pair().await;
    let (from, to) = (primary.client().await, standby.client().await);
    let records = volumes(fixture::primary());
    let (local, mirrored) = (volume(&records, OWN), volume(&records, COPIED));
    put(&from, ABSENT, local.clone()).await;
    put(&from, COPIED, mirrored.clone()).await;
    put(&from, WITNESS, "1").await;
    let mut mirror = admitting(&primary, &standby, dir.path());
    settled(&mut mirror, &primary).await;
    assert_eq!(value(&to, COPIED).await, Some(mirrored.clone()));
    assert_eq!(value(&to, ABSENT).await, None);
    assert_eq!(held_back(&mirror.status().await.unwrap()), [ABSENT]);
    let (status, report) = check(&mirror).await;
    assert_eq!((status, named(&report)), (409, expected(&[(ABSENT, "missed", "held-back")])));
    let note = &report["differences"][0]["note"];
    assert_eq!(note, "claimed from a namespace that stays local", "{report}");
    assert!(report["next_steps"].to_string().contains("held-back"), "{report}");

    // Repair and healing leave it alone, a restart remembers it, and following holds the next one.
    delete(&to, WITNESS).await;
    healed(&mut mirror, 1).await;
    put(&to, WITNESS, "standby's").await;
    repair(&mirror);
    assert_eq!(value(&to, ABSENT).await, None);
    mirror.kill();
    mirror.restart();
    let another = format!("{ABSENT}-too");
    put(&from, &another, local).await;
    settled(&mut mirror, &primary).await;
    assert_eq!(value(&to, &another).await, None);
    assert_eq!(held_back(&mirror.status().await.unwrap()), [ABSENT, &another]);
    let both = expected(&[(ABSENT, "missed", "held-back"), (&another, "missed", "held-back")]);
    assert_eq!(named(&check(&mirror).await.1), both);

    // Claimed from elsewhere, it comes; gone, it is no more told of.
    put(&from, ABSENT, mirrored.clone()).await;
    delete(&from, &another).await;
    caught_up(&mut mirror, &primary).await;
    assert_eq!(value(&to, ABSENT).await, Some(mirrored));
    assert_eq!(held_back(&mirror.status().await.unwrap()), [""; 0]);
    assert_in_sync(&mirror).await;
    mirror.assert_no_errors(&[]);
}

#[tokio::test]
async fn a_volume_of_the_standbys_own_is_never_written_nor_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let (primary, standby) = pair().await;
    let (mut from, to) = (primary.client().await, standby.client().await);
    let there = volumes(fixture::primary());
    let here = volumes(fixture::fresh_standby());
    fixture::load(&mut from, &there).await;
    fixture::load(&mut to.clone(), &here).await;
    put(&from, WITNESS, "1").await;
    let before = dump(&to).await;
    let untouched = async |when: &str| {
        let after = dump(&to).await;
        for record in &here {
            let (before, after) = (&before.keys[&record.key], after.keys.get(&record.key));
            assert_eq!(after, Some(before), "{when}: {}", record.key.escape_ascii());
        }
    };
    let mut mirror = admitting(&primary, &standby, dir.path());
    settled(&mut mirror, &primary).await;
    untouched("the copy").await;
    assert_eq!(value(&to, COPIED).await, Some(volume(&there, COPIED)));

    put(&to, WITNESS, "standby's").await;
    repair(&mirror);
    untouched("a repair").await;

    // The primary writes its volume, and compares everything anew.
    put(&from, OWN, [volume(&there, OWN), vec![0x1a, 0]].concat()).await;
    caught_up(&mut mirror, &primary).await;
    untouched("following").await;
    mirror.kill();
    put(&from, WITNESS, "2").await;
    put(&from, WITNESS, "3").await;
    from.compact(head(&from).await, None).await.unwrap();
    mirror.restart();
    settled(&mut mirror, &primary).await;
    untouched("a resync").await;

    // The primary's volumes go, once while they are watched and once while nobody does.
    delete(&from, OWN).await;
    caught_up(&mut mirror, &primary).await;
    untouched("a deletion that was followed").await;
    mirror.kill();
    for record in there.iter().filter(|record| record.key != COPIED.as_bytes()) {
        delete(&from, std::str::from_utf8(&record.key).unwrap()).await;
    }
    from.compact(head(&from).await, None).await.unwrap();
    mirror.restart();
    settled(&mut mirror, &primary).await;
    untouched("a deletion that a resync found").await;
    assert_eq!(held_back(&mirror.status().await.unwrap()), [""; 0]);
    mirror.assert_no_errors(&[]);
}

#[tokio::test]
async fn a_volume_that_the_standby_deletes_is_not_replaced_by_the_primarys() {
    let dir = tempfile::tempdir().unwrap();
    let (primary, standby) = pair().await;
    let (from, to) = (primary.client().await, standby.client().await);
    put(&from, OWN, volume(&fixture::primary(), OWN)).await;
    put(&from, WITNESS, "1").await;
    put(&to, OWN, volume(&fixture::fresh_standby(), OWN)).await;
    let mut mirror = admitting(&primary, &standby, dir.path());
    settled(&mut mirror, &primary).await;
    delete(&to, OWN).await;
    delete(&to, WITNESS).await;
    let status = healed(&mut mirror, 1).await;
    assert_eq!(status["drift"]["healed"], 1, "{status}");
    assert_eq!(value(&to, OWN).await, None);
    mirror.assert_no_errors(&[]);
}
