//! Reading: the head, pages, single keys. The same for both clusters.

use std::time::Duration;

use etcd_client::proto::{PbRangeResponse, PbStatusResponse, PbTxnOpResponse};
use etcd_client::{GetOptions, GetResponse, TxnOp};
use etcd_mvcc::Revision;
use etcd_mvcc::{
    ClusterId, DbSize, Entry, Failure, FailureCause, FailureClass, Head, Key, KeyRange, Page,
    PageRequest, Position, RaftPosition,
};

use crate::assemble::entry;
use crate::channel::Member;
use crate::deadline;
use crate::identity::{Identified, Origin};
use crate::link::Link;

/// A page of several keys that is larger is refused at its length, before it is read: its size
/// can't be known before it is asked for, and memory is to be bounded. Four times what a walk aims
/// at.
const PAGE_BYTES_MAX: usize = 16 << 20;

/// A range's ends as etcd takes them.
pub(crate) fn start_of(range: &KeyRange) -> Vec<u8> {
    match range.start().as_bytes() {
        // etcd knows no empty key; this is the first that there can be.
        [] => vec![0],
        start => start.to_vec(),
    }
}

/// What can't come from a server that follows the protocol.
fn broken(what: &str) -> Failure {
    Failure::new(FailureClass::Fatal, format!("the cluster's answer {what}"))
}

/// Asks a member for its status; `None` if it does not say.
async fn status(member: &mut Member, limit: Duration) -> Option<PbStatusResponse> {
    let asked = Box::pin(member.clients.maintenance.status());
    deadline::within(limit, asked).await?.ok().map(|answer| answer.0)
}

/// A linearizable read, and the statuses before and after it.
struct Around {
    before: Option<PbStatusResponse>,
    range: GetResponse,
    after: Option<PbStatusResponse>,
}

impl Identified for Around {
    fn origin(&self) -> Origin {
        let range = self.range.origin();
        let statuses = [&self.before, &self.after];
        let origins = statuses.into_iter().flatten().map(|it| Origin::of(it.header.as_ref()));
        // One of them that is of another cluster is as bad as all.
        origins.filter(|it| it.cluster != 0).find(|it| it.cluster != range.cluster).unwrap_or(range)
    }
}

impl Around {
    fn position<R: Revision>(self) -> Result<Position<R>, Failure> {
        let header = self.range.0.header.ok_or_else(|| broken("has no header"))?;
        let by_this_member = |status: &PbStatusResponse| {
            let member = status.header.as_ref().map_or(0, |header| header.member_id);
            member != 0 && member == header.member_id
        };
        // Behind a proxy, each answer may come from another member; their logs differ.
        let raft = self.before.as_ref().zip(self.after.as_ref()).and_then(|(before, after)| {
            (by_this_member(before) && by_this_member(after)).then_some(RaftPosition {
                term: header.raft_term,
                index_before: before.raft_index,
                index_after: after.raft_index,
            })
        });
        let positive = |number: i64| u64::try_from(number).ok().filter(|&number| number > 0);
        let db = self.after.as_ref().and_then(|status| {
            let bytes = positive(status.db_size)?;
            Some(DbSize { bytes, quota_bytes: positive(status.db_size_quota) })
        });
        let cluster = ClusterId::new(header.cluster_id);
        Ok(Position { head: Head { cluster, revision: R::new(header.revision) }, raft, db })
    }
}

impl Link {
    async fn get(&self, key: Vec<u8>, options: GetOptions) -> Result<GetResponse, Failure> {
        self.call(&self.reads, self.reading(), |mut member| {
            let (key, options) = (key.clone(), options.clone());
            async move { member.clients.kv.get(key, Some(options)).await }
        })
        .await
    }

    /// Asks for id and newest revision. The key is never sent back, only counted.
    pub(crate) async fn head<R: Revision>(&self) -> Result<Head<R>, Failure> {
        let key = self.settings.probe_key.as_bytes().to_vec();
        let answer = self.get(key, GetOptions::new().with_count_only()).await?.0;
        let header = answer.header.ok_or_else(|| broken("has no header"))?;
        let cluster = ClusterId::new(header.cluster_id);
        Ok(Head { cluster, revision: R::new(header.revision) })
    }

    /// Asks for the head, and for the position of the log around it: three questions to one member,
    /// over one connection. A status that is refused (some versions answer root only) or does not
    /// come costs the position, not the head.
    pub(crate) async fn position<R: Revision>(&self) -> Result<Position<R>, Failure> {
        let limit = self.settings.request_timeout / 4;
        let answer = self
            .call(&self.reads, self.reading(), |mut member| {
                let key = self.settings.probe_key.as_bytes().to_vec();
                async move {
                    let before = status(&mut member, limit).await;
                    let options = GetOptions::new().with_count_only();
                    let range = member.clients.kv.get(key, Some(options)).await?;
                    // A member that has not answered the first will not answer the second.
                    let after = match before {
                        Some(_) => status(&mut member, limit).await,
                        None => None,
                    };
                    Ok(Around { before, range, after })
                }
            })
            .await?;
        answer.position()
    }

    pub(crate) async fn read_page<R: Revision>(
        &self,
        request: PageRequest<R>,
    ) -> Result<Page<R>, Failure> {
        let limit = i64::try_from(request.limit.max(1)).unwrap_or(i64::MAX);
        // Never sorted: before 3.6, etcd then reads the whole range for every page.
        let mut options = GetOptions::new().with_limit(limit);
        options = match request.range.end() {
            Some(end) => options.with_range(end.as_bytes()),
            None => options.with_from_key(),
        };
        if request.keys_only {
            options = options.with_keys_only();
        }
        if let Some(at) = request.at {
            options = options.with_revision(at.get());
        }
        let key = start_of(&request.range);
        // One value can't be cut; anything else that is large can be asked for in smaller pages.
        let bytes_max = match request.limit {
            0 | 1 => self.settings.max_message_bytes,
            _ => self.settings.max_message_bytes.min(PAGE_BYTES_MAX),
        };
        let answer = self
            .call(&self.pages, self.reading(), |member| {
                let (key, options) = (key.clone(), options.clone());
                let mut kv = member.clients.kv.max_decoding_message_size(bytes_max);
                async move { kv.get(key, Some(options)).await }
            })
            .await?
            .0;
        // The header carries the newest revision, also where an older one was read.
        let newest = answer.header.ok_or_else(|| broken("has no header"))?.revision;
        Ok(Page {
            entries: answer.kvs.into_iter().map(entry).collect(),
            at: request.at.unwrap_or_else(|| R::new(newest)),
            more: answer.more,
            count: u64::try_from(answer.count).unwrap_or(0),
        })
    }

    pub(crate) async fn read_keys<R: Revision>(
        &self,
        keys: &[Key],
        at: Option<R>,
    ) -> Result<Vec<Option<Entry<R>>>, Failure> {
        let mut entries = Vec::with_capacity(keys.len());
        let mut at = at;
        let mut keys = keys;
        while !keys.is_empty() {
            let ops = self.txn_ops().max(1);
            let (chunk, rest) = keys.split_at(ops.min(keys.len()));
            let (newest, found) = match chunk {
                [key] => self.read_each(std::slice::from_ref(key), at).await?,
                _ => match self.read_together(chunk, at).await {
                    Err(Failure { cause: FailureCause::Operations { .. }, .. })
                        if self.fewer_ops(ops) =>
                    {
                        continue;
                    }
                    // Out of space, etcd 3.5 refuses every transaction, also one of reads.
                    Err(failure) if failure.class == FailureClass::NoSpace => {
                        self.read_each(chunk, at).await?
                    }
                    answer => answer?,
                },
            };
            if chunk.len() > 1 {
                self.took_ops(chunk.len());
            }
            keys = rest;
            entries.extend(found);
            at.get_or_insert(newest);
        }
        Ok(entries)
    }

    /// Reads keys in one transaction.
    async fn read_together<R: Revision>(
        &self,
        keys: &[Key],
        at: Option<R>,
    ) -> Result<(R, Vec<Option<Entry<R>>>), Failure> {
        let options = pinned(at);
        let answer = self
            .call(&self.reads, self.reading(), |mut member| {
                let get = |key: &Key| TxnOp::get(key.as_bytes(), Some(options.clone()));
                let gets: Vec<_> = keys.iter().map(get).collect();
                async move { member.clients.kv.txn(etcd_client::Txn::new().and_then(gets)).await }
            })
            .await?
            .0;
        if answer.responses.len() != keys.len() {
            return Err(broken("holds another number of keys than asked for"));
        }
        let mut found = Vec::with_capacity(keys.len());
        for response in answer.responses {
            let Some(PbTxnOpResponse::ResponseRange(range)) = response.response else {
                return Err(broken("to a read is none"));
            };
            found.push(range.kvs.into_iter().next().map(entry));
        }
        let header = answer.header.ok_or_else(|| broken("has no header"))?;
        Ok((R::new(header.revision), found))
    }

    /// Reads keys one by one, all at the revision of the first.
    async fn read_each<R: Revision>(
        &self,
        keys: &[Key],
        at: Option<R>,
    ) -> Result<(R, Vec<Option<Entry<R>>>), Failure> {
        let mut at = at;
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            let answer: PbRangeResponse = self.get(key.as_bytes().to_vec(), pinned(at)).await?.0;
            let header = answer.header.ok_or_else(|| broken("has no header"))?;
            at.get_or_insert(R::new(header.revision));
            found.push(answer.kvs.into_iter().next().map(entry));
        }
        Ok((at.unwrap_or_default(), found))
    }

    /// Asks one member for its version.
    pub(crate) async fn version(&self) -> Result<String, Failure> {
        let status = self
            .call(&self.reads, self.reading(), |mut member| async move {
                member.clients.maintenance.status().await
            })
            .await?;
        // It is printed and compared: nothing but a version may come through.
        Ok(status.version().chars().filter(|c| c.is_ascii_graphic()).take(64).collect())
    }

    /// Tells whether the first revision can still be read.
    pub(crate) async fn holds_all_history(&self) -> Result<bool, Failure> {
        let key = self.settings.probe_key.as_bytes().to_vec();
        let options = GetOptions::new().with_count_only().with_revision(1);
        match self.get(key, options).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.class == FailureClass::Resync => Ok(false),
            Err(failure) => Err(failure),
        }
    }
}

fn pinned<R: Revision>(at: Option<R>) -> GetOptions {
    at.map_or_else(GetOptions::new, |at| GetOptions::new().with_revision(at.get()))
}
