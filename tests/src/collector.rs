//! A stand-in for Kubernetes' garbage collector, on a real etcd.
//!
//! It keeps the manners of the real one that cost a standby objects:
//! - it gives no grace: an object whose owners are not there is deleted as soon as it is seen;
//! - whether an owner is there, a live look-up by the owner's name says, and the uid has to match;
//! - an owner that was found absent goes into a cache of 500, which nobody corrects when the owner
//!   comes after all: whatever is judged by the cache is deleted without another look;
//! - an object of a kind that is not served, or with an owner of one, can't be judged and stays;
//! - at its start it judges everything that is there.
//!
//! It differs in being fast (the real one is limited to some tens of requests per second), in
//! deleting at once what has finalizers, and in not rewriting an object that has lost some of its
//! owners: it only says so. What it is told of one resource may be ahead of what it is told of
//! another, as with the real one's informers; here, as far as one answer of the watch goes.

mod graph;
mod served;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use etcd_client::{Client, Compare, CompareOp, Event, EventType, Txn, TxnOp, WatchOptions};
use kube_meta::skim;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::graph::{Graph, Item, Reference};
use self::served::{Kinds, Located, resource_of};
use crate::dump::dump;
use crate::etcd::Access;

const REGISTRY: &[u8] = b"/registry/";

/// What a collector has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// The newest revision that was judged.
    pub seen: i64,
    /// The keys that were deleted, in order.
    pub deleted: Vec<String>,
    /// Objects that have lost some of their owners: the real one takes those references out.
    pub rewritten: BTreeSet<String>,
    /// How often an owner was looked up.
    pub looked_up: u64,
    /// Objects that were put, of kinds that are served and with owners.
    pub judged: u64,
}

/// A running collector. It ends when it is dropped.
#[derive(Debug)]
pub struct Collector {
    access: Access,
    report: watch::Receiver<Collected>,
    task: JoinHandle<()>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Collector {
    /// Starts one that judges what is there and then whatever comes.
    pub async fn start(access: &Access) -> Self {
        let (report, seen) = watch::channel(Collected::default());
        let client = access.client().await;
        let task = tokio::spawn(collect(client, report));
        let mut collector = Self { access: access.clone(), report: seen, task };
        collector.settled().await;
        collector
    }

    /// Waits until everything that the cluster holds was judged and nothing is left to delete, and
    /// returns what was done so far.
    ///
    /// # Panics
    ///
    /// If that takes longer than a minute, or the collector has failed.
    pub async fn settled(&mut self) -> Collected {
        let mut client = self.access.client().await;
        let settled = async {
            loop {
                let newest = client.get("\0", None).await.expect("a read");
                let newest = newest.header().expect("a header").revision();
                let before = self.report.borrow().deleted.len();
                let seen = self.report.wait_for(|report| report.seen >= newest).await;
                let report = seen.expect("the collector goes on").clone();
                // What it deletes is news that it has to judge as well.
                if report.deleted.len() == before {
                    return report;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), settled).await.expect("settled in a minute")
    }
}

async fn collect(client: Client, report: watch::Sender<Collected>) {
    let there = dump(&client).await;
    let mut work = Work {
        client: client.clone(),
        graph: Graph::default(),
        kinds: Kinds::default(),
        done: Collected::default(),
        backwards: false,
    };
    let objects = there.keys.iter().filter(|(key, _)| key.starts_with(REGISTRY));
    let put = |(key, entry): (&Vec<u8>, &crate::dump::Entry)| (key.clone(), entry.value.clone());
    work.take_in(objects.map(put).map(|(key, value)| (key, Some(value))).collect()).await;
    work.done.seen = there.revision;
    report.send_replace(work.done.clone());

    // Of everything, so that each revision is heard of.
    let options = WatchOptions::new().with_all_keys().with_start_revision(there.revision + 1);
    let mut watcher = client.watch_client().max_decoding_message_size(1 << 30);
    let mut stream = watcher.watch(Vec::new(), Some(options)).await.expect("a watch");
    while let Some(answer) = stream.message().await.expect("an answer") {
        assert!(!answer.canceled(), "{}", answer.cancel_reason());
        let Some(newest) = answer.events().last().and_then(Event::kv).map(|kv| kv.mod_revision())
        else {
            continue;
        };
        let change = |event: &Event| {
            let kv = event.kv().expect("an event has a key");
            let value = (event.event_type() == EventType::Put).then(|| kv.value().to_vec());
            (kv.key().to_vec(), value)
        };
        let changes = answer.events().iter().map(change);
        work.take_in(changes.filter(|(key, _)| key.starts_with(REGISTRY)).collect()).await;
        work.done.seen = newest;
        report.send_replace(work.done.clone());
    }
}

struct Work {
    client: Client,
    graph: Graph,
    kinds: Kinds,
    done: Collected,
    /// The resources are taken from the last to the first.
    backwards: bool,
}

impl Work {
    /// Takes in changes, each resource's in their order, but resource after resource, once from the
    /// first and once from the last: whoever relies on being heard of in the order of revisions is
    /// found out. Then does all that comes of them.
    async fn take_in(&mut self, mut changes: Vec<(Vec<u8>, Option<Vec<u8>>)>) {
        self.backwards = !self.backwards;
        if self.backwards {
            changes.sort_by_key(|(key, _)| Reverse(resource_of(key).to_vec()));
        } else {
            changes.sort_by_key(|(key, _)| resource_of(key).to_vec());
        }
        // Kinds first: an informer runs only for what is served.
        for (key, value) in &changes {
            if let Some(resource) = self.kinds.note(key, value.as_deref()) {
                self.list(&resource).await;
                self.graph.a_kind_came();
            }
        }
        for (key, value) in &changes {
            self.change(key, value.as_deref());
        }
        self.work().await;
    }

    /// Takes in what there is of a kind that is served from now on.
    async fn list(&mut self, resource: &str) {
        let prefix = format!("/registry/{resource}/");
        let options = etcd_client::GetOptions::new().with_prefix();
        let mut kv = self.client.kv_client().max_decoding_message_size(1 << 30);
        let page = kv.get(prefix, Some(options)).await.expect("a read");
        for kv in page.kvs() {
            self.change(kv.key(), Some(kv.value()));
        }
    }

    fn change(&mut self, key: &[u8], value: Option<&[u8]>) {
        let Some(value) = value else { return self.graph.delete(key) };
        let meta = skim(value);
        if meta.kind() == Some("Event") || !self.kinds.serves(&meta) {
            return;
        }
        self.done.judged += u64::from(meta.owners().next().is_some());
        self.graph.put(key, &meta);
    }

    async fn work(&mut self) {
        while let Some(item) = self.graph.next() {
            match item {
                Item::Owner(owner) => self.attempt_owner(owner).await,
                Item::Object(uid) => self.attempt_object(&uid).await,
            }
        }
    }

    /// Looks for an owner of which nothing was heard yet.
    async fn attempt_owner(&mut self, owner: Reference) {
        if !self.graph.has(&owner.uid)
            && let Located::At(key) = self.kinds.locate(&owner)
            && !self.is_there(&key, &owner.uid).await
        {
            self.graph.is_absent(&owner);
        }
    }

    /// Looks at an object, and deletes it if it has owners and none of them is there.
    async fn attempt_object(&mut self, uid: &str) {
        let Some(key) = self.graph.key(uid).cloned() else { return };
        let answer = self.client.get(key.clone(), None).await.expect("a read");
        let Some(kv) = answer.kvs().first() else { return self.graph.delete(&key) };
        let meta = skim(kv.value());
        if meta.uid() != Some(uid) {
            return self.graph.forget(uid);
        }
        let owners: Vec<Reference> = Reference::all(&meta).collect();
        if owners.is_empty() || meta.is_deleting() {
            return;
        }
        let (mut solid, mut dangling) = (0, 0);
        for owner in &owners {
            let located = self.kinds.locate(owner);
            let absent = self.graph.is_known_absent(owner);
            match located {
                _ if absent => dangling += 1,
                Located::Nowhere => return,
                Located::NotServed => return self.graph.wait_for_a_kind(uid),
                Located::At(at) if self.is_there(&at, &owner.uid).await => solid += 1,
                Located::At(_) => {
                    self.graph.remember_absent(owner);
                    dangling += 1;
                }
            }
        }
        if solid > 0 && dangling > 0 {
            self.done.rewritten.insert(key.escape_ascii().to_string());
        } else if dangling > 0 {
            let unchanged = Compare::mod_revision(key.clone(), CompareOp::Equal, kv.mod_revision());
            let delete = TxnOp::delete(key.clone(), None);
            let txn = Txn::new().when([unchanged]).and_then([delete]);
            if self.client.txn(txn).await.expect("a deletion").succeeded() {
                self.done.deleted.push(key.escape_ascii().to_string());
                self.graph.delete(&key);
            } else {
                self.graph.again(uid);
            }
        }
    }

    async fn is_there(&mut self, key: &[u8], uid: &str) -> bool {
        self.done.looked_up += 1;
        let answer = self.client.get(key, None).await.expect("a read");
        answer.kvs().first().is_some_and(|kv| skim(kv.value()).uid() == Some(uid))
    }
}
