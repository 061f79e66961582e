//! Reading one side, whole, at one revision.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use etcd_mvcc::{FailureClass, Key, KeyRange, ReadRange, Value, WalkLimits};
use tokio::time::sleep;

use super::error::{DigestError, RecordError};
use crate::feed::{Fed, Feed, FeedError};

/// Reads that fail are tried again so often in a row, with pauses that add up to some 12 s: enough
/// for a member to be replaced by the next one, not for a caller to think it hangs.
const RETRIES: u32 = 7;
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Reads `ranges`, which are sorted and disjoint, at `at`, and hands every key in scope to `sink`,
/// ascending, as `map` spells it on the standby; `None` is out of scope. While `sink` is fed one
/// page, the next one is on its way: memory holds two.
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
    ranges: &[KeyRange],
    at: R::Revision,
    mut map: impl FnMut(&Key) -> Option<Key>,
    limits: WalkLimits,
    mut sink: impl FnMut(&Key, &Value) -> Result<(), RecordError>,
) -> Result<(), DigestError> {
    let mut feed = Feed::new(reader, ranges, at, None, (limits, false));
    let mut failures = 0;
    loop {
        let failure = match poll_fn(|cx| poll_feed(&mut feed, cx)).await {
            Ok(Fed::End) => return Ok(()),
            Ok(Fed::Page(entries)) => {
                failures = 0;
                for entry in &entries {
                    let Some(key) = map(&entry.key) else { continue };
                    sink(&key, &entry.value).map_err(DigestError::Unrecorded)?;
                }
                continue;
            }
            Err(FeedError::Broken(breach)) => return Err(DigestError::Broken { breach }),
            Err(FeedError::Failed(failure)) => failure,
        };
        match failure.class {
            FailureClass::Retry | FailureClass::Reauthenticate if failures < RETRIES => {
                sleep(RETRY_PAUSE * (1 << failures)).await;
                failures += 1;
            }
            FailureClass::Resync => return Err(DigestError::Compacted(failure)),
            FailureClass::Retry
            | FailureClass::Reauthenticate
            | FailureClass::Blocked
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
