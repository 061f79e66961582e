//! What controllers and people do to the objects of a cluster, at random: owners come before what
//! they own or adopt it later, and go after it.

use std::collections::BTreeSet;

use end_to_end::Dice;
use etcd_client::Client;

use crate::objects::{CONFIG_MAP, DEPLOYMENT, Object, PART, PLANT, SECRET};

/// The objects of a primary, and the dice that change them.
pub(crate) struct Changes {
    client: Client,
    dice: Dice,
    live: Vec<Object>,
    /// How many changes were written.
    pub(crate) written: usize,
    /// The uids of all objects that there ever were.
    pub(crate) uids: BTreeSet<String>,
}

impl Changes {
    pub(crate) fn new(client: Client, dice: Dice) -> Self {
        Self { client, dice, live: Vec::new(), written: 0, uids: BTreeSet::new() }
    }

    /// Writes at least so many changes, a revision each.
    pub(crate) async fn write(&mut self, count: usize) {
        let end = self.written + count;
        while self.written < end {
            match self.dice.below(10) {
                0..=4 => self.create().await,
                5..=6 => self.update().await,
                7 => self.adopt().await,
                8 if self.dice.chance(30) => self.abandon().await,
                8 => self.create().await,
                _ => self.delete().await,
            }
        }
    }

    async fn put(&mut self, object: &Object) {
        self.client.put(object.key(), object.value(), None).await.unwrap();
        self.uids.insert(object.uid.clone());
        self.written += 1;
    }

    fn fresh(&mut self) -> Object {
        // Few names: a key that was deleted is soon used again, by an object with another uid.
        let name = format!("{:02}", self.dice.below(60));
        let uid = format!("uid-random-{:x}", self.dice.next());
        let namespace = ["team-a", "team-b"][usize::from(self.dice.chance(50))];
        let object = match self.dice.below(5) {
            0 => Object::new(CONFIG_MAP, namespace, &name),
            1 => Object::new(DEPLOYMENT, namespace, &name),
            2 => Object::new(SECRET, namespace, &name),
            3 => Object::new(PART, namespace, &name),
            _ => Object::global(PLANT, &name),
        };
        object.with_uid(&uid)
    }

    fn is_taken(&self, object: &Object) -> bool {
        self.live.iter().any(|other| other.key() == object.key())
    }

    fn pick(&mut self) -> Option<usize> {
        let count = self.live.len() as u64;
        (count > 0).then(|| usize::try_from(self.dice.below(count)).unwrap())
    }

    /// Tells whether one may own the other: an owner is in the same namespace or in none.
    fn may_own(owner: &Object, object: &Object) -> bool {
        owner.uid != object.uid
            && (owner.namespace.is_none() || owner.namespace == object.namespace)
    }

    async fn create(&mut self) {
        let mut object = self.fresh();
        if self.is_taken(&object) {
            return;
        }
        for _ in 0..self.dice.below(5) {
            let Some(at) = self.pick() else { break };
            let owner = &self.live[at];
            let named = object.owners.iter().any(|named| named["uid"] == owner.uid.as_str());
            if Self::may_own(owner, &object) && !named {
                object = object.owned_by(owner);
            }
        }
        self.put(&object).await;
        self.live.push(object);
    }

    async fn update(&mut self) {
        let Some(at) = self.pick() else { return };
        self.live[at].data = format!("{}", self.dice.next());
        let object = self.live[at].clone();
        self.put(&object).await;
    }

    /// Makes an owner for an object that is there already.
    async fn adopt(&mut self) {
        let (owner, Some(at)) = (self.fresh(), self.pick()) else { return };
        if self.is_taken(&owner) || !Self::may_own(&owner, &self.live[at]) {
            return;
        }
        self.put(&owner).await;
        let adopted = self.live[at].clone().owned_by(&owner);
        self.put(&adopted).await;
        self.live[at] = adopted;
        self.live.push(owner);
    }

    /// Lets an object go: it has no owner from then on.
    async fn abandon(&mut self) {
        let Some(at) = self.pick() else { return };
        self.live[at].owners.clear();
        let object = self.live[at].clone();
        self.put(&object).await;
    }

    /// Deletes an object and all that names it, the last of the line first.
    async fn delete(&mut self) {
        let Some(at) = self.pick() else { return };
        let mut line = vec![self.live[at].clone()];
        let mut next = 0;
        while let Some(owner) = line.get(next).cloned() {
            let known: Vec<String> = line.iter().map(|known| known.uid.clone()).collect();
            let owned = self.live.iter().filter(|object| is_owned(object, &owner));
            line.extend(owned.filter(|object| !known.contains(&object.uid)).cloned());
            next += 1;
        }
        while !line.is_empty() {
            let owns_nobody = |one: &Object| !line.iter().any(|object| is_owned(object, one));
            let last = line.iter().position(owns_nobody).expect("nobody owns himself");
            let object = line.swap_remove(last);
            self.client.delete(object.key(), None).await.unwrap();
            self.written += 1;
            self.live.retain(|other| other.uid != object.uid);
        }
    }
}

fn is_owned(object: &Object, owner: &Object) -> bool {
    object.owners.iter().any(|named| named["uid"] == owner.uid.as_str())
}
