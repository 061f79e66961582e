//! What a watch is sent, put together to whole revisions.

use std::collections::BTreeSet;

use etcd_client::Error;
use etcd_client::proto::{PbEvent, PbWatchResponse};
use etcd_mvcc::{Batch, Change, Entry, Group, Key, Revision, Value};
use tonic::Status;

/// Collects events until their revisions are whole.
///
/// What etcd guarantees, and what is made of it:
///
/// - One answer holds whole revisions, unless it is marked as a fragment; then more follows. So a
///   revision is whole once a later one has begun or an answer without the mark has come.
/// - The header of an answer with events carries the store's newest revision, not that of the last
///   event: a watch that catches up may have a long way to go. It is no position.
/// - An answer without events is a progress notification. etcd sends it only to a watch that has
///   caught up, so its header is a position. (One that was asked for is not, before 3.4.25 and
///   3.5.8; none is asked for.)
/// - Older servers repeat events, and send progress below the start. Both are dropped.
#[derive(Debug)]
pub(crate) struct Assembler<R> {
    /// The first revision to tell of.
    from: R,
    /// Everything up to here has been told.
    position: R,
    /// Whole revisions, and last one that may not be whole.
    held: Vec<Group<R>>,
}

impl<R: Revision> Assembler<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from, position: from.previous(), held: Vec::new() }
    }

    /// Takes an answer; returns what has become whole by it, if there is anything to tell.
    ///
    /// # Errors
    ///
    /// The watch is over, or was never what it seemed.
    pub(crate) fn accept(&mut self, answer: PbWatchResponse) -> Result<Option<Batch<R>>, Error> {
        if answer.canceled {
            return Err(cancelled(&answer).into());
        }
        if answer.created {
            return Ok(None);
        }
        let newest = answer.header.as_ref().map_or(0, |header| header.revision);
        if answer.events.is_empty() {
            return Ok(self.progress(R::new(newest)));
        }
        for event in answer.events {
            self.take(event)?;
        }
        Ok(self.release(answer.fragment))
    }

    fn progress(&mut self, newest: R) -> Option<Batch<R>> {
        if newest < self.from || newest < self.position || !self.held.is_empty() {
            return None;
        }
        self.position = newest;
        Some(Batch { groups: Vec::new(), position: newest })
    }

    fn take(&mut self, event: PbEvent) -> Result<(), Status> {
        let change = change::<R>(event)?;
        let revision = change.modified();
        if revision <= self.position {
            return Ok(());
        }
        match self.held.last_mut() {
            Some(last) if last.revision == revision => last.changes.push(change),
            Some(last) if last.revision > revision => {
                // etcd-io/etcd#15271: what else is missing nobody knows.
                let last = last.revision;
                return Err(Status::unavailable(format!(
                    "the watch went back from revision {last} to {revision}"
                )));
            }
            _ => self.held.push(Group { revision, changes: vec![change] }),
        }
        Ok(())
    }

    fn release(&mut self, fragment: bool) -> Option<Batch<R>> {
        let open = if fragment { self.held.pop() } else { None };
        let mut groups = std::mem::take(&mut self.held);
        self.held.extend(open);
        groups.iter_mut().for_each(keep_last_of_each_key);
        let position = groups.last()?.revision;
        self.position = position;
        Some(Batch { groups, position })
    }
}

/// Drops all changes of a key but the last. etcd refuses transactions that write a key twice.
fn keep_last_of_each_key<R: Revision>(group: &mut Group<R>) {
    let mut seen = BTreeSet::new();
    if group.changes.len() < 2 || group.changes.iter().all(|it| seen.insert(it.key().clone())) {
        return;
    }
    seen.clear();
    group.changes.reverse();
    group.changes.retain(|change| seen.insert(change.key().clone()));
    group.changes.reverse();
}

fn change<R: Revision>(event: PbEvent) -> Result<Change<R>, Status> {
    let broken = |what: &str| Status::invalid_argument(format!("the watch sent {what}"));
    let kv = event.kv.ok_or_else(|| broken("an event without a key"))?;
    if kv.mod_revision < 1 || kv.key.is_empty() {
        return Err(broken("an event without a key or a revision"));
    }
    match event.r#type {
        0 => Ok(Change::Put(entry(kv))),
        1 => Ok(Change::Delete { key: Key::from(kv.key), modified: R::new(kv.mod_revision) }),
        other => Err(broken(&format!("an event of the unknown kind {other}"))),
    }
}

/// Moves a key-value pair out of etcd's form.
pub(crate) fn entry<R: Revision>(kv: etcd_client::proto::PbKeyValue) -> Entry<R> {
    Entry {
        key: Key::from(kv.key),
        value: Value::from(kv.value),
        created: R::new(kv.create_revision),
        modified: R::new(kv.mod_revision),
        version: kv.version,
        lease: kv.lease,
    }
}

/// Says what the end of a watch means, in the words that etcd uses for requests.
pub(crate) fn cancelled(answer: &PbWatchResponse) -> Status {
    let reason = &answer.cancel_reason;
    if answer.compact_revision > 0 {
        // The header of this answer is empty.
        return Status::out_of_range(format!("{COMPACTED} up to {}", answer.compact_revision));
    }
    if reason.contains("permission denied") {
        return Status::permission_denied(reason);
    }
    if reason.is_empty() {
        return Status::unavailable("the member ended the watch without a reason");
    }
    Status::unavailable(format!("the member ended the watch ({reason})"))
}

/// etcd's words.
pub(crate) const COMPACTED: &str = "required revision has been compacted";

#[cfg(test)]
mod tests;
