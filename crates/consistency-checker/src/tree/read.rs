//! Reading one side, whole, at one revision.

use std::future::poll_fn;
use std::task::{Context, Poll};

use etcd_mvcc::{FailureClass, Key, PageSize, ReadRange, Side, Value, WalkLimits};
use keyspace_filter::Stretch;

use super::error::{DigestError, RecordError};
use super::narrow::read;
use crate::feed::{Fed, Feed, FeedError};
use crate::patience::Patience;

/// Reads `side` of the stretches, which are sorted as the standby's keys are, at `at`, and hands every
/// key in scope to `sink`, ascending, as `map` spells it on the standby; `None` is out of scope.
/// While `sink` is fed one page, the next one is on its way: memory holds two.
///
/// # Errors
///
/// Not everything was read, or `sink` refused a key: what `sink` has got so far is no digest. A
/// read that may succeed if it is repeated is repeated for some seconds first.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind, and no digest.
pub async fn digest_side<R: ReadRange>(
    reader: &R,
    (side, stretches): (Side, &[Stretch]),
    at: R::Revision,
    mut map: impl FnMut(&Key) -> Option<Key>,
    limits: WalkLimits,
    mut sink: impl FnMut(&Key, &Value) -> Result<(), RecordError>,
) -> Result<(), DigestError> {
    let mut size = PageSize::from(limits);
    for stretch in stretches {
        let ranges = std::slice::from_ref(read(stretch, side));
        let mut feed = Feed::new(reader, ranges, at, None, (size, false));
        // What has its place elsewhere is met there.
        let mut place = |key: &Key| map(key).filter(|place| stretch.holds(place));
        read_stretch(&mut feed, &mut place, &mut sink).await?;
        size = feed.page_size();
    }
    Ok(())
}

async fn read_stretch<R: ReadRange>(
    feed: &mut Feed<'_, R>,
    place: &mut impl FnMut(&Key) -> Option<Key>,
    sink: &mut impl FnMut(&Key, &Value) -> Result<(), RecordError>,
) -> Result<(), DigestError> {
    let mut patience = Patience::default();
    loop {
        let failure = match poll_fn(|cx| poll_feed(feed, cx)).await {
            Ok(Fed::End) => return Ok(()),
            Ok(Fed::Page(entries)) => {
                patience.renew();
                for entry in &entries {
                    let Some(key) = place(&entry.key) else { continue };
                    sink(&key, &entry.value).map_err(DigestError::Unrecorded)?;
                }
                continue;
            }
            Err(FeedError::Broken(breach)) => return Err(DigestError::Broken { breach }),
            Err(FeedError::Failed(failure)) => failure,
        };
        if patience.lasts(failure.class).await {
            continue;
        }
        match failure.class {
            FailureClass::Resync => return Err(DigestError::Compacted(failure)),
            FailureClass::Retry
            | FailureClass::Reauthenticate
            | FailureClass::Blocked
            | FailureClass::NoSpace
            | FailureClass::Corrupt
            | FailureClass::NotEtcd
            | FailureClass::OtherCluster
            | FailureClass::TooLarge
            | FailureClass::Fatal => return Err(DigestError::Unread(failure)),
        }
    }
}

/// Waits for the next page, and sends for the one after it before it is used.
fn poll_feed<R: ReadRange>(
    feed: &mut Feed<'_, R>,
    cx: &mut Context<'_>,
) -> Poll<Result<Fed<R::Revision>, FeedError>> {
    feed.poll(cx);
    let Some(taken) = feed.take() else { return Poll::Pending };
    if taken.is_ok() {
        feed.poll(cx);
    }
    Poll::Ready(taken)
}
