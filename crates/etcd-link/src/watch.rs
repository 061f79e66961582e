//! Watching: opening a watch that can be trusted, and reading whole revisions from it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use etcd_client::{Error, WatchOptions, WatchResponse, WatchStream as Stream};
use etcd_mvcc::{Batch, Failure, FailureClass, KeyRange, Revision, WatchStream};
use tonic::Status;

use crate::assemble::{Assembler, cancelled};
use crate::channel::Member;
use crate::identity::{Identified, Origin, Pin};
use crate::link::Link;
use crate::read::start_of;

/// An open watch. Dropping it ends it, on the server too.
pub struct Watch<R> {
    link: Arc<Link>,
    stream: Stream,
    member: Member,
    assembler: Assembler<R>,
    ended: Option<Failure>,
}

impl<R: Revision> fmt::Debug for Watch<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("url", &self.member.url).finish_non_exhaustive()
    }
}

/// Opens a watch and waits until the member has said that it stands.
pub(crate) async fn open<R: Revision>(
    link: &Arc<Link>,
    range: KeyRange,
    from: R,
) -> Result<Watch<R>, Failure> {
    // etcd takes 0 for "from now on", which would skip whatever happens before it is read.
    let from = from.max(R::new(1));
    let mut options = WatchOptions::new().with_start_revision(from.get()).with_progress_notify();
    options = match range.end() {
        Some(end) => options.with_range(end.as_bytes()),
        None => options.with_from_key(),
    };
    if link.fragment.swap(false, Ordering::Relaxed) {
        // For this one watch: sending many small events in fragments costs etcd the square of
        // their number.
        options = options.with_fragment();
    }
    let start = start_of(&range);
    let Opened { stream, member } = link
        .call(&link.watches, link.watching(), |mut member| {
            let (start, options) = (start.clone(), options.clone());
            async move {
                let stream = member.clients.watch.watch(start, Some(options)).await?;
                let stream = created(stream, from.get(), &link.pin).await?;
                Ok(Opened { stream, member })
            }
        })
        .await?;
    Ok(Watch { link: link.clone(), stream, member, assembler: Assembler::new(from), ended: None })
}

/// A watch that stands.
struct Opened {
    stream: Stream,
    member: Member,
}

impl Identified for Opened {
    /// Its first answer was looked at before.
    fn origin(&self) -> Origin {
        Origin::default()
    }
}

/// Reads the first answer: the watch stands, or why not.
async fn created(mut stream: Stream, from: i64, pin: &Pin) -> Result<Stream, Error> {
    let Some(answer) = stream.message().await? else {
        return Err(Status::unavailable("the member ended the watch at once").into());
    };
    pin.verify(answer.origin())?;
    let answer = answer.0;
    if answer.canceled {
        return Err(cancelled(&answer).into());
    }
    if !answer.created {
        return Err(Status::unavailable("the watch's first answer is not its creation").into());
    }
    let newest = answer.header.map_or(0, |header| header.revision);
    if newest < from.saturating_sub(1) {
        // etcd would keep such a watch open, silent until its history has come so far: a member
        // that lags behind, or a cluster that was set back, which would then skip revisions.
        return Err(Status::unavailable(format!(
            "the member is at revision {newest}, before the watch's start {from}"
        ))
        .into());
    }
    Ok(stream)
}

impl<R: Revision> Watch<R> {
    fn accept(&mut self, answer: WatchResponse) -> Result<Option<Batch<R>>, Error> {
        self.link.pin.verify(answer.origin())?;
        self.assembler.accept(answer.0)
    }
}

impl<R: Revision> WatchStream for Watch<R> {
    type Revision = R;

    async fn next(&mut self) -> Result<Batch<R>, Failure> {
        if let Some(ended) = &self.ended {
            return Err(ended.clone());
        }
        loop {
            let error = match self.stream.message().await {
                Ok(Some(answer)) => match self.accept(answer) {
                    Ok(Some(batch)) => return Ok(batch),
                    Ok(None) => continue,
                    Err(error) => error,
                },
                Ok(None) => Status::unavailable("the member ended the watch").into(),
                Err(error) => error,
            };
            let failure = self.link.watch_ended(&error, &self.member.url);
            if failure.class != FailureClass::Resync {
                self.link.watches.turn_away(&self.member);
            }
            self.ended = Some(failure.clone());
            return Err(failure);
        }
    }
}

/// Learns up to where the history is compacted: from the refusal of a watch at its beginning.
/// `None` if a watch from there on is not refused.
pub(crate) async fn compacted<R: Revision>(link: &Link) -> Result<Option<R>, Failure> {
    // A watch that is not refused says nothing for ever, so ask first in a way that is answered.
    if link.holds_all_history().await? {
        return Ok(None);
    }
    let key = link.settings.probe_key.as_bytes();
    let answer = link
        .call(&link.watches, link.watching(), |mut member| async move {
            let options = WatchOptions::new().with_start_revision(1);
            let mut stream = member.clients.watch.watch(key, Some(options)).await?;
            while let Some(answer) = stream.message().await? {
                if answer.compact_revision() > 0 {
                    return Ok(answer);
                }
                if answer.canceled() {
                    return Err(cancelled(&answer.0).into());
                }
            }
            Err(Status::unavailable("the member ended the watch").into())
        })
        .await?;
    Ok(Some(R::new(answer.compact_revision())))
}
