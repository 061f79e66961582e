//! Questions that are asked again and again, whatever the planner does.

use std::time::Duration;

use etcd_mvcc::PageRequest;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Mirror, Primary, Standby};
use crate::planner::{Input, OrdersRead};

/// Parked keys are counted this often: etcd walks over its index for it.
const PARKED_EVERY: Duration = Duration::from_secs(5);

/// How often both sides are asked where they stand.
const POSITION_EVERY: Duration = Duration::from_secs(5);

/// A question that is asked again and again, whatever the planner does.
pub(super) enum Polled {
    Head(Input),
    Orders(Input),
    /// `None` if it was not answered: the poll of the head shows that.
    PrimaryPosition(Option<Input>),
    StandbyPosition(Option<Input>),
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
        let (standby, started, pause) = (self.standby.clone(), self.started, self.settings.poll);
        let keys = [self.own.epoch.clone(), self.own.control.clone()];
        polls.spawn(async move {
            sleep(pause).await;
            let asked_at = started.elapsed();
            let read = async {
                let head = standby.head().await?;
                let mut entries = standby.read_keys(&keys, None).await?.into_iter();
                let mut next = || entries.next().flatten();
                Ok(OrdersRead { head, epoch: next(), control: next() })
            };
            Polled::Orders(Input::Orders { asked_at, answer: read.await })
        });
    }

    /// Asks the primary where it stands, after a pause.
    pub(super) fn poll_primary_position(&self, polls: &mut JoinSet<Polled>) {
        let primary = self.primary.clone();
        polls.spawn(async move {
            sleep(POSITION_EVERY).await;
            Polled::PrimaryPosition(primary.position().await.ok().map(Input::PrimaryPosition))
        });
    }

    /// Asks the standby where it stands, after a pause.
    pub(super) fn poll_standby_position(&self, polls: &mut JoinSet<Polled>) {
        let standby = self.standby.clone();
        polls.spawn(async move {
            sleep(POSITION_EVERY).await;
            Polled::StandbyPosition(standby.position().await.ok().map(Input::StandbyPosition))
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
                self.handle(input);
                self.poll_orders(polls);
            }
            Polled::PrimaryPosition(input) => {
                input.into_iter().for_each(|input| self.handle(input));
                self.poll_primary_position(polls);
            }
            Polled::StandbyPosition(input) => {
                input.into_iter().for_each(|input| self.handle(input));
                self.poll_standby_position(polls);
            }
            Polled::Parked(keys) => {
                keys.into_iter().for_each(|keys| self.reporter.note_parked(keys));
                self.poll_parked(polls, PARKED_EVERY);
            }
        }
    }
}
