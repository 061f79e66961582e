//! The release: once the standby is promoted, what is parked there goes to its own place.
//!
//! Owners go before their dependents. Each object is moved in a transaction that writes it in its own
//! place and removes the parked copy, both as they were looked at, and under the fence: whoever takes
//! the promotion back ends the release. So it can be interrupted anywhere, and going on is doing it
//! again: what was moved is parked no longer.

mod look;

use std::collections::{BTreeSet, VecDeque};

use etcd_mvcc::{
    Commit, CommitTxn, FailureClass, Guard, Key, Op, ReadRange, StandbyRevision, Txn, Walk,
    WalkLimits, Write,
};
use keyspace_filter::Scope;

use self::look::{Looked, Move};
use crate::orders::OrderError;
use crate::own_keys::OwnKeys;
use crate::planner::{Kinds, Parked, release_order};
use crate::promotion::Seen;

/// Objects that one transaction moves at most: etcd bounds its compares, of which each needs two.
const MOVES_MAX: usize = 60;

/// Bytes of values that one transaction moves at most, unless one alone is larger.
const MOVED_BYTES: usize = 512 << 10;

/// Somebody may write an own place while it is looked at; ten times in a row is not to be expected.
const ATTEMPTS: usize = 10;

/// Keys that a report names, of each kind.
const SHOWN: usize = 1_000;

/// What becomes of a parked object if the standby has another in its own place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InTheWay {
    /// The parked one takes its place.
    Overwrite,
    /// The standby's stays. The parked one stays parked, and so does what would have no owner
    /// without it.
    Keep,
    /// Nothing is moved at all: the report says what would be, and what is in the way.
    Report,
}

/// What a release did; with [`InTheWay::Report`], what it would do if nothing were overwritten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Released {
    /// Objects that were moved to their own place.
    pub moved: u64,
    /// Objects that were in their own place already, as they were parked: the copy is removed.
    pub there: u64,
    /// Objects of the standby's that were in the way of others.
    pub in_the_way: u64,
    /// Their keys, at most a thousand.
    pub in_the_way_shown: Vec<Key>,
    /// Objects that stay parked, because none of their owners is released: the standby would collect
    /// them.
    pub ownerless: u64,
    /// Their own places, at most a thousand.
    pub ownerless_shown: Vec<Key>,
    /// Keys among the parked ones that no rule holds: they are left where they are.
    pub strays: u64,
}

/// Moves what the mirror called `name` has parked to its own place, owners before their dependents.
/// `scope` is that of the mirror. Calling it again goes on with what is left.
///
/// `standby` must admit the own places of what is held, beside what the mirror writes.
///
/// # Errors
///
/// [`OrderError::NotPromoted`] if the fence does not stand, also if it is taken back meanwhile;
/// [`OrderError::Contended`] if somebody else keeps writing what is moved; else the standby did not
/// answer, or its records can't be understood. What was moved before stays moved.
///
/// # Cancel safety
///
/// A dropped call may still move a few objects; nothing is lost.
pub async fn release_parked<S>(
    standby: &S,
    scope: &Scope,
    name: &str,
    in_the_way: InTheWay,
) -> Result<Released, OrderError>
where
    S: ReadRange<Revision = StandbyRevision> + CommitTxn,
{
    let mut releasing = Releasing {
        standby,
        scope,
        own: OwnKeys::new(name),
        in_the_way,
        fence: Guard::default(),
        staying: BTreeSet::new(),
        released: Released::default(),
    };
    releasing.hold_to_the_fence().await?;
    let parked = releasing.find().await?;
    for objects in in_portions(release_order(parked)) {
        releasing.portion(objects).await?;
    }
    Ok(releasing.released)
}

struct Releasing<'a, S> {
    standby: &'a S,
    scope: &'a Scope,
    own: OwnKeys,
    in_the_way: InTheWay,
    fence: Guard,
    /// The hashes of the uids of parked objects that stay parked.
    staying: BTreeSet<u64>,
    released: Released,
}

/// What came of an attempt to move.
enum Attempt {
    Done,
    /// Something was written since it was looked at.
    Refused,
    /// The request is too large.
    TooLarge,
}

impl<S> Releasing<'_, S>
where
    S: ReadRange<Revision = StandbyRevision> + CommitTxn,
{
    /// Takes the fence that stands for what every move depends on.
    async fn hold_to_the_fence(&mut self) -> Result<(), OrderError> {
        let seen = Seen::read(self.standby, &self.own).await?;
        if seen.fence()?.is_none() {
            return Err(OrderError::NotPromoted);
        }
        self.fence = seen.guard(&self.own);
        Ok(())
    }

    /// Finds what is parked: some 300 bytes are kept of each object.
    async fn find(&mut self) -> Result<Vec<Parked>, OrderError> {
        let Some(range) = self.scope.parked_range() else { return Ok(Vec::new()) };
        let (mut parked, mut kinds) = (Vec::new(), Kinds::default());
        let mut walk = Walk::new(&[range], WalkLimits::default(), false);
        // Nothing of a mirror's lands any more, and each move looks again.
        while let Some(page) =
            walk.next_page(self.standby, None).await.map_err(OrderError::Standby)?
        {
            for entry in &page.entries {
                match Parked::new(self.scope, &mut kinds, entry) {
                    Some(object) => parked.push(object),
                    None => self.released.strays += 1,
                }
            }
        }
        Ok(parked)
    }

    /// Moves some objects, in as many transactions as they need.
    async fn portion(&mut self, objects: Vec<Parked>) -> Result<(), OrderError> {
        let mut waiting = VecDeque::from([objects]);
        let mut refused = 0;
        while let Some(mut objects) = waiting.pop_front() {
            let looked = self.look(&objects).await?;
            match self.attempt(&looked).await? {
                Attempt::Done => self.note(looked),
                Attempt::Refused => {
                    refused += 1;
                    if refused == ATTEMPTS {
                        return Err(OrderError::Contended);
                    }
                    self.hold_to_the_fence().await?;
                    waiting.push_front(objects);
                }
                Attempt::TooLarge if objects.len() > 1 => {
                    let second = objects.split_off(objects.len() / 2);
                    waiting.push_front(second);
                    waiting.push_front(objects);
                }
                Attempt::TooLarge => {
                    refused += 1;
                    if refused == ATTEMPTS {
                        return Err(OrderError::Contended);
                    }
                    self.put_alone(looked).await?;
                    // Looked at again, it is in its own place, and the copy is removed.
                    waiting.push_front(objects);
                }
            }
        }
        Ok(())
    }

    async fn attempt(&self, looked: &Looked) -> Result<Attempt, OrderError> {
        if looked.moves.is_empty() || self.in_the_way == InTheWay::Report {
            return Ok(Attempt::Done);
        }
        let mut guard = self.fence.clone();
        guard.0.extend(looked.moves.iter().flat_map(Move::expects));
        let writes = looked.moves.iter().flat_map(Move::ops).map(Write::from).collect();
        match self.standby.commit(Txn { guard, writes, own: Vec::new() }).await {
            Ok(Commit::Done(_)) => Ok(Attempt::Done),
            Ok(Commit::Refused) => Ok(Attempt::Refused),
            Err(failure) if failure.class == FailureClass::TooLarge => Ok(Attempt::TooLarge),
            Err(failure) => Err(OrderError::Standby(failure)),
        }
    }

    /// Writes a value that fills a request in its own place, and leaves the copy: the next look finds
    /// it there.
    async fn put_alone(&self, looked: Looked) -> Result<(), OrderError> {
        for Move { own_place, own_expect, value, .. } in looked.moves {
            let Some(value) = value else { continue };
            let op = Op::Put { key: own_place, value };
            let writes = vec![Write { op, expect: Some(own_expect) }];
            let txn = Txn { guard: self.fence.clone(), writes, own: Vec::new() };
            self.standby.commit(txn).await.map_err(OrderError::Standby)?;
        }
        Ok(())
    }

    /// What was looked at is done.
    fn note(&mut self, looked: Looked) {
        let released = &mut self.released;
        for moved in &looked.moves {
            if moved.value.is_some() {
                released.moved += 1;
            } else {
                released.there += 1;
            }
        }
        let name = |shown: &mut Vec<Key>, keys: Vec<Key>| {
            let room = SHOWN.saturating_sub(shown.len());
            shown.extend(keys.into_iter().take(room));
        };
        released.in_the_way += looked.in_the_way.len() as u64;
        released.ownerless += looked.ownerless.len() as u64;
        name(&mut released.in_the_way_shown, looked.in_the_way);
        name(&mut released.ownerless_shown, looked.ownerless);
        self.staying.extend(looked.staying);
    }
}

/// Cuts what is in order into portions of one transaction each. What belongs together stays so, if
/// it fits.
fn in_portions(groups: Vec<Vec<Parked>>) -> Vec<Vec<Parked>> {
    let mut portions: Vec<Vec<Parked>> = Vec::new();
    let (mut open, mut bytes) = (Vec::new(), 0);
    for mut group in groups {
        let more: usize = group.iter().map(|object| object.bytes).sum();
        let full = open.len() + group.len() > MOVES_MAX || bytes + more > MOVED_BYTES;
        if full && !open.is_empty() {
            portions.push(std::mem::take(&mut open));
            bytes = 0;
        }
        while group.len() > MOVES_MAX {
            let rest = group.split_off(MOVES_MAX);
            portions.push(std::mem::replace(&mut group, rest));
        }
        bytes += more;
        open.extend(group);
    }
    portions.push(open);
    portions.retain(|portion| !portion.is_empty());
    portions
}
