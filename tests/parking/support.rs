//! What several of these tests do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use end_to_end::{Etcd, Mirror, MirrorBuilder, dump, eventually};
use etcd_client::{Client, Txn, TxnOp};
use serde_json::Value;
use tempfile::TempDir;

/// Long enough for a reconnect with its pauses on a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Where the mirror of these tests parks what is held.
pub(crate) const PARKED: &str = "/etcd-sync/default/parked";

/// What is held.
pub(crate) const GROUP: &str = "/registry/cluster.x-k8s.io/";

/// The rules as a file of `--rules` says them.
const RULES: &str = "- action: hold-until-promote\n  resource: cluster.x-k8s.io/*\n";

/// A primary, a standby, and a mirror between them that parks Cluster API objects.
pub(crate) struct Pair {
    pub(crate) primary: Etcd,
    pub(crate) standby: Etcd,
    pub(crate) there: Client,
    pub(crate) here: Client,
    pub(crate) rules: PathBuf,
    _dir: TempDir,
}

impl Pair {
    pub(crate) async fn start() -> Self {
        let (primary, standby) = tokio::join!(Etcd::start(), Etcd::start_standby());
        let dir = tempfile::tempdir().unwrap();
        let rules = dir.path().join("rules.yaml");
        std::fs::write(&rules, RULES).unwrap();
        let (there, here) = (primary.client().await, standby.client().await);
        Self { primary, standby, there, here, rules, _dir: dir }
    }

    pub(crate) fn mirror(&self) -> MirrorBuilder {
        mirror(&self.primary, &self.standby, &self.rules)
    }

    /// What the primary has of what is held, and of the standby what is parked: by the own place.
    pub(crate) async fn held_and_parked(&self) -> (Keys, Keys) {
        let held = under(&self.there, GROUP, "").await;
        (held, under(&self.here, PARKED, PARKED).await)
    }

    /// Waits until the standby has parked just what the primary has.
    pub(crate) async fn parked_equals_held(&self) -> Keys {
        eventually("parked is what is held", PATIENCE, async || {
            let (held, parked) = self.held_and_parked().await;
            (held == parked).then_some(held)
        })
        .await
    }

    /// Waits until the standby has what the primary has now.
    pub(crate) async fn caught_up(&self, mirror: &mut Mirror) {
        let mut client = self.there.clone();
        let head = client.get("\0", None).await.unwrap().header().unwrap().revision();
        mirror.wait_for_checkpoint(head).await;
    }
}

fn mirror(primary: &Etcd, standby: &Etcd, rules: &Path) -> MirrorBuilder {
    Mirror::builder(&primary.endpoints(), &standby.endpoints())
        .connection_flag("--rules")
        .connection_flag(rules)
        .patience(PATIENCE)
}

/// Keys and values.
pub(crate) type Keys = BTreeMap<String, Vec<u8>>;

/// What a cluster has below a prefix, less what `strip` says of each key.
pub(crate) async fn under(client: &Client, prefix: &str, strip: &str) -> Keys {
    let all = dump(client).await.keys.into_iter();
    let text = all.map(|(key, entry)| (String::from_utf8(key).unwrap(), entry.value));
    let below = text.filter(|(key, _)| key.starts_with(prefix));
    below.map(|(key, value)| (key.strip_prefix(strip).unwrap().to_owned(), value)).collect()
}

/// An object as an apiserver writes it.
pub(crate) fn object(kind: &str, name: &str, owners: &[(&str, &str)], more: &str) -> Vec<u8> {
    let owners: Vec<String> = owners
        .iter()
        .map(|(kind, name)| {
            let version = "cluster.x-k8s.io/v1beta1";
            format!(
                r#"{{"apiVersion":"{version}","kind":"{kind}","name":"{name}","uid":"uid-{name}"}}"#
            )
        })
        .collect();
    format!(
        r#"{{"apiVersion":"cluster.x-k8s.io/v1beta1","kind":"{kind}","metadata":{{"name":"{name}","namespace":"team","uid":"uid-{name}","ownerReferences":[{}]}},"spec":{{"text":"{more}"}}}}"#,
        owners.join(",")
    )
    .into_bytes()
}

/// Clusters, each with a set of machines and three machines: 5 objects a cluster. Owners sort behind
/// some of what they own.
pub(crate) fn platform(clusters: usize) -> Keys {
    let mut objects = Keys::new();
    for at in 0..clusters {
        let (cluster, set) = (format!("c{at:03}"), format!("s{at:03}"));
        let place = |resource: &str, name: &str| format!("{GROUP}{resource}/team/{name}");
        objects.insert(place("zclusters", &cluster), object("ZCluster", &cluster, &[], "a"));
        let owner = [("ZCluster", cluster.as_str())];
        objects.insert(place("machinesets", &set), object("MachineSet", &set, &owner, "b"));
        for number in 0..3 {
            let machine = format!("m{at:03}-{number}");
            let owner = [("MachineSet", set.as_str())];
            let value = object("Machine", &machine, &owner, &"x".repeat(300));
            objects.insert(place("amachines", &machine), value);
        }
    }
    objects
}

/// Puts them, many to a revision, those that sort first first.
pub(crate) async fn put_all(client: &Client, objects: &Keys) {
    let mut client = client.clone();
    let all: Vec<_> = objects.iter().collect();
    for some in all.chunks(100) {
        let puts = some.iter().map(|(key, value)| TxnOp::put(key.as_str(), (*value).clone(), None));
        client.txn(Txn::new().and_then(puts.collect::<Vec<_>>())).await.unwrap();
    }
}

/// The JSON that a program printed, and its exit code.
pub(crate) fn report(output: &Output) -> (Value, i32) {
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (report, output.status.code().expect("an exit code"))
}

/// The keys that a report names in a list, with how they differ.
pub(crate) fn named(report: &Value, list: &str) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let differences = report[list].as_array().expect("a list").iter();
    differences.map(|difference| (text(&difference["key"]), text(&difference["kind"]))).collect()
}
