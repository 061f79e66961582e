//! In which order a copy, a repair or a healing writes.
//!
//! A live standby collects an object at once if none of its owners is there, and goes on doing so
//! for a while after they have come. So owners go before their dependents, level by level; what
//! belongs to a level goes in the order in which it was made. What has no owner is written as it
//! streams by. What can't be read may have owners that nobody knows of, and goes when all that can
//! own it is there; definitions of custom resources go last, because the collector judges no kind
//! that it does not know.
//!
//! Of what waits, the key is kept and, within a limit, the value; the others are fetched again when
//! their turn comes.

mod deletions;
mod kin;
mod later;
mod levels;
mod outbox;

use std::collections::{BTreeSet, VecDeque};

use etcd_mvcc::{Entry, Expect, Key, Op, PrimaryRevision, Value, Write};
use keyspace_filter::{Scope, Turn};

pub(crate) use self::deletions::Deletions;
pub(crate) use self::kin::{Kin, Kinds};
pub(crate) use self::later::Orphan;
use self::later::{Known, Later, Rank, Released, release};
pub(crate) use self::outbox::Outbox;
use crate::settings::{TxnLimits, WriteOrder};

/// Keys that wait to be fetched before nothing more should be found: some 8 MiB of them.
const FETCHES_MAX: usize = 65_536;

/// Objects that wait for their turn; beyond, they are left to the next round. Some 200 bytes each.
const LATER_MAX: usize = 262_144;

/// Values of objects that wait, kept so that they need not be fetched again, in bytes.
const KEPT_BYTES: usize = 32 << 20;

/// Uids that are known by heart; beyond, no owner is said to be missing.
const UIDS_MAX: usize = 4_000_000;

/// Values are fetched in requests of at most so many keys.
const FETCH_KEYS: usize = 128;

/// Bytes of values that a fetch aims at.
const FETCH_BYTES: usize = 4 << 20;

/// A key to be written.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// As the primary spells it.
    pub(crate) primary_key: Key,
    /// As the standby spells it.
    pub(crate) standby_key: Key,
    /// What the standby must hold for it to be written.
    pub(crate) expect: Option<Expect>,
    /// The value, if it was kept.
    value: Option<Value>,
    /// Its turn has come; otherwise its value has to be seen to know when it does.
    judged: bool,
    /// It belongs into one transaction with the one before it.
    tied: bool,
}

impl Wanted {
    /// Tells whether the standby holds the key already, with another value.
    pub(crate) fn is_there(&self) -> bool {
        matches!(self.expect, Some(Expect::ModifiedAt(_)))
    }
}

/// What became of an object that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is among the next writes.
    Now,
    /// It waits for its turn.
    Later,
    /// There is no room for it.
    Left,
}

/// What is to be written, in order.
#[derive(Debug)]
pub(crate) struct Queue {
    /// Whether owners count; otherwise everything is written as it comes.
    by_owners: bool,
    /// What is sent next.
    pub(crate) outbox: Outbox,
    to_fetch: VecDeque<Wanted>,
    fetching: Vec<Wanted>,
    fetch_keys: usize,
    later: Vec<Later>,
    kept_bytes: usize,
    kinds: Kinds,
    /// The uids of objects that the standby holds as the primary does, or that are written before
    /// all that wait.
    settled: BTreeSet<u64>,
    unread: BTreeSet<Box<[u8]>>,
    /// Every object in scope is shown to the queue: an owner that it has not seen is not there.
    sees_all: bool,
    /// What there is no room for is written at once: nobody would hand it in again.
    leaves_nothing: bool,
    /// How many objects had to wait and have been given their turn.
    released: u64,
}

impl Queue {
    /// Makes an empty queue. `sees_all` says that every object in scope will be handed in, to be
    /// written or with [`Queue::settle`].
    pub(crate) fn new(order: WriteOrder, scope: &Scope, sees_all: bool) -> Self {
        Self {
            by_owners: order == WriteOrder::Owners && scope.is_kubernetes(),
            outbox: Outbox::default(),
            to_fetch: VecDeque::new(),
            fetching: Vec::new(),
            fetch_keys: 16,
            later: Vec::new(),
            kept_bytes: 0,
            kinds: Kinds::default(),
            settled: BTreeSet::new(),
            unread: BTreeSet::new(),
            sees_all,
            leaves_nothing: false,
            released: 0,
        }
    }

    /// Makes it write what there is no room for out of turn, instead of leaving it.
    pub(crate) fn that_leaves_nothing(self) -> Self {
        Self { leaves_nothing: true, ..self }
    }

    /// Tells whether every object in scope was seen.
    pub(crate) fn has_seen_all(&self) -> bool {
        self.by_owners && self.sees_all
    }

    /// Tells whether nothing more should be found before something is sent.
    pub(crate) fn is_full(&self, limits: &TxnLimits) -> bool {
        self.outbox.is_full(limits) || self.to_fetch.len() >= FETCHES_MAX
    }

    /// Tells whether everything that was handed in is in the outbox or was taken from it.
    pub(crate) fn is_spent(&self) -> bool {
        !self.fetches() && !self.waits()
    }

    /// Tells whether values have to be fetched.
    pub(crate) fn fetches(&self) -> bool {
        !self.to_fetch.is_empty() || !self.fetching.is_empty()
    }

    /// Tells whether objects wait for their turn.
    pub(crate) fn waits(&self) -> bool {
        !self.later.is_empty()
    }

    /// Tells whether objects wait for their turn, or have been given it and are not yet sent.
    pub(crate) fn is_out_of_order(&self) -> bool {
        !self.later.is_empty() || self.released > 0
    }

    /// How many objects had to wait and have been given their turn.
    pub(crate) fn released(&self) -> u64 {
        self.released
    }

    /// How many writes have their turn and are not yet taken.
    pub(crate) fn not_taken(&self) -> u64 {
        (self.to_fetch.len() + self.fetching.len() + self.outbox.len()) as u64
    }

    /// The first key that was handed in and is not yet taken.
    pub(crate) fn first(&self) -> Option<&Key> {
        self.outbox
            .first()
            .or_else(|| self.fetching.first().map(|wanted| &wanted.standby_key))
            .or_else(|| self.to_fetch.front().map(|wanted| &wanted.standby_key))
    }

    /// From here on every object in scope is handed in, whatever was before.
    pub(crate) fn sees_all_from_here(&mut self, sees_all: bool) {
        self.sees_all = sees_all;
    }

    /// Notes an object that the standby holds as the primary does.
    pub(crate) fn settle(&mut self, entry: &Entry<PrimaryRevision>) {
        if self.by_owners
            && let Some(uid) = kin::uid(&entry.value)
        {
            self.note(uid);
        }
    }

    fn note(&mut self, uid: u64) {
        if self.settled.len() < UIDS_MAX {
            self.settled.insert(uid);
        } else {
            self.sees_all = false;
        }
    }

    /// Hands in an object that has to be written, with its value and the key spelt for the standby.
    pub(crate) fn put(
        &mut self,
        scope: &Scope,
        primary_key: Key,
        entry: Entry<PrimaryRevision>,
        expect: Option<Expect>,
    ) -> Taken {
        let Entry { key, value, created, .. } = entry;
        if !self.by_owners {
            self.outbox.push(Write { op: Op::Put { key, value }, expect });
            return Taken::Now;
        }
        let kin = Kin::read(&value, &mut self.kinds);
        let rank = match scope.turn(key.as_bytes()) {
            Turn::Last => Rank::Last,
            Turn::First | Turn::Usual if !kin.readable => Rank::Unread,
            Turn::First | Turn::Usual => Rank::Owned,
        };
        let waits = rank != Rank::Owned
            || kin.owners.iter().any(|owner| !self.settled.contains(&owner.uid));
        if !waits {
            kin.uid.into_iter().for_each(|uid| self.note(uid));
            self.outbox.push(Write { op: Op::Put { key, value }, expect });
            return Taken::Now;
        }
        if self.later.len() >= LATER_MAX {
            // Whoever is owned by it would be taken for an orphan.
            self.sees_all = false;
            if !self.leaves_nothing {
                return Taken::Left;
            }
            self.outbox.push(Write { op: Op::Put { key, value }, expect });
            return Taken::Now;
        }
        if !kin.readable
            && let Some(resource) = scope.resource_of(key.as_bytes())
        {
            self.unread.insert(resource.as_ref().into());
        }
        let kept = self.kept_bytes + value.len() <= KEPT_BYTES;
        self.kept_bytes += if kept { value.len() } else { 0 };
        let value = kept.then_some(value);
        let wanted =
            Wanted { primary_key, standby_key: key, expect, value, judged: true, tied: false };
        self.later.push(Later { wanted, uid: kin.uid, owners: kin.owners, created, rank });
        Taken::Later
    }

    /// Hands in a key whose value has to be fetched to know when its turn comes.
    pub(crate) fn want(&mut self, primary_key: Key, standby_key: Key, expect: Option<Expect>) {
        let value = None;
        let wanted = Wanted { primary_key, standby_key, expect, value, judged: false, tied: false };
        self.to_fetch.push_back(wanted);
    }

    /// Gives those that wait their turn, if nothing else is to come before them; returns those that
    /// will have no owner on the standby and are not written, and whether others were left out:
    /// unless everything was compared at one revision (`pinned`), an owner that was not seen may be
    /// newer than what was.
    pub(crate) fn release(&mut self, pinned: bool) -> (Vec<Orphan>, bool) {
        if self.later.is_empty() || !self.to_fetch.is_empty() || !self.fetching.is_empty() {
            return (Vec::new(), false);
        }
        let later = std::mem::take(&mut self.later);
        let known = Known {
            settled: &self.settled,
            all: self.sees_all && pinned,
            pinned,
            unread: &self.unread,
        };
        let Released { wanted, orphans, left } = release(later, &known);
        self.released += wanted.len() as u64;
        self.to_fetch = wanted.into();
        (orphans, left)
    }

    /// Forgets the first `count` of those that were given their turn: they were written before.
    pub(crate) fn skip_released(&mut self, count: u64) {
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(self.to_fetch.len());
        self.to_fetch.drain(..count);
    }

    /// Moves what is known already into the outbox, and returns the keys to fetch next, if there
    /// are any: to be answered with [`Queue::fetched`] or [`Queue::fetch_failed`].
    pub(crate) fn next_fetch(&mut self, limits: &TxnLimits) -> Option<Vec<Key>> {
        if !self.fetching.is_empty() {
            return None;
        }
        while !self.outbox.is_full(limits)
            && let Some(Wanted { value: Some(_), .. }) = self.to_fetch.front()
        {
            let Some(Wanted { standby_key, expect, value: Some(value), tied, .. }) =
                self.to_fetch.pop_front()
            else {
                break;
            };
            self.kept_bytes = self.kept_bytes.saturating_sub(value.len());
            kin::uid(&value).into_iter().for_each(|uid| self.note(uid));
            self.send(standby_key, value, expect, tied);
        }
        if self.outbox.is_full(limits) || self.outbox.bytes() >= limits.bytes * 2 {
            return None;
        }
        let unknown = |wanted: &&Wanted| wanted.value.is_none();
        let take = self.to_fetch.iter().take(self.fetch_keys).take_while(unknown).count();
        if take == 0 {
            return None;
        }
        self.fetching = self.to_fetch.drain(..take).collect();
        Some(self.fetching.iter().map(|wanted| wanted.primary_key.clone()).collect())
    }

    fn send(&mut self, key: Key, value: Value, expect: Option<Expect>, tied: bool) {
        let write = Write { op: Op::Put { key, value }, expect };
        if tied {
            self.outbox.push_tied(write);
        } else {
            self.outbox.push(write);
        }
    }

    /// Takes in the values that were fetched, those that `take` agrees to. A key that is gone is
    /// dropped, and so is, unless they were read at the revision that was compared (`pinned`), one
    /// with an owner that may be newer than that. `false` if some were left out.
    pub(crate) fn fetched(
        &mut self,
        scope: &Scope,
        entries: Vec<Option<Entry<PrimaryRevision>>>,
        pinned: bool,
        mut take: impl FnMut(&Wanted, &Entry<PrimaryRevision>) -> bool,
    ) -> bool {
        let wanted = std::mem::take(&mut self.fetching);
        let bytes: usize = entries.iter().flatten().map(|entry| entry.value.len()).sum();
        let mean = (bytes / entries.len().max(1)).max(1);
        self.fetch_keys = (FETCH_BYTES / mean).clamp(1, FETCH_KEYS);
        let mut room = true;
        for (wanted, entry) in wanted.into_iter().zip(entries) {
            let Some(entry) = entry else { continue };
            if !take(&wanted, &entry) {
                continue;
            }
            let Wanted { primary_key, standby_key, expect, judged, tied, .. } = wanted;
            if self.by_owners && (judged || !pinned) {
                let kin = Kin::read(&entry.value, &mut self.kinds);
                if !pinned && kin.owners.iter().any(|owner| !self.settled.contains(&owner.uid)) {
                    room = false;
                    continue;
                }
                kin.uid.into_iter().for_each(|uid| self.note(uid));
            }
            if judged {
                self.send(standby_key, entry.value, expect, tied);
                continue;
            }
            let entry = Entry { key: standby_key, ..entry };
            room &= self.put(scope, primary_key, entry, expect) != Taken::Left;
        }
        room
    }

    /// What was being fetched has to be fetched again.
    pub(crate) fn fetch_failed(&mut self) {
        for wanted in std::mem::take(&mut self.fetching).into_iter().rev() {
            self.to_fetch.push_front(wanted);
        }
    }
}
