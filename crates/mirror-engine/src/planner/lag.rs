//! How far behind the standby is, in seconds, without trusting either side's clock.

use std::collections::VecDeque;
use std::time::Duration;

use etcd_mvcc::PrimaryRevision;

/// Polls that are remembered: an hour of them at one a second, then only the oldest stays.
const REMEMBERED: usize = 3_600;

/// Remembers when the primary was seen at which revision, and finds the last moment at which the
/// standby is known to have held everything that the primary had.
#[derive(Debug, Default)]
pub(crate) struct LagMeter {
    polls: VecDeque<(Duration, PrimaryRevision)>,
    level_at: Option<Duration>,
}

impl LagMeter {
    /// The primary was at `revision` when it was asked at `asked_at`.
    pub(crate) fn polled(&mut self, asked_at: Duration, revision: PrimaryRevision) {
        if self.polls.len() == REMEMBERED {
            self.polls.pop_back();
        }
        self.polls.push_back((asked_at, revision));
    }

    /// The standby holds everything up to `revision`.
    pub(crate) fn reached(&mut self, revision: PrimaryRevision) {
        while let Some((asked_at, _)) = self.polls.front().filter(|(_, polled)| *polled <= revision)
        {
            self.level_at = Some(*asked_at);
            self.polls.pop_front();
        }
    }

    /// Nothing is known any more: the history is another one.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Time since the standby was last known to be level; `None` if it never was.
    pub(crate) fn lag(&self, now: Duration) -> Option<Duration> {
        self.level_at.map(|level_at| now.saturating_sub(level_at))
    }
}

#[cfg(test)]
mod tests {
    use etcd_mvcc::Revision;

    use super::*;

    #[test]
    fn lag_grows_while_the_primary_is_silent_and_falls_when_its_revision_is_reached() {
        let at = Duration::from_secs;
        let mut meter = LagMeter::default();
        assert_eq!(meter.lag(at(1)), None);
        meter.polled(at(1), PrimaryRevision::new(10));
        meter.polled(at(2), PrimaryRevision::new(12));
        meter.reached(PrimaryRevision::new(11));
        assert_eq!(meter.lag(at(5)), Some(at(4)));
        meter.reached(PrimaryRevision::new(12));
        assert_eq!(meter.lag(at(5)), Some(at(3)));
    }
}
