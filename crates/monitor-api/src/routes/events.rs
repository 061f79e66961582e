//! Status and checks as they change, as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use futures::stream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::answer::{busy, in_place, json_text};
use super::source::{MaybeEnding, Source, ended};
use crate::server::Ending;
use crate::{CheckReport, Snapshot};

/// At most one event in this time; what changes in between is told once, as of then.
const EVENT_PAUSE: Duration = Duration::from_secs(1);
/// A sign of life, for clients and for whatever stands between.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// When a client whose stream ended should come back: a stream ends with its connection.
const RETRY: Duration = Duration::from_secs(2);

/// `GET /api/v1/events`: what is now, then what changes.
pub(super) async fn events(
    State(source): State<Arc<Source>>,
    ending: MaybeEnding,
) -> Response<Body> {
    let Some(place) = source.listeners.take() else {
        return busy("/api/v1/events", "too many listeners are there already");
    };
    let listener = Listener::new(&source, ending.map(|Extension(ending)| ending));
    let events = stream::unfold(listener, async |listener| {
        let (event, listener) = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    in_place(Sse::new(events).into_response(), place)
}

/// One client, and what it has been told.
struct Listener {
    status: watch::Receiver<Snapshot>,
    checks: Option<watch::Receiver<Option<Arc<CheckReport>>>>,
    ending: Option<Ending>,
    /// Told without a pause: the state of things when it came.
    first: VecDeque<Event>,
    told_at: Instant,
}

/// What happened.
enum News {
    Status,
    Check,
    /// Nobody will say anything any more.
    Over,
}

impl Listener {
    fn new(source: &Source, ending: Option<Ending>) -> Self {
        let mut listener = Self {
            status: source.status.clone(),
            checks: source.checks.as_ref().map(crate::Checks::subscribe),
            ending,
            first: VecDeque::from([Event::default().retry(RETRY)]),
            told_at: Instant::now(),
        };
        let now = [listener.status_event(), listener.check_event()];
        listener.first.extend(now.into_iter().flatten());
        listener
    }

    /// Returns the next event; `None` at the end.
    async fn next(mut self) -> Option<(Event, Self)> {
        loop {
            if let Some(event) = self.first.pop_front() {
                return Some((event, self));
            }
            let (earliest, heartbeat) = (self.told_at + EVENT_PAUSE, self.told_at + HEARTBEAT);
            let news = tokio::select! {
                biased;
                () = ended(self.ending.as_ref()) => return None,
                news = news(&mut self.status, &mut self.checks, earliest) => Some(news),
                () = sleep_until(heartbeat) => None,
            };
            self.told_at = Instant::now();
            let event = match news {
                Some(News::Status) => self.status_event(),
                Some(News::Check) => self.check_event(),
                Some(News::Over) => return None,
                None => Some(Event::default().comment("still here")),
            };
            if let Some(event) = event {
                return Some((event, self));
            }
        }
    }

    fn status_event(&mut self) -> Option<Event> {
        let report = self.status.borrow_and_update().at(std::time::Instant::now());
        Some(Event::default().event("status").data(json_text(&report).ok()?))
    }

    /// The keys themselves are for those who ask for them.
    fn check_event(&mut self) -> Option<Event> {
        let report = self.checks.as_mut()?.borrow_and_update().clone()?;
        let report = CheckReport::clone(&report).trimmed(0);
        Some(Event::default().event("check").data(json_text(&report).ok()?))
    }
}

/// Waits for something new, but not shorter than until `earliest`. Checks are rarer, and first.
async fn news(
    status: &mut watch::Receiver<Snapshot>,
    checks: &mut Option<watch::Receiver<Option<Arc<CheckReport>>>>,
    earliest: Instant,
) -> News {
    sleep_until(earliest).await;
    let check = async {
        let changed = match checks {
            Some(checks) => checks.changed().await.is_ok(),
            None => false,
        };
        if !changed {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        () = check => News::Check,
        changed = status.changed() => if changed.is_ok() { News::Status } else { News::Over },
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;

    use super::*;
    use crate::{PreflightSlot, Room, Sources, StatusReport, Thresholds};

    #[tokio::test(start_paused = true)]
    async fn silence_is_broken_by_a_comment_every_fifteen_seconds() {
        let now = Snapshot::new(StatusReport::default(), std::time::Instant::now());
        let (_publish, status) = watch::channel(now);
        let (asked, room) = (Thresholds::default(), Room::default());
        let source = Source::new(Sources {
            status,
            asked,
            checks: None,
            preflight: PreflightSlot::default(),
            room,
        });
        let answer = events(State(Arc::new(source)), None).await;
        let mut parts = answer.into_body().into_data_stream();
        let began = Instant::now();
        let mut text = String::new();
        while text.matches(": still here\n").count() < 2 {
            let part = parts.next().await.unwrap().unwrap();
            text.push_str(std::str::from_utf8(&part).unwrap());
        }
        assert_eq!(began.elapsed().as_secs(), 30);
        assert_eq!(text.matches("event: status").count(), 1, "{text}");
    }
}
