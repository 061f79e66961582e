//! Waiting, but not for ever.

use std::future::Future;
use std::time::Duration;

/// Waits for `future`, at most for `limit`; `None` if that was not long enough.
///
/// The future is dropped at the deadline, wherever it is. Give it only futures that may be dropped:
/// a request, whose outcome is then unknown; never one that owns something half done.
pub(crate) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    tokio::select! {
        // An answer that came with the deadline counts.
        biased;
        output = future => Some(output),
        () = tokio::time::sleep(limit) => None,
    }
}

/// A time limit for people: `5 s`, `1.5 s`.
pub(crate) fn shown(limit: Duration) -> String {
    let tenths = limit.as_millis() / 100;
    match tenths % 10 {
        0 => format!("{} s", tenths / 10),
        rest => format!("{}.{rest} s", tenths / 10),
    }
}
