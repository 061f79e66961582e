//! What stays local is touched by nobody but the clusters themselves.

use std::collections::BTreeMap;

use end_to_end::{Dice, Etcd, Mirror, assert_equal_in_scope, dump, seed};
use etcd_client::Client;

use crate::support::{
    assert_in_sync, caught_up, delete, head, healed, mirror, pair, put, repair, settled, value,
};

/// A mirrored key for the standby to delete and to change.
const OURS: &str = "/registry/configmaps/shop/ours";

/// The namespaces that the contract leaves local, word by word.
const NAMESPACES: &str = "cpaas-system cert-manager default global-credentials \
    cpaas-system-global-credentials kube-ovn kube-public kube-system nsx-system cpaas-solution \
    kube-node-lease kubevirt nativestor-system operators";

/// Names that only begin or end like one of them.
const LOOKALIKES: [&str; 8] = [
    "cpaas-system-extra",
    "cpaas-systems",
    "defaults",
    "default-apps",
    "x-default",
    "my-kube-system",
    "kube-system2",
    "operators-team",
];

/// What is a cluster's own whatever its namespace.
const IDENTITY: [&str; 16] = [
    "ranges/serviceips",
    "ranges/servicenodeports",
    "ipaddresses/10.96.0.1",
    "servicecidrs/kubernetes",
    "masterleases/10.0.0.1",
    "peerserverleases/apiserver-x",
    "persistentvolumes/pv-1",
    "volumeattachments/csi-1",
    "snapshot.storage.k8s.io/volumesnapshotcontents/snap-1",
    "minions/node-1",
    "csinodes/node-1",
    "pods/shop/web-0",
    "leases/shop/leader",
    "events/shop/web-0.1",
    "endpointslices/shop/web-x",
    "configmaps/shop/kube-root-ca.crt",
];

/// A key of each kind in each of these namespaces, and the Namespace objects.
fn in_namespaces<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut keys = Vec::new();
    for name in names {
        keys.push(format!("/registry/namespaces/{name}"));
        for resource in ["configmaps", "secrets", "example.io/things", "services/specs"] {
            keys.push(format!("/registry/{resource}/{name}/a"));
        }
    }
    keys
}

fn local_keys() -> Vec<String> {
    let mut keys = in_namespaces(NAMESPACES.split_whitespace());
    keys.extend(IDENTITY.iter().map(|path| format!("/registry/{path}")));
    keys.extend(
        ["compact_rev_key", "/bootstrap/x", "/registryX/configmaps/shop/a"].map(String::from),
    );
    keys
}

/// One side's local keys, as only the test writes them.
struct Side {
    client: Client,
    written: BTreeMap<Vec<u8>, (Vec<u8>, i64)>,
}

impl Side {
    async fn new(etcd: &Etcd) -> Self {
        Self { client: etcd.client().await, written: BTreeMap::new() }
    }

    /// Writes and deletes some of the keys.
    async fn change(&mut self, keys: &[String], count: usize, dice: &mut Dice) {
        for _ in 0..count {
            let key = &keys[usize::try_from(dice.below(keys.len() as u64)).unwrap()];
            if dice.chance(70) {
                let len = usize::try_from(dice.below(200)).unwrap();
                let value = dice.bytes(len);
                let revision = put(&self.client, key, value.clone()).await;
                self.written.insert(key.clone().into_bytes(), (value, revision));
            } else {
                delete(&self.client, key).await;
                self.written.remove(key.as_bytes());
            }
        }
    }

    /// Bytes and revision of each key are what the test wrote.
    async fn assert_untouched(&self, keys: &[String], when: &str) {
        let held = dump(&self.client).await;
        for key in keys {
            let held = held.keys.get(key.as_bytes());
            let held = held.map(|entry| (entry.value.clone(), entry.mod_revision));
            let written = self.written.get(key.as_bytes()).cloned();
            assert_eq!(held, written, "{key} was touched by {when}");
        }
    }
}

struct World {
    primary: Etcd,
    there: Side,
    here: Side,
    local: Vec<String>,
    mirrored: Vec<String>,
    mirror: Mirror,
    dice: Dice,
}

impl World {
    /// Both sides change their local keys, the primary also what is mirrored.
    async fn live(&mut self) {
        self.there.change(&self.local, 60, &mut self.dice).await;
        self.here.change(&self.local, 60, &mut self.dice).await;
        self.there.change(&self.mirrored, 40, &mut self.dice).await;
    }

    async fn assert_local_untouched(&mut self, when: &str) {
        caught_up(&mut self.mirror, &self.primary).await;
        self.here.assert_untouched(&self.local, when).await;
        self.there.assert_untouched(&self.local, when).await;
        self.there.assert_untouched(&self.mirrored, when).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_stay_local_are_written_by_nobody_but_their_cluster() {
    let mut dice = seed::dice("keys_that_stay_local_are_written_by_nobody_but_their_cluster");
    let (primary, standby) = pair().await;
    let (mut there, mut here) = (Side::new(&primary).await, Side::new(&standby).await);
    let (local, mirrored) = (local_keys(), in_namespaces(LOOKALIKES.into_iter()));
    for (side, keys) in [(&mut there, &local), (&mut here, &local)] {
        side.change(keys, 150, &mut dice).await;
    }
    there.change(&mirrored, 150, &mut dice).await;
    put(&there.client, OURS, "there").await;
    let mirror = mirror(&primary, &standby).start();
    let mut world = World { primary, there, here, local, mirrored, mirror, dice };
    settled(&mut world.mirror, &world.primary).await;
    world.assert_local_untouched("the copy").await;

    world.live().await;
    world.assert_local_untouched("following").await;

    delete(&world.here.client, OURS).await;
    world.live().await;
    healed(&mut world.mirror, 1).await;
    world.assert_local_untouched("a healing").await;

    put(&world.here.client, OURS, "here").await;
    world.live().await;
    repair(&world.mirror);
    assert_eq!(value(&world.here.client, OURS).await.as_deref(), Some(&b"there"[..]));
    world.assert_local_untouched("a repair").await;

    world.mirror.kill();
    world.live().await;
    let compacted = head(&world.there.client).await;
    world.there.client.compact(compacted, None).await.unwrap();
    let compacted = head(&world.here.client).await;
    world.here.client.compact(compacted, None).await.unwrap();
    world.mirror.restart();
    settled(&mut world.mirror, &world.primary).await;
    let status = world.mirror.status().await.unwrap();
    assert!(status["counters"]["resyncs"].to_string().contains("compacted"), "{status}");
    world.assert_local_untouched("a resync").await;

    world.live().await;
    world.assert_local_untouched("following again").await;
    assert_in_sync(&world.mirror).await;
    // All that looks like them is mirrored to the byte.
    let (from, to) = (dump(&world.there.client).await, dump(&world.here.client).await);
    let mirrored = |key: &[u8]| world.mirrored.iter().any(|mirrored| mirrored.as_bytes() == key);
    assert_equal_in_scope(&from, &to, mirrored);
    assert!(from.keys.keys().filter(|key| mirrored(key)).count() > 10);
    world.mirror.assert_no_errors(&[]);
}
