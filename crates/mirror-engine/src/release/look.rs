//! What is to be done with some parked objects, by what the standby holds at the moment.

use std::collections::BTreeSet;

use etcd_mvcc::{CommitTxn, Entry, Expect, Key, Op, ReadRange, StandbyRevision, Value};

use super::{InTheWay, Releasing};
use crate::orders::OrderError;
use crate::planner::{Parked, uid_of};

/// One object to be moved.
#[derive(Debug)]
pub(super) struct Move {
    parked: Key,
    parked_at: StandbyRevision,
    pub(super) own_place: Key,
    pub(super) own_expect: Expect,
    /// `None` if it is in its own place already.
    pub(super) value: Option<Value>,
}

impl Move {
    /// What must be as it was looked at.
    pub(super) fn expects(&self) -> [(Key, Expect); 2] {
        let parked = (self.parked.clone(), Expect::ModifiedAt(self.parked_at));
        [parked, (self.own_place.clone(), self.own_expect)]
    }

    /// The writes of it.
    pub(super) fn ops(&self) -> impl Iterator<Item = Op> {
        let put = self.value.clone().map(|value| Op::Put { key: self.own_place.clone(), value });
        put.into_iter().chain([Op::Delete { key: self.parked.clone() }])
    }
}

/// What is to be done with some objects.
#[derive(Debug, Default)]
pub(super) struct Looked {
    pub(super) moves: Vec<Move>,
    /// Own places that hold something else.
    pub(super) in_the_way: Vec<Key>,
    /// Own places of what stays because its owners do.
    pub(super) ownerless: Vec<Key>,
    /// The hashes of the uids of what stays.
    pub(super) staying: BTreeSet<u64>,
}

impl<S> Releasing<'_, S>
where
    S: ReadRange<Revision = StandbyRevision> + CommitTxn,
{
    /// Looks at the objects, parked and in their own place.
    pub(super) async fn look(&self, objects: &[Parked]) -> Result<Looked, OrderError> {
        let places = objects.iter().flat_map(|object| [&object.key, &object.own_place]);
        let places: Vec<Key> = places.cloned().collect();
        let held = self.standby.read_keys(&places, None).await.map_err(OrderError::Standby)?;
        let mut held = held.into_iter();
        let mut looked = Looked::default();
        for object in objects {
            let (parked, own) = (held.next().flatten(), held.next().flatten());
            // Else somebody has moved it meanwhile.
            if let Some(parked) = parked {
                self.judge(object, parked, own, &mut looked);
            }
        }
        Ok(looked)
    }

    fn judge(
        &self,
        object: &Parked,
        parked: Entry<StandbyRevision>,
        own: Option<Entry<StandbyRevision>>,
        looked: &mut Looked,
    ) {
        let stays = |uid: &u64| self.staying.contains(uid) || looked.staying.contains(uid);
        if !object.owners.is_empty() && object.owners.iter().all(stays) {
            looked.ownerless.push(object.own_place.clone());
            looked.staying.extend(object.uid);
            return;
        }
        let is_there = own.as_ref().is_some_and(|own| own.value == parked.value);
        if let Some(own) = own.as_ref().filter(|_| !is_there) {
            looked.in_the_way.push(object.own_place.clone());
            if self.in_the_way != InTheWay::Overwrite {
                // The same object, changed, owns what the parked one does.
                let same = object.uid.is_some() && uid_of(&own.value) == object.uid;
                looked.staying.extend(object.uid.filter(|_| !same));
                return;
            }
        }
        looked.moves.push(Move {
            parked: object.key.clone(),
            parked_at: parked.modified,
            own_place: object.own_place.clone(),
            own_expect: own.map_or(Expect::Absent, |own| Expect::ModifiedAt(own.modified)),
            value: (!is_there).then_some(parked.value),
        });
    }
}
