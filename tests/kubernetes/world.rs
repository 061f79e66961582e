//! A primary and a live standby, and the mirror between them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use end_to_end::dump::differences;
use end_to_end::kin::{Verdict, changes, judge, uids};
use end_to_end::{Dump, Etcd, Mirror, MirrorBuilder, dump, fixture};
use etcd_client::{Client, Txn, TxnOp};
use keyspace_filter::{Scope, ScopeSpec};
use serde_json::Value;

use crate::objects::{Object, definitions};

/// Small transactions, so that there is an order between them.
const SMALL_REQUESTS: &str = "65536";

pub(crate) struct World {
    pub(crate) primary: Etcd,
    pub(crate) standby: Etcd,
}

impl World {
    /// Empty but for the definitions of custom kinds, which the standby serves from the start.
    pub(crate) async fn start() -> Self {
        let (primary, standby) = tokio::join!(Etcd::start(), Etcd::start_standby());
        for etcd in [&primary, &standby] {
            put_all(&etcd.client().await, definitions()).await;
        }
        Self { primary, standby }
    }

    /// With a Kubernetes keyspace on the primary, and what a new cluster holds on the standby.
    pub(crate) async fn of_kubernetes(primary: &[fixture::Record]) -> Self {
        let world = Self::start().await;
        let (mut from, mut to) = (world.primary.client().await, world.standby.client().await);
        let fresh = fixture::fresh_standby();
        tokio::join!(fixture::load(&mut from, primary), fixture::load(&mut to, &fresh));
        world
    }

    /// A mirror by the preset for Kubernetes that sends small transactions.
    pub(crate) fn mirror(&self) -> MirrorBuilder {
        Mirror::builder(&self.primary.endpoints(), &self.standby.endpoints())
            .preset("kubernetes")
            .patience(Duration::from_secs(60))
            .flag("--max-request-bytes")
            .flag(SMALL_REQUESTS)
    }

    /// Puts objects on the primary, in this order, a revision each.
    pub(crate) async fn put(&self, objects: &[Object]) {
        let mut client = self.primary.client().await;
        for object in objects {
            client.put(object.key(), object.value(), None).await.unwrap();
        }
    }

    /// Puts many objects on the primary, many to a revision.
    pub(crate) async fn put_many(&self, objects: impl IntoIterator<Item = Object>) {
        let entries = objects.into_iter().map(|object| (object.key(), object.value()));
        put_all(&self.primary.client().await, entries).await;
    }

    /// Judges the standby's history after one of its revisions, by what the primary holds now.
    pub(crate) async fn verdict(&self, after: i64) -> Verdict {
        judge(&changes(self.standby.access()).await, after, &self.required().await)
    }

    /// The objects that the standby has to get, by uid.
    pub(crate) async fn required(&self) -> BTreeSet<String> {
        let scope = scope();
        uids(&dump(&self.primary.client().await).await, |key| scope.admits(key))
    }

    /// Waits until the standby has all that the primary has now, and looks at every key in scope.
    /// What only the standby had from its start stays. Returns how many keys are held back.
    pub(crate) async fn assert_equal(&self, mirror: &mut Mirror) -> usize {
        let primary = dump(&self.primary.client().await).await;
        mirror.wait_for_checkpoint(primary.revision).await;
        let status = mirror.wait_for_state("following").await;
        let standby = dump(&self.standby.client().await).await;
        let held = held_back(&status, &standby);
        let scope = scope();
        let mut found = differences(&primary, &standby, |key| scope.admits(key));
        found.retain(|line| {
            let key = line.split_whitespace().nth(1).unwrap_or_default();
            let is_held = line.starts_with("missed") && held.contains(key);
            let is_local = line.starts_with("surplus") && is_of_a_new_cluster(key);
            !is_held && !is_local
        });
        assert_eq!(found, Vec::<String>::new());
        held.len()
    }

    /// Tells whether the standby holds an object just as it is.
    pub(crate) async fn standby_has(&self, object: &Object) -> bool {
        let mut client = self.standby.client().await;
        let answer = client.get(object.key(), None).await.unwrap();
        answer.kvs().first().is_some_and(|kv| kv.value() == object.value())
    }

    pub(crate) async fn standby_head(&self) -> i64 {
        head(&self.standby).await
    }
}

/// The scope of the preset for Kubernetes.
pub(crate) fn scope() -> Scope {
    Scope::compile(ScopeSpec::default()).unwrap()
}

/// The keys that a status says are held back. It names at most a hundred; where there are more,
/// the mirror's records on the standby name all.
pub(crate) fn held_back(status: &Value, standby: &Dump) -> BTreeSet<String> {
    let keys = status["held_back"]["keys"].as_array().expect("a list");
    if status["held_back"]["count"] == keys.len() {
        let name = |held: &Value| held["key"].as_str().expect("a key").to_owned();
        return keys.iter().map(name).collect();
    }
    let keys = standby.keys.keys().map(|key| key.escape_ascii().to_string());
    keys.filter_map(|key| Some(key.split_once("/withheld/")?.1.to_owned())).collect()
}

fn is_of_a_new_cluster(key: &str) -> bool {
    fixture::fresh_standby().iter().any(|record| record.key.escape_ascii().to_string() == key)
}

pub(crate) async fn head(etcd: &Etcd) -> i64 {
    let answer = etcd.client().await.get("\0", None).await.unwrap();
    answer.header().unwrap().revision()
}

/// Puts entries, up to a hundred to a revision.
pub(crate) async fn put_all(client: &Client, entries: impl IntoIterator<Item = (String, Vec<u8>)>) {
    let mut client = client.clone();
    let (mut ops, mut bytes) = (Vec::new(), 0);
    let mut entries = entries.into_iter().peekable();
    while let Some((key, value)) = entries.next() {
        bytes += value.len();
        ops.push(TxnOp::put(key, value, None));
        if ops.len() == 100 || bytes > 500_000 || entries.peek().is_none() {
            client.txn(Txn::new().and_then(std::mem::take(&mut ops))).await.unwrap();
            bytes = 0;
        }
    }
}

/// The keyspace that `ETCD_SYNC_KEYSPACE` names: lines as in the fixture, packed by zstd. To be
/// mirrored in addition to the fixture, where somebody has one.
pub(crate) fn named_keyspace() -> Option<Vec<fixture::Record>> {
    let path = PathBuf::from(std::env::var_os("ETCD_SYNC_KEYSPACE")?);
    let Output { status, stdout, .. } =
        Command::new("zstd").args(["-dc"]).arg(&path).output().expect("start zstd");
    assert!(status.success(), "zstd can't read {}", path.display());
    Some(fixture::parse(&String::from_utf8(stdout).expect("lines of JSON")))
}

/// The keys of a dump that are in scope.
pub(crate) fn in_scope(dump: &Dump) -> Dump {
    let scope = scope();
    dump.filtered(|key| scope.admits(key))
}

/// The JSON that a verb has printed, and its exit code.
pub(crate) fn report(output: &Output) -> (Value, i32) {
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (report, output.status.code().expect("an exit code"))
}

/// Has a repair planned, accepted and carried out; returns what became of it.
pub(crate) fn repair(mirror: &Mirror) -> Value {
    let (plan, _) = report(&mirror.verb(&["repair", "-o", "json"]));
    let digest = plan["digest"].as_str().expect("a digest").to_owned();
    let order = ["repair", "-o", "json", "--execute", "--wait", "60s", "--accept", &digest];
    let (done, exit) = report(&mirror.verb(&order));
    assert_eq!((exit, &done["outcome"]), (0, &"done".into()), "{done}");
    done
}
