//! Waiting, but not for ever.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

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

/// When something was heard last: an answer's headers, or a piece of its body. The peer's answers to
/// HTTP/2 pings are not: they prove that a connection lives, not that a request is being answered.
#[derive(Clone, Debug)]
pub(crate) struct Heard(Arc<Mutex<Instant>>);

impl Heard {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    pub(crate) fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

tokio::task_local! {
    /// Where the request that this task sends notes what it hears.
    static HEARD: Heard;
}

/// Where to note what is heard of the request that is about to be sent, if anybody listens.
pub(crate) fn heard() -> Option<Heard> {
    HEARD.try_with(Clone::clone).ok()
}

/// A request that waits its turn behind the answers to others is given up after so many limits all
/// the same.
const TURNS_MAX: u32 = 10;

/// Waits for `future`, as long as something is heard of its answer: at most `limit` of silence.
///
/// What else comes over the same connection (`line`) counts as well, for some time: a large answer
/// to somebody else holds up what comes behind it.
///
/// As in [`within`], the future is dropped at the deadline.
pub(crate) async fn while_heard<F: Future>(
    limit: Duration,
    line: &Heard,
    future: F,
) -> Option<F::Output> {
    let own = Heard::new();
    let mut future = pin!(HEARD.scope(own.clone(), future));
    loop {
        let patient = own.last() + limit;
        let queued = (line.last() + limit).min(own.last() + limit * TURNS_MAX);
        let until = patient.max(queued);
        tokio::select! {
            biased;
            output = &mut future => return Some(output),
            () = sleep_until(until) => {
                let heard = own.last() + limit > until
                    || (line.last() + limit).min(own.last() + limit * TURNS_MAX) > until;
                if !heard {
                    return None;
                }
            }
        }
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

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_limit_counts_silence_and_not_how_long_an_answer_takes() {
        let line = Heard::new();
        let slow = async {
            for _ in 0..100 {
                sleep(SECOND * 4).await;
                heard().unwrap().note();
            }
        };
        assert_eq!(while_heard(SECOND * 5, &line, slow).await, Some(()));
        let began = Instant::now();
        let falls_silent = async {
            sleep(SECOND * 4).await;
            heard().unwrap().note();
            sleep(SECOND * 3_600).await;
        };
        assert_eq!(while_heard(SECOND * 5, &line, falls_silent).await, None);
        assert_eq!(began.elapsed().as_secs(), 9);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_behind_others_on_its_line_but_not_for_ever() {
        let line = Heard::new();
        let busy = tokio::spawn({
            let line = line.clone();
            async move {
                loop {
                    sleep(SECOND).await;
                    line.note();
                }
            }
        });
        let began = Instant::now();
        assert_eq!(while_heard(SECOND * 5, &line, sleep(SECOND * 30)).await, Some(()));
        assert_eq!(began.elapsed().as_secs(), 30);
        let began = Instant::now();
        assert_eq!(while_heard(SECOND * 5, &line, sleep(SECOND * 300)).await, None);
        assert_eq!(began.elapsed().as_secs(), 50);
        busy.abort();
    }
}
