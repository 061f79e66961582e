//! Who owns whom, as far as the collector has heard, and what it has yet to look at.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use kube_meta::Meta;

/// Owners that are kept in mind as absent.
const ABSENT_MAX: usize = 500;

/// An owner as somebody refers to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reference {
    pub(super) uid: String,
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    /// The namespace of who refers to it, which is its own if it has one; empty otherwise.
    pub(super) namespace: String,
}

impl Reference {
    /// The owners of an object.
    pub(super) fn all<'m>(meta: &'m Meta<'_>) -> impl Iterator<Item = Self> + 'm {
        meta.owners().map(|owner| Self {
            uid: owner.uid.to_owned(),
            api_version: owner.api_version.to_owned(),
            kind: owner.kind.to_owned(),
            name: owner.name.to_owned(),
            namespace: meta.namespace().unwrap_or_default().to_owned(),
        })
    }

    /// An object as it would be referred to if everybody was right.
    fn to(meta: &Meta<'_>) -> Self {
        Self {
            uid: meta.uid().unwrap_or_default().to_owned(),
            api_version: meta.api_version().unwrap_or_default().to_owned(),
            kind: meta.kind().unwrap_or_default().to_owned(),
            name: meta.name().unwrap_or_default().to_owned(),
            namespace: meta.namespace().unwrap_or_default().to_owned(),
        }
    }

    /// What the cache of the absent knows it by: not by the namespace, which for an owner without
    /// one is only that of who refers to it. The uid tells them apart well enough.
    fn cached(&self) -> Self {
        Self { namespace: String::new(), ..self.clone() }
    }
}

/// What has to be looked at.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// An owner that somebody refers to and that was not heard of.
    Owner(Reference),
    /// An object, by its uid, that may have no owner.
    Object(String),
}

#[derive(Debug)]
struct Node {
    key: Vec<u8>,
    identity: Reference,
    owners: BTreeSet<Reference>,
}

/// All that was heard of.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: BTreeMap<String, Node>,
    keys: BTreeMap<Vec<u8>, String>,
    dependents: BTreeMap<String, BTreeSet<String>>,
    queue: VecDeque<Item>,
    /// Owners that were found absent, the one that was asked for last at the end.
    absent: VecDeque<Reference>,
    /// Objects with an owner of a kind that is not served.
    unjudged: BTreeSet<String>,
}

impl Graph {
    /// An object was put. Another one that held the key before stays known: a put over it is a
    /// modification to whoever watches, and its end goes unnoticed.
    pub(super) fn put(&mut self, key: &[u8], meta: &Meta<'_>) {
        let Some(uid) = meta.uid().map(str::to_owned) else { return };
        let owners: BTreeSet<Reference> = Reference::all(meta).collect();
        let before = self.nodes.get(&uid).map(|node| node.owners.clone()).unwrap_or_default();
        for gone in before.difference(&owners) {
            if let Some(dependents) = self.dependents.get_mut(&gone.uid) {
                dependents.remove(&uid);
            }
        }
        for new in owners.difference(&before) {
            self.dependents.entry(new.uid.clone()).or_default().insert(uid.clone());
            match self.nodes.get(&new.uid) {
                None => self.queue.push_back(Item::Owner(new.clone())),
                // It is there, but not as it is referred to: that has to be looked into.
                Some(owner) if owner.identity.cached() != new.cached() => {
                    self.queue.push_back(Item::Object(uid.clone()));
                }
                Some(_) => {}
            }
        }
        self.keys.insert(key.to_vec(), uid.clone());
        let node = Node { key: key.to_vec(), identity: Reference::to(meta), owners };
        self.nodes.insert(uid, node);
    }

    /// What a key held is gone, and everybody that it owned has to be looked at.
    pub(super) fn delete(&mut self, key: &[u8]) {
        let Some(uid) = self.keys.remove(key) else { return };
        let identity = self.nodes.get(&uid).map(|node| node.identity.clone());
        self.forget(&uid);
        if let Some(identity) = identity.filter(|_| self.has_dependents(&uid)) {
            self.is_absent(&identity);
        }
    }

    /// An object is not where it was.
    pub(super) fn forget(&mut self, uid: &str) {
        let Some(node) = self.nodes.remove(uid) else { return };
        for owner in &node.owners {
            if let Some(dependents) = self.dependents.get_mut(&owner.uid) {
                dependents.remove(uid);
            }
        }
    }

    fn has_dependents(&self, uid: &str) -> bool {
        self.dependents.get(uid).is_some_and(|dependents| !dependents.is_empty())
    }

    /// An owner was found absent: everybody that it owns has to be looked at.
    pub(super) fn is_absent(&mut self, owner: &Reference) {
        self.remember_absent(owner);
        let owned = self.dependents.get(&owner.uid).into_iter().flatten();
        self.queue.extend(owned.cloned().map(Item::Object));
    }

    /// Keeps in mind that an owner was found absent.
    pub(super) fn remember_absent(&mut self, owner: &Reference) {
        if !self.is_known_absent(owner) {
            self.absent.push_back(owner.cached());
        }
        while self.absent.len() > ABSENT_MAX {
            self.absent.pop_front();
        }
    }

    /// Tells whether an owner was found absent, some time ago.
    pub(super) fn is_known_absent(&mut self, owner: &Reference) -> bool {
        let owner = owner.cached();
        let Some(place) = self.absent.iter().position(|absent| *absent == owner) else {
            return false;
        };
        self.absent.remove(place);
        self.absent.push_back(owner);
        true
    }

    /// Tells whether an object was heard of.
    pub(super) fn has(&self, uid: &str) -> bool {
        self.nodes.contains_key(uid)
    }

    /// Where an object is.
    pub(super) fn key(&self, uid: &str) -> Option<&Vec<u8>> {
        self.nodes.get(uid).map(|node| &node.key)
    }

    /// An object can't be judged before some kind is served.
    pub(super) fn wait_for_a_kind(&mut self, uid: &str) {
        self.unjudged.insert(uid.to_owned());
    }

    /// A kind is served from now on.
    pub(super) fn a_kind_came(&mut self) {
        let unjudged = std::mem::take(&mut self.unjudged);
        self.queue.extend(unjudged.into_iter().map(Item::Object));
    }

    /// An object has to be looked at once more.
    pub(super) fn again(&mut self, uid: &str) {
        self.queue.push_back(Item::Object(uid.to_owned()));
    }

    /// What to look at next.
    pub(super) fn next(&mut self) -> Option<Item> {
        self.queue.pop_front()
    }
}
