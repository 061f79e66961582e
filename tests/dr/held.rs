//! What a rule of the mirror holds until promotion is released by the plan that promotes.

use end_to_end::{Mirror, dump};
use serde_json::json;

use crate::pair::{Cluster, Pair};
use crate::run::Dr;
use crate::switchover::{UNATTENDED, checked, lend_hands};

pub(crate) const GROUP: &str = "/registry/cluster.x-k8s.io/";
const PARKED: &str = "/etcd-sync/default/parked/";

/// Objects, by resource, kind and name. Each owns the next, and sorts behind it.
const OBJECTS: [[&str; 3]; 3] = [
    ["zclusters", "ZCluster", "c"],
    ["machinesets", "MachineSet", "s"],
    ["amachines", "Machine", "m"],
];

async fn put_objects(cluster: &Cluster) {
    let mut client = cluster.etcd.client().await;
    let version = "cluster.x-k8s.io/v1beta1";
    let mut owners = json!([]);
    for [resource, kind, name] in OBJECTS {
        let uid = format!("uid-{name}");
        let object = json!({
            "apiVersion": version,
            "kind": kind,
            "metadata": {
                "name": name, "namespace": "team", "uid": uid, "ownerReferences": owners,
            },
        });
        let key = format!("{GROUP}{resource}/team/{name}");
        client.put(key, object.to_string(), None).await.unwrap();
        owners = json!([{ "apiVersion": version, "kind": kind, "name": name, "uid": uid }]);
    }
}

/// The revisions that wrote the objects, in the order of [`OBJECTS`].
async fn written(cluster: &Cluster) -> Vec<Option<i64>> {
    let mut client = cluster.etcd.client().await;
    let mut revisions = Vec::new();
    for [resource, _, name] in OBJECTS {
        let answer = client.get(format!("{GROUP}{resource}/team/{name}"), None).await.unwrap();
        revisions.push(answer.kvs().first().map(etcd_client::KeyValue::mod_revision));
    }
    revisions
}

async fn parked(cluster: &Cluster) -> usize {
    let dump = dump(&cluster.etcd.client().await).await;
    dump.filtered(|key| key.starts_with(PARKED.as_bytes())).keys.len()
}

/// A pair whose roles were changed by a plan, though a rule of the mirror held some objects until
/// then; with the file of that rule.
pub(crate) async fn held_until_switchover() -> (Pair, String, Dr) {
    let pair = Pair::start().await;
    put_objects(&pair.east).await;
    let config = pair.path("mirror.yaml");
    let rules = json!([{ "action": "hold-until-promote", "resource": "cluster.x-k8s.io/*" }]);
    std::fs::write(&config, json!({ "scope": { "rules": rules } }).to_string()).unwrap();
    let mirror = pair.mirror().connection_flag("--config").connection_flag(&config);
    let mut mirror: Mirror = mirror.start();
    pair.write_topology(true, &format!("http://{}", mirror.address()));
    mirror.wait_for_state("following").await;
    checked(&mut mirror).await;
    assert_eq!((parked(&pair.west).await, written(&pair.west).await), (3, vec![None; 3]));

    // Whoever does not know the mirror's rules does not judge it, and promotes nothing.
    let dr = Dr::new(&pair);
    let told = dr.expect(3, &UNATTENDED).await;
    assert!(told.contains("--mirror-config"), "{told}");
    assert!(pair.west.role().is_none() && !pair.east.is_shielded());

    let rules = config.to_str().unwrap().to_owned();
    let args: Vec<&str> =
        UNATTENDED.into_iter().chain(["--mirror-config", rules.as_str()]).collect();
    tokio::select! {
        told = dr.expect(0, &args) => assert!(told.contains("step release-parked: done"), "{told}"),
        () = lend_hands(&pair, &dr) => unreachable!("hands work for ever"),
    }
    dr.assert_completed();
    (pair, rules, dr)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_held_is_released_before_the_role_is_recorded() {
    let (pair, _, _) = held_until_switchover().await;
    assert_eq!(parked(&pair.west).await, 0);
    let written = written(&pair.west).await;
    assert!(written.iter().all(Option::is_some) && written.is_sorted(), "{written:?}");
    assert_eq!(pair.west.role().as_deref(), Some("primary"));
}
