//! Questions that are asked again and again, whatever the planner does.

use std::time::Duration;

use etcd_mvcc::PageRequest;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Mirror, Primary, Standby};
use crate::planner::Input;

/// Parked keys are counted this often: etcd walks over its index for it.
const PARKED_EVERY: Duration = Duration::from_secs(5);

/// A question that is asked again and again, whatever the planner does.
pub(super) enum Polled {
    Head(Input),
    Orders(Option<Input>),
    Parked(Option<u64>),
}

impl<P: Primary, S: Standby> Mirror<P, S> {
    /// Asks for the primary's head, after a pause.
    pub(super) fn poll_head(&self, polls: &mut JoinSet<Polled>) {
        let (primary, started, pause) = (self.primary.clone(), self.started, self.settings.poll);
        polls.spawn(async move {
            sleep(pause).await;
            let asked_at = started.elapsed();
            Polled::Head(Input::PrimaryHead { asked_at, head: primary.head().await })
        });
    }

    /// Asks for the orders, after a pause.
    pub(super) fn poll_orders(&self, polls: &mut JoinSet<Polled>) {
        let (standby, pause) = (self.standby.clone(), self.settings.poll);
        let keys = [self.own.epoch.clone(), self.own.control.clone()];
        polls.spawn(async move {
            sleep(pause).await;
            let entries = standby.read_keys(&keys, None).await.ok();
            Polled::Orders(entries.map(|entries| {
                let mut entries = entries.into_iter();
                let mut next = || entries.next().flatten();
                Input::Orders { epoch: next(), control: next() }
            }))
        });
    }

    /// Asks how many keys are parked, after a pause, if a rule holds any.
    pub(super) fn poll_parked(&self, polls: &mut JoinSet<Polled>, pause: Duration) {
        let Some(range) = self.scope.parked_range().filter(|_| self.scope.holds_keys()) else {
            return;
        };
        let standby = self.standby.clone();
        polls.spawn(async move {
            sleep(pause).await;
            let one = PageRequest { range, at: None, limit: 1, keys_only: true };
            Polled::Parked(standby.read_page(one).await.ok().map(|page| page.count))
        });
    }

    pub(super) fn on_polled(&mut self, polled: Polled, polls: &mut JoinSet<Polled>) {
        match polled {
            Polled::Head(input) => {
                self.handle(input);
                self.poll_head(polls);
            }
            Polled::Orders(input) => {
                if let Some(input) = input {
                    self.handle(input);
                }
                self.poll_orders(polls);
            }
            Polled::Parked(keys) => {
                keys.into_iter().for_each(|keys| self.reporter.note_parked(keys));
                self.poll_parked(polls, PARKED_EVERY);
            }
        }
    }
}
