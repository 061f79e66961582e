//! The store: what etcd would hold, and every state it ever held.

use std::collections::BTreeMap;

use etcd_mvcc::{
    Change, ClusterId, Entry, Failure, FailureClass, Group, Head, Key, Position, RaftPosition,
    Revision,
};

/// etcd's default for `--max-request-bytes`.
const REQUEST_BYTES_MAX: usize = 1_572_864;

/// The revision of a store that was never written to: etcd begins at 1, so its first write makes 2.
const FIRST_REVISION: i64 = 1;

/// The term of a cluster's first leader.
const FIRST_TERM: u64 = 2;

/// The log of a new cluster begins with its members and its first leader's empty entry.
const FIRST_INDEX: u64 = 4;

/// Defects of old etcds that a mirror must live with. None by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quirks {
    /// A watch that starts exactly at the compaction revision is accepted, and the deletions of
    /// that revision are not delivered: etcd-io/etcd#19179, before 3.4.36 and 3.5.18.
    pub loses_deletes_at_compaction: bool,
}

/// The space that a store may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Space {
    bytes: usize,
    deletes_pass: bool,
    used: usize,
    alarm: bool,
}

/// One etcd: an MVCC store with its history.
///
/// Compaction refuses what etcd would refuse, but nothing is forgotten: [`ModelEtcd::truth_at`] and
/// [`ModelEtcd::history`] answer for every revision of the present history, so that a test can
/// judge what a mirror did long after.
#[derive(Clone, Debug)]
pub struct ModelEtcd<R> {
    cluster: ClusterId,
    pub(crate) request_bytes_max: usize,
    pub(crate) request_ops_max: usize,
    pub(crate) space: Option<Space>,
    pub(crate) quirks: Quirks,
    incarnation: u64,
    pub(crate) store: Store<R>,
}

#[derive(Clone, Debug)]
pub(crate) struct Store<R> {
    pub(crate) revision: R,
    pub(crate) compacted: Option<R>,
    /// Every write to every key, ascending by revision.
    pub(crate) keys: BTreeMap<Key, Vec<Change<R>>>,
    /// Every revision, ascending, its changes in the order in which they were made.
    pub(crate) log: Vec<Group<R>>,
    /// The term of the leader.
    pub(crate) raft_term: u64,
    /// Entries of the log of consensus that were committed.
    pub(crate) raft_index: u64,
}

impl<R: Revision> Store<R> {
    fn empty() -> Self {
        Self {
            revision: R::new(FIRST_REVISION),
            compacted: None,
            keys: BTreeMap::new(),
            log: Vec::new(),
            raft_term: FIRST_TERM,
            raft_index: FIRST_INDEX,
        }
    }
}

/// A copy of a store, as a backup holds it: everything but who the cluster is.
#[derive(Clone, Debug)]
pub struct Snapshot<R>(Store<R>);

impl<R: Revision> Snapshot<R> {
    /// Returns the newest revision in the copy.
    #[must_use]
    pub fn revision(&self) -> R {
        self.0.revision
    }
}

impl<R: Revision> ModelEtcd<R> {
    /// Starts an empty etcd, at revision 1.
    #[must_use]
    pub fn new(cluster: ClusterId) -> Self {
        Self {
            cluster,
            request_bytes_max: REQUEST_BYTES_MAX,
            request_ops_max: usize::MAX,
            space: None,
            quirks: Quirks::default(),
            incarnation: 0,
            store: Store::empty(),
        }
    }

    /// Sets the most bytes of keys and values that one transaction may carry. 1.5 MiB by default.
    #[must_use]
    pub fn with_request_bytes_max(mut self, bytes: usize) -> Self {
        self.request_bytes_max = bytes;
        self
    }

    /// Sets the most bytes of keys and values, and the most operations, that one transaction may
    /// carry from now on. No limit to the operations by default.
    pub fn limit_requests(&mut self, bytes: usize, ops: usize) {
        self.request_bytes_max = bytes;
        self.request_ops_max = ops;
    }

    /// Limits the space that the store may take, in bytes of keys and values of all that is not
    /// compacted. `deletes_pass` as with etcd 3.6: what only deletes is taken when nothing else is.
    /// Without a limit by default.
    pub fn limit_space(&mut self, bytes: usize, deletes_pass: bool) {
        let used = self.used_bytes();
        self.space = Some(Space { bytes, deletes_pass, used, alarm: false });
    }

    /// Gives back what compaction has freed, as `etcdctl defrag` does. The alarm stays.
    pub fn defragment(&mut self) {
        let used = self.used_bytes();
        if let Some(space) = &mut self.space {
            space.used = used;
        }
    }

    /// Takes the alarm back, as `etcdctl alarm disarm` does. If there is no space it is raised again
    /// by the next write.
    pub fn disarm(&mut self) {
        if let Some(space) = &mut self.space {
            space.alarm = false;
        }
    }

    /// Tells whether the alarm NOSPACE is raised.
    #[must_use]
    pub fn is_out_of_space(&self) -> bool {
        self.space.is_some_and(|space| space.alarm)
    }

    /// Bytes of keys and values that can still be read.
    fn used_bytes(&self) -> usize {
        let kept = |change: &Change<R>| match change {
            Change::Put(entry) => entry.key.len() + entry.value.len(),
            Change::Delete { key, .. } => key.len(),
        };
        let compacted = self.store.compacted.unwrap_or(R::new(0));
        let of_key = |writes: &Vec<Change<R>>| {
            let gone = writes.partition_point(|change| change.modified() <= compacted);
            let last = gone.checked_sub(1).and_then(|at| writes.get(at));
            let last = last.filter(|change| matches!(change, Change::Put(_)));
            let rest = writes.iter().skip(gone);
            last.into_iter().chain(rest).map(kept).sum::<usize>()
        };
        self.store.keys.values().map(of_key).sum()
    }

    /// Refuses what there is no space for, and raises the alarm.
    pub(crate) fn refuse_space(&mut self, puts: bool, bytes: usize) -> Result<(), Failure> {
        let Some(space) = &mut self.space else { return Ok(()) };
        if puts || !space.deletes_pass {
            space.alarm |= space.used + bytes > space.bytes;
            if space.alarm {
                return Err(Failure::new(FailureClass::NoSpace, "mvcc: database space exceeded"));
            }
        }
        Ok(())
    }

    /// The file grows, and shrinks by [`ModelEtcd::defragment`] alone.
    pub(crate) fn grow(&mut self) {
        if self.space.is_some() {
            let used = self.used_bytes();
            if let Some(space) = &mut self.space {
                space.used = space.used.max(used);
            }
        }
    }

    /// Gives the model defects of old etcds.
    #[must_use]
    pub fn with_quirks(mut self, quirks: Quirks) -> Self {
        self.quirks = quirks;
        self
    }

    /// Returns who the cluster is and its newest revision.
    #[must_use]
    pub fn head(&self) -> Head<R> {
        Head { cluster: self.cluster, revision: self.store.revision }
    }

    /// Returns the head, and the position of the log.
    #[must_use]
    pub fn position(&self) -> Position<R> {
        let Store { raft_term: term, raft_index: index, .. } = self.store;
        let raft = RaftPosition { term, index_before: index, index_after: index };
        Position { head: self.head(), raft: Some(raft), db: None }
    }

    /// The members elect a leader anew.
    pub fn elect(&mut self) {
        self.store.raft_term += 1;
        self.store.raft_index += 1;
    }

    /// Returns the newest revision.
    #[must_use]
    pub fn revision(&self) -> R {
        self.store.revision
    }

    /// Returns the revision of the last compaction, if there was one. It is the oldest readable.
    #[must_use]
    pub fn compacted(&self) -> Option<R> {
        self.store.compacted
    }

    /// Returns how often the store was replaced: by [`ModelEtcd::restore`] or [`ModelEtcd::wipe`].
    /// Nobody outside a test can see this number.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Forgets, for readers and watchers, everything that was overwritten before `revision`.
    /// `revision` itself stays readable.
    ///
    /// # Errors
    ///
    /// As etcd: [`FailureClass::Resync`] if that is compacted already, [`FailureClass::Retry`] if
    /// the revision does not exist yet. Nothing has changed then.
    pub fn compact(&mut self, revision: R) -> Result<(), Failure> {
        if self.store.compacted.is_some_and(|compacted| revision <= compacted) {
            return Err(self.compacted_failure());
        }
        if revision > self.store.revision {
            return Err(future_failure());
        }
        self.store.compacted = Some(revision);
        Ok(())
    }

    /// Copies the store, as `etcdctl snapshot save` does.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<R> {
        Snapshot(self.store.clone())
    }

    /// Replaces the store by a copy, as `etcdutl snapshot restore` with the same addresses and token
    /// does: the cluster's id stays, the revision goes back, what was written since has never
    /// happened, and the log begins anew.
    pub fn restore(&mut self, snapshot: Snapshot<R>) {
        self.store = snapshot.0;
        self.store.raft_term = FIRST_TERM;
        self.store.raft_index = FIRST_INDEX;
        self.incarnation += 1;
    }

    /// The same with `--bump-revision` and `--mark-compacted`: the revision is `bump` further on,
    /// and everything before it is compacted.
    pub fn restore_bumped(&mut self, snapshot: Snapshot<R>, bump: i64) {
        self.restore(snapshot);
        self.store.revision = R::new(self.store.revision.get() + bump);
        self.store.compacted = Some(self.store.revision);
    }

    /// Replaces the store by a copy of the data directory, log included, as a machine that is
    /// reverted to a snapshot does: the members elect a leader and go on from there.
    pub fn revert(&mut self, snapshot: Snapshot<R>) {
        self.store = snapshot.0;
        self.elect();
        self.incarnation += 1;
    }

    /// Empties the store, as a cluster that is made anew with the same addresses and token: the
    /// cluster's id stays, the revision is 1 again.
    pub fn wipe(&mut self) {
        self.store = Store::empty();
        self.incarnation += 1;
    }

    /// Returns the key as it is, if it exists.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&Entry<R>> {
        match self.store.keys.get(key)?.last()? {
            Change::Put(entry) => Some(entry),
            Change::Delete { .. } => None,
        }
    }

    /// Returns every revision of the present history with its changes, ascending, compacted or not.
    #[must_use]
    pub fn history(&self) -> &[Group<R>] {
        &self.store.log
    }

    pub(crate) fn compacted_failure(&self) -> Failure {
        let compacted = self.store.compacted.unwrap_or_default();
        Failure::new(
            FailureClass::Resync,
            format_args!("required revision has been compacted (up to {compacted})"),
        )
    }
}

pub(crate) fn future_failure() -> Failure {
    Failure::new(FailureClass::Retry, "required revision is a future revision")
}

/// The entry as of `at`, of a key with these writes.
pub(crate) fn live_at<R: Revision>(writes: &[Change<R>], at: R) -> Option<&Entry<R>> {
    let known = writes.partition_point(|change| change.modified() <= at);
    match writes.get(known.checked_sub(1)?)? {
        Change::Put(entry) => Some(entry),
        Change::Delete { .. } => None,
    }
}
