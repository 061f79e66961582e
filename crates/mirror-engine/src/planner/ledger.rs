//! Whose key is it? The ledger of keys that others made on the standby.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use etcd_mvcc::{Batch, Change, Entry, Expect, Key, Op, Revision, StandbyRevision, Value};
use xxhash_rust::xxh3::xxh3_64;

use super::batch::op_bytes;
use crate::own_keys::OwnKeys;
use crate::record::Accounted;

/// Entries that are known by heart, 24 bytes each. Beyond, every surplus key counts as foreign:
/// nothing is deleted that might be somebody else's.
const KNOWN_MAX: usize = 1_000_000;

/// Entries that one transaction writes along with its data.
const OPS_PER_TXN: usize = 200;

/// Stretches of unseen history that are kept apart; beyond, two are joined. What is known of who
/// wrote between the two is lost then.
const GAPS_MAX: usize = 32;

/// The keys that others made, as far as they are known, and up to where that is.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// By the hash of the key: since which revision the key is others', as far as this process has
    /// seen it happen; zero for entries that are older.
    known: BTreeMap<u64, StandbyRevision>,
    overflowed: bool,
    accounted: Accounted,
    /// Entries to write or remove, and the revision that gave rise to each.
    pending: VecDeque<(StandbyRevision, Op)>,
    /// What [`OwnKeys::alone`] must look like while nobody else writes.
    alone: Expect,
    /// A transaction without a checkpoint has happened that no checkpoint names yet. Another one
    /// would take its mark away.
    unnamed: bool,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            known: BTreeMap::new(),
            overflowed: false,
            accounted: Accounted::default(),
            pending: VecDeque::new(),
            alone: Expect::Absent,
            unnamed: false,
        }
    }
}

/// What somebody else did to keys in scope.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Foreign {
    pub(crate) puts: u64,
    pub(crate) deletes: u64,
}

/// What happened to a key that the mirror has written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Touch<'k> {
    /// The mirror itself wrote or deleted it.
    Ours(&'k Key),
    /// Somebody else deleted it.
    Deleted(&'k Key),
    /// Somebody else wrote it at this revision.
    Changed(&'k Key, StandbyRevision),
}

impl Ledger {
    /// Starts with what the checkpoint says, to be filled with [`Ledger::load`].
    pub(crate) fn new(accounted: Accounted) -> Self {
        Self { accounted, ..Self::default() }
    }

    /// Takes in a stored entry.
    pub(crate) fn load(&mut self, own: &OwnKeys, entry: &Entry<StandbyRevision>) {
        if let Some(key) = own.ledgered(&entry.key) {
            self.learn(&key, StandbyRevision::default());
        } else if entry.key == own.alone {
            self.alone = Expect::ModifiedAt(entry.modified);
            self.unnamed = self.accounted.may_be_foreign(entry.modified);
            self.wrote(entry.modified);
        }
    }

    fn learn(&mut self, key: &Key, at: StandbyRevision) {
        if self.known.len() < KNOWN_MAX {
            self.known.insert(xxh3_64(key.as_bytes()), at);
        } else {
            self.overflowed = true;
        }
    }

    /// Tells whether this surplus key is somebody else's; where that can't be told, yes.
    ///
    /// It is ours if we made it, or if we were the last to write it.
    pub(crate) fn is_foreign(&self, entry: &Entry<StandbyRevision>) -> bool {
        let unsure = |revision| self.accounted.may_be_foreign(revision);
        // An entry may be older than our write, if what told so was compacted before we saw it.
        let written_last = self.accounted.ours.contains(&entry.modified);
        !written_last
            && (self.holds(&entry.key) || (unsure(entry.created) && unsure(entry.modified)))
    }

    pub(crate) fn holds(&self, key: &Key) -> bool {
        self.overflowed || self.known.contains_key(&xxh3_64(key.as_bytes()))
    }

    /// Enters a key that was found to be somebody else's. What is accounted for does not depend on
    /// it: before the entry is written, it can be found again.
    pub(crate) fn enter(&mut self, own: &OwnKeys, key: &Key) {
        if self.overflowed || !self.holds(key) {
            self.learn(key, StandbyRevision::default());
            self.push_entry(own, key, self.accounted.through.next());
        }
    }

    /// Enters a key that somebody else was seen to make at `at`.
    fn enter_seen(&mut self, own: &OwnKeys, key: &Key, at: StandbyRevision) {
        let known = !self.overflowed && self.holds(key);
        self.learn(key, at);
        if !known {
            self.push_entry(own, key, at);
        }
    }

    fn push_entry(&mut self, own: &OwnKeys, key: &Key, at: StandbyRevision) {
        let value = Value::from(at.to_string().as_str());
        self.pending.push_back((at, Op::Put { key: own.ledger(key), value }));
    }

    /// At `at` the key was ours: the mirror wrote it then, or it was seen to be what the primary
    /// has. Whoever made it anew since keeps it.
    ///
    /// Only what has happened may be handed in. A write that is still on its way, or that its
    /// expectation left out, changes nothing of whose key it is. If it is never heard of that it
    /// happened, the standby's watch shows it: [`Ledger::account`].
    pub(crate) fn adopt(&mut self, own: &OwnKeys, key: &Key, at: StandbyRevision) {
        let hash = xxh3_64(key.as_bytes());
        let since = self.known.get(&hash).copied();
        if since.is_some_and(|since| since <= at) || (since.is_none() && self.overflowed) {
            self.known.remove(&hash);
            self.pending
                .push_back((self.accounted.through.next(), Op::Delete { key: own.ledger(key) }));
        }
    }

    /// A transaction of ours happened at `revision`.
    pub(crate) fn wrote(&mut self, revision: StandbyRevision) {
        let unseen = revision > self.accounted.through || self.is_in_gap(revision);
        if unseen && !self.accounted.ours.contains(&revision) {
            self.accounted.ours.push(revision);
        }
    }

    /// What [`OwnKeys::alone`] must look like while nobody else writes.
    pub(crate) fn alone(&self) -> Expect {
        self.alone
    }

    /// A transaction without a checkpoint, and with [`OwnKeys::alone`], happened.
    pub(crate) fn wrote_alone(&mut self, revision: StandbyRevision) {
        self.alone = Expect::ModifiedAt(revision);
        self.unnamed = true;
    }

    /// A checkpoint was written: it names what happened before it.
    pub(crate) fn named(&mut self) {
        self.unnamed = false;
    }

    /// Tells whether a checkpoint has to be written before a transaction may go without one.
    pub(crate) fn is_unnamed(&self) -> bool {
        self.unnamed
    }

    /// Nobody can say any more who wrote between what is accounted for and `head`.
    pub(crate) fn skip_to(&mut self, head: StandbyRevision) {
        let first = self.accounted.through.next();
        if head < first {
            return;
        }
        self.accounted.gaps.push((first, head));
        if self.accounted.gaps.len() > GAPS_MAX {
            join_nearest(&mut self.accounted.gaps);
        }
        self.accounted.through = head;
        // Our own transactions within the gap stay known: they take keys out of it.
    }

    fn is_in_gap(&self, revision: StandbyRevision) -> bool {
        self.accounted.gaps.iter().any(|(first, last)| (*first..=*last).contains(&revision))
    }

    /// Every key has been looked at: what is on both sides is ours, what is not is in the ledger
    /// or gone. Who wrote in the gaps matters no more.
    pub(crate) fn close_gaps(&mut self) {
        self.accounted.gaps.clear();
        self.forget_ours();
    }

    /// Forgets those of our transactions that need not be told apart from others' any more.
    fn forget_ours(&mut self) {
        let settled = self.settled();
        let mut ours = std::mem::take(&mut self.accounted.ours);
        ours.retain(|revision| *revision > settled || self.is_in_gap(*revision));
        self.accounted.ours = ours;
    }

    /// Up to where everything is accounted for and every entry that came of it is on its way.
    fn settled(&self) -> StandbyRevision {
        let pending = self.pending.front().map(|(at, _)| at.previous());
        pending.map_or(self.accounted.through, |at| at.min(self.accounted.through))
    }

    /// Takes in what happened on the standby; `admits` tells which keys are in scope.
    pub(crate) fn account(
        &mut self,
        own: &OwnKeys,
        batch: &Batch<StandbyRevision>,
        admits: impl Fn(&[u8]) -> bool,
        mut touched: impl FnMut(Touch<'_>),
    ) -> Foreign {
        let mut foreign = Foreign::default();
        for group in &batch.groups {
            if self.is_ours(own, &group.changes, group.revision) {
                group.changes.iter().for_each(|change| touched(Touch::Ours(change.key())));
                self.settle_ours(own, &group.changes);
                continue;
            }
            for change in group.changes.iter().filter(|change| admits(change.key().as_bytes())) {
                match change {
                    Change::Put(entry) => {
                        foreign.puts += 1;
                        // Also a key of which nobody knows who made it: whoever writes it owns it.
                        if entry.created == entry.modified || self.is_in_gap(entry.created) {
                            self.enter_seen(own, &entry.key, entry.modified);
                        } else if !self.holds(&entry.key) {
                            touched(Touch::Changed(&entry.key, entry.modified));
                        }
                    }
                    Change::Delete { key, modified } => {
                        foreign.deletes += 1;
                        if !self.overflowed && self.holds(key) {
                            self.known.remove(&xxh3_64(key.as_bytes()));
                            self.pending
                                .push_back((*modified, Op::Delete { key: own.ledger(key) }));
                        } else {
                            touched(Touch::Deleted(key));
                        }
                    }
                }
            }
        }
        self.accounted.through = self.accounted.through.max(batch.position);
        self.forget_ours();
        foreign
    }

    /// What we wrote is ours, also where somebody else's write before it was heard of only after
    /// ours was sent.
    fn settle_ours(&mut self, own: &OwnKeys, changes: &[Change<StandbyRevision>]) {
        for change in changes {
            let key = change.key();
            if self.known.remove(&xxh3_64(key.as_bytes())).is_some() {
                self.pending.push_back((change.modified(), Op::Delete { key: own.ledger(key) }));
            }
        }
    }

    /// Whatever we write moves a key of our own with it, or is remembered.
    fn is_ours(
        &self,
        own: &OwnKeys,
        changes: &[Change<StandbyRevision>],
        revision: StandbyRevision,
    ) -> bool {
        self.accounted.ours.contains(&revision)
            || changes
                .iter()
                .any(|change| [&own.checkpoint, &own.epoch, &own.alone].contains(&change.key()))
    }

    /// Tells whether entries wait to be written.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Takes entries to write along with the next transaction, as far as `room` bytes go.
    pub(crate) fn take_ops(&mut self, room: usize) -> Vec<Op> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        let mut keys = BTreeSet::new();
        while taken.len() < OPS_PER_TXN
            && let Some((_, op)) = self.pending.front()
        {
            // A transaction writes each key once; the rest waits for the next one.
            bytes += op_bytes(op) + 1;
            if bytes > room || !keys.insert(op.key().clone()) {
                break;
            }
            taken.extend(self.pending.pop_front().map(|(_, op)| op));
        }
        taken
    }

    /// Up to where the ledger is complete once the entries taken are written.
    pub(crate) fn accounted(&self) -> Accounted {
        Accounted { through: self.settled(), ..self.accounted.clone() }
    }

    /// The next revision of the standby to look at.
    pub(crate) fn next_revision(&self) -> StandbyRevision {
        self.accounted.through.next()
    }
}

/// Joins the two neighbours with the least between them.
fn join_nearest(gaps: &mut Vec<(StandbyRevision, StandbyRevision)>) {
    let between = |pair: &[(StandbyRevision, StandbyRevision)]| match pair {
        [before, after] => after.0.get() - before.1.get(),
        _ => i64::MAX,
    };
    let nearest = gaps.windows(2).enumerate().min_by_key(|(_, pair)| between(pair));
    let Some(at) = nearest.map(|(at, _)| at) else { return };
    let (_, last) = gaps.remove(at + 1);
    if let Some(joined) = gaps.get_mut(at) {
        joined.1 = last;
    }
}

#[cfg(test)]
mod tests {
    use etcd_mvcc::Group;

    use super::*;

    fn put(key: &Key, created: i64, modified: i64) -> Change<StandbyRevision> {
        Change::Put(Entry {
            key: key.clone(),
            value: Value::default(),
            created: StandbyRevision::new(created),
            modified: StandbyRevision::new(modified),
            version: 1,
            lease: 0,
        })
    }

    fn held(key: &Key, created: i64, modified: i64) -> Entry<StandbyRevision> {
        match put(key, created, modified) {
            Change::Put(entry) => entry,
            Change::Delete { .. } => unreachable!("a put is a put"),
        }
    }

    fn batch(revision: i64, changes: Vec<Change<StandbyRevision>>) -> Batch<StandbyRevision> {
        let revision = StandbyRevision::new(revision);
        Batch { groups: vec![Group { revision, changes }], position: revision }
    }

    #[test]
    fn what_moves_the_checkpoint_is_ours_and_the_rest_is_foreign() {
        let own = OwnKeys::new("m");
        let (ours, theirs) = (Key::from("/a"), Key::from("/b"));
        let mut ledger = Ledger::default();
        ledger.account(
            &own,
            &batch(5, vec![put(&own.checkpoint, 1, 5), put(&ours, 5, 5)]),
            |_| true,
            |_| {},
        );
        let foreign =
            ledger.account(&own, &batch(6, vec![put(&theirs, 6, 6)]), |key| key == b"/b", |_| {});
        assert_eq!((foreign.puts, foreign.deletes), (1, 0));
        assert!(!ledger.is_foreign(&held(&ours, 5, 5)));
        assert!(ledger.is_foreign(&held(&theirs, 6, 6)));
    }

    #[test]
    fn a_key_that_the_mirror_writes_becomes_ours() {
        let own = OwnKeys::new("m");
        let key = Key::from("/b");
        let mut ledger = Ledger::default();
        ledger.account(&own, &batch(6, vec![put(&key, 6, 6)]), |_| true, |_| {});
        ledger.adopt(&own, &key, StandbyRevision::new(7));
        assert!(!ledger.is_foreign(&held(&key, 6, 6)));
        assert_eq!(ledger.take_ops(usize::MAX).len(), 1, "one entry a transaction for one key");
        assert_eq!(ledger.take_ops(usize::MAX), vec![Op::Delete { key: own.ledger(&key) }]);
    }

    #[test]
    fn a_key_that_somebody_made_after_our_write_stays_theirs() {
        let own = OwnKeys::new("m");
        let key = Key::from("/b");
        let mut ledger = Ledger::default();
        ledger.account(&own, &batch(8, vec![put(&key, 8, 8)]), |_| true, |_| {});
        // The answer to what we wrote comes after the watch has shown what happened since.
        ledger.adopt(&own, &key, StandbyRevision::new(7));
        assert!(ledger.is_foreign(&held(&key, 8, 8)));
        ledger.adopt(&own, &key, StandbyRevision::new(9));
        assert!(!ledger.is_foreign(&held(&key, 8, 9)));
    }

    #[test]
    fn a_key_is_ours_also_if_the_write_before_ours_is_heard_of_late() {
        let own = OwnKeys::new("m");
        let key = Key::from("/b");
        let mut ledger = Ledger::default();
        // Our write is answered before the other's is heard of.
        ledger.adopt(&own, &key, StandbyRevision::new(7));
        ledger.account(&own, &batch(6, vec![put(&key, 6, 6)]), |_| true, |_| {});
        assert!(ledger.is_foreign(&held(&key, 6, 6)));
        let ours = vec![put(&own.checkpoint, 1, 7), put(&key, 6, 7)];
        ledger.account(&own, &batch(7, ours), |_| true, |_| {});
        assert!(!ledger.is_foreign(&held(&key, 6, 7)));
        assert_eq!(ledger.take_ops(usize::MAX).len(), 1);
        assert_eq!(ledger.take_ops(usize::MAX), vec![Op::Delete { key: own.ledger(&key) }]);
    }

    #[test]
    fn in_a_gap_only_our_own_transactions_are_known() {
        let mut ledger = Ledger::default();
        ledger.wrote(StandbyRevision::new(3));
        ledger.skip_to(StandbyRevision::new(9));
        let key = Key::from("/a");
        assert!(!ledger.is_foreign(&held(&key, 3, 3)));
        assert!(ledger.is_foreign(&held(&key, 4, 4)));
        assert!(!ledger.is_foreign(&held(&key, 0, 0)));
        assert!(!ledger.is_foreign(&held(&key, 4, 3)), "we were the last to write it");
        ledger.close_gaps();
        assert!(!ledger.is_foreign(&held(&key, 4, 4)), "all keys have been looked at since");
    }

    #[test]
    fn a_transaction_without_a_checkpoint_is_known_by_its_mark() {
        let own = OwnKeys::new("m");
        let key = Key::from("/a");
        let mut ledger = Ledger::default();
        // Heard of before it is answered.
        let ours = vec![put(&key, 6, 6), put(&own.alone, 3, 6)];
        let foreign = ledger.account(&own, &batch(6, ours), |key| key == b"/a", |_| {});
        assert_eq!(foreign.puts, 0);

        // Compacted before it was heard of.
        let mut ledger = Ledger::new(Accounted::default());
        ledger.skip_to(StandbyRevision::new(9));
        assert!(ledger.is_foreign(&held(&key, 6, 6)));
        ledger.load(&own, &held(&own.alone, 3, 6));
        assert!(!ledger.is_foreign(&held(&key, 6, 6)));
        assert!(ledger.is_unnamed());
        assert_eq!(ledger.accounted().ours, [StandbyRevision::new(6)]);
        assert!(!ledger.holds(&Key::default()));
    }

    #[test]
    fn of_many_gaps_the_nearest_are_joined_and_what_lies_between_others_stays_known() {
        let mut ledger = Ledger::default();
        for at in 0..=GAPS_MAX as i64 {
            // They lie further and further apart.
            ledger.accounted.through = StandbyRevision::new(at * at * 10 + 10);
            ledger.skip_to(StandbyRevision::new(at * at * 10 + 12));
        }
        assert_eq!(ledger.accounted.gaps.len(), GAPS_MAX);
        let foreign = |at| ledger.is_foreign(&held(&Key::from("/a"), at, at));
        assert!(foreign(11) && foreign(15) && foreign(21), "the first two are one");
        assert!(!foreign(30) && foreign(52) && !foreign(60));
    }

    #[test]
    fn an_entry_older_than_our_last_write_makes_nothing_foreign() {
        let own = OwnKeys::new("m");
        let key = Key::from("/b");
        let mut ledger = Ledger::default();
        ledger.account(&own, &batch(6, vec![put(&key, 6, 6)]), |_| true, |_| {});
        ledger.wrote(StandbyRevision::new(8));
        ledger.skip_to(StandbyRevision::new(9));
        assert!(ledger.is_foreign(&held(&key, 6, 6)));
        assert!(!ledger.is_foreign(&held(&key, 6, 8)));
    }

    #[test]
    fn our_own_transactions_stay_known_while_an_older_entry_waits() {
        let own = OwnKeys::new("m");
        let mut ledger = Ledger::default();
        ledger.account(&own, &batch(1, vec![put(&Key::from("/theirs"), 1, 1)]), |_| true, |_| {});
        ledger.wrote(StandbyRevision::new(2));
        ledger.account(&own, &batch(2, vec![put(&own.checkpoint, 1, 2)]), |_| true, |_| {});
        let accounted = ledger.accounted();
        assert_eq!(accounted.through, StandbyRevision::default());
        assert!(!accounted.may_be_foreign(StandbyRevision::new(2)), "{accounted:?}");
    }

    #[test]
    fn nothing_counts_as_accounted_before_its_entry_is_written() {
        let own = OwnKeys::new("m");
        let mut ledger = Ledger::default();
        for revision in 1..=(OPS_PER_TXN as i64 + 5) {
            let key = Key::from(format!("/{revision}"));
            ledger.account(
                &own,
                &batch(revision, vec![put(&key, revision, revision)]),
                |_| true,
                |_| {},
            );
        }
        assert_eq!(ledger.take_ops(usize::MAX).len(), OPS_PER_TXN);
        assert_eq!(ledger.accounted().through.get(), OPS_PER_TXN as i64);
    }
}
