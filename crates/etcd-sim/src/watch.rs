//! A watch of the model.

use etcd_mvcc::{Batch, Failure, FailureClass, KeyRange, Revision, WatchStream};
use tokio::sync::watch;

use crate::faults::Fate;
use crate::{Fault, ModelEtcd, SimEtcd};

/// An open watch of a [`SimEtcd`].
///
/// It ends when the store is replaced or goes away, as a watch does when its server stops. Without
/// faults it keeps the promises of [`WatchStream`]; [`Fault::WatchRepeats`] breaks one of them.
#[derive(Debug)]
pub struct SimStream<R> {
    sim: SimEtcd<R>,
    changed: watch::Receiver<()>,
    range: KeyRange,
    from: R,
    next: R,
    incarnation: u64,
    progress: u64,
    ended: bool,
}

impl<R: Revision> SimStream<R> {
    pub(crate) fn open(sim: SimEtcd<R>, range: KeyRange, from: R) -> Self {
        let state = sim.shared.lock();
        let (incarnation, progress) = (state.model.incarnation(), state.progress);
        drop(state);
        let changed = sim.shared.changed.subscribe();
        Self { sim, changed, range, from, next: from, incarnation, progress, ended: false }
    }

    /// Returns what there is to tell without waiting; `None` if there is nothing.
    fn poll(&mut self) -> Result<Option<Batch<R>>, Failure> {
        let mut state = self.sim.shared.lock();
        let state = &mut *state;
        state.refuse_if_away()?;
        if self.ended || state.model.incarnation() != self.incarnation {
            return Err(Failure::new(FailureClass::Retry, "the watch has ended"));
        }
        if state.fate.strikes(Fault::WatchDrops) {
            return Err(Failure::new(FailureClass::Retry, "the watch was dropped"));
        }
        if self.next > self.from && state.fate.strikes(Fault::WatchRepeats) {
            self.next = step_back(self.next, self.from, &mut state.fate, &state.model);
        }
        let mut groups = state.model.events_since(&self.range, self.next)?;
        groups.truncate(state.fate.faults.watch_groups_max.max(1));
        let position = match groups.last() {
            Some(last) => last.revision,
            // Progress below the start would be noise: the start may lie in the future.
            None if self.progress < state.progress && state.model.revision() >= self.from => {
                self.progress = state.progress;
                state.model.revision()
            }
            None => return Ok(None),
        };
        self.next = position.next();
        Ok(Some(Batch { groups, position }))
    }
}

/// An earlier revision to deliver from again: one to five back, not before the watch began, and
/// nothing that was compacted since.
fn step_back<R: Revision>(next: R, from: R, fate: &mut Fate, model: &ModelEtcd<R>) -> R {
    let steps = fate.rng.below(5) + 1;
    let mut earlier = next;
    for _ in 0..steps {
        earlier = earlier.previous();
    }
    earlier.max(from).max(model.compacted().map_or(from, R::next)).min(next)
}

impl<R: Revision> WatchStream for SimStream<R> {
    type Revision = R;

    async fn next(&mut self) -> Result<Batch<R>, Failure> {
        loop {
            self.changed.mark_unchanged();
            match self.poll() {
                Ok(Some(batch)) => return Ok(batch),
                Ok(None) => {}
                Err(failure) => {
                    self.ended = true;
                    return Err(failure);
                }
            }
            if self.changed.changed().await.is_err() {
                return Err(Failure::new(FailureClass::Retry, "the watch has ended"));
            }
        }
    }
}
