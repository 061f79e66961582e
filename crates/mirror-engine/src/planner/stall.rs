//! Progress is the only sign of life of a watch: an open connection is none.

use std::time::Duration;

/// A head that is ahead for this long without a word from the watch makes the watch suspect: it is
/// asked for every second, and a change arrives within milliseconds of it.
const SUSPECT_AFTER: Duration = Duration::from_secs(3);

/// The longest pause between two attempts to open a watch that brings nothing. A single answer
/// that takes longer than this to arrive would never arrive.
const SUSPECT_AFTER_MAX: Duration = Duration::from_secs(600);

/// Whether a watch keeps up with a head that is asked for.
#[derive(Debug)]
pub(super) struct WatchMeter {
    /// Since when the head is known to be ahead, without a word from the watch.
    behind_since: Option<Duration>,
    /// When the watch was opened, or last brought something.
    heard_at: Duration,
    patience: Duration,
}

impl WatchMeter {
    /// Begins with a watch that is opened now.
    pub(super) fn new(now: Duration) -> Self {
        Self { behind_since: None, heard_at: now, patience: SUSPECT_AFTER }
    }

    /// The watch has brought something; `level` says that nothing known is missing.
    pub(super) fn heard(&mut self, now: Duration, level: bool) {
        self.heard_at = now;
        self.patience = SUSPECT_AFTER;
        self.behind_since = self.behind_since.and((!level).then_some(now));
    }

    /// The head was asked for at `asked_at`; `ahead` says that the watch has not brought it all.
    pub(super) fn polled(&mut self, asked_at: Duration, ahead: bool) {
        if !ahead {
            self.behind_since = None;
        } else if asked_at >= self.heard_at {
            self.behind_since.get_or_insert(asked_at);
        }
    }

    /// The watch is not read on, because what it brought waits for the standby.
    pub(super) fn paused(&mut self, now: Duration) {
        self.heard_at = now;
        self.behind_since = None;
    }

    /// How long the watch has brought nothing although the head is ahead.
    pub(super) fn behind(&self, now: Duration) -> Option<Duration> {
        self.behind_since.map(|since| now.saturating_sub(since))
    }

    /// Tells whether to give the watch up. It is opened again then, and given longer each time.
    pub(super) fn gives_up(&mut self, now: Duration) -> bool {
        let waited = now.saturating_sub(self.heard_at);
        let stalled = self.behind(now).is_some_and(|behind| behind >= SUSPECT_AFTER)
            && waited >= self.patience;
        if stalled {
            self.heard_at = now;
            self.patience = (self.patience * 2).min(SUSPECT_AFTER_MAX);
        }
        stalled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_watch_that_brings_nothing_behind_a_head_that_moves_is_given_up_ever_more_slowly() {
        let mut meter = WatchMeter::new(at(0));
        let mut given_up = Vec::new();
        for now in 0..120 {
            meter.polled(at(now), true);
            if meter.gives_up(at(now)) {
                given_up.push(now);
            }
        }
        assert_eq!(given_up, [3, 9, 21, 45, 93]);
        assert_eq!(meter.behind(at(120)), Some(at(120)));
        meter.heard(at(120), true);
        assert_eq!(meter.behind(at(121)), None);
    }

    #[test]
    fn a_quiet_primary_a_pause_and_a_late_answer_are_not_a_stall() {
        let mut meter = WatchMeter::new(at(0));
        for now in 0..60 {
            meter.polled(at(now), false);
            assert!(!meter.gives_up(at(now)));
        }
        meter.polled(at(60), true);
        meter.paused(at(62));
        assert!(!meter.gives_up(at(64)));
        meter.heard(at(70), false);
        meter.polled(at(69), true);
        assert_eq!(meter.behind(at(71)), None, "it was asked for before the watch spoke");
    }
}
