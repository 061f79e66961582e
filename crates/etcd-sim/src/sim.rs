//! The model behind the same capabilities as a real cluster.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use etcd_mvcc::{
    ClusterId, Commit, CommitTxn, Entry, Failure, FailureClass, Head, Key, KeyRange, Page,
    PageRequest, Position, PrimaryRevision, ReadHead, ReadRange, Revision, StandbyRevision, Txn,
    WatchRange,
};
use tokio::sync::watch;

use crate::faults::Fate;
use crate::{Fault, Faults, ModelEtcd, Rng, SimStream};

/// A primary to read and to watch.
pub type SimPrimary = SimEtcd<PrimaryRevision>;

/// A standby to read, to watch and to write.
pub type SimStandby = SimEtcd<StandbyRevision>;

/// A handle on a [`ModelEtcd`]; clones share it. No call waits for anything but a change of the
/// model, and no call but [`WatchStream::next`](etcd_mvcc::WatchStream::next) waits at all.
#[derive(Debug)]
pub struct SimEtcd<R> {
    pub(crate) shared: Arc<Shared<R>>,
}

impl<R> Clone for SimEtcd<R> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

#[derive(Debug)]
pub(crate) struct Shared<R> {
    state: Mutex<State<R>>,
    /// Told of every change, so that waiting watches look again.
    pub(crate) changed: watch::Sender<()>,
}

#[derive(Debug)]
pub(crate) struct State<R> {
    pub(crate) model: ModelEtcd<R>,
    pub(crate) fate: Fate,
    pub(crate) away: bool,
    /// How often progress was asked for.
    pub(crate) progress: u64,
    delayed: VecDeque<Txn>,
}

impl<R: Revision> Shared<R> {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Revision> SimEtcd<R> {
    /// Starts an empty etcd without faults.
    #[must_use]
    pub fn new(cluster: ClusterId) -> Self {
        Self::of(ModelEtcd::new(cluster))
    }

    /// Puts a model behind a handle, without faults.
    #[must_use]
    pub fn of(model: ModelEtcd<R>) -> Self {
        let state =
            State { model, fate: Fate::new(), away: false, progress: 0, delayed: VecDeque::new() };
        let changed = watch::Sender::new(());
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed }) }
    }

    /// Looks at the model, or changes it, behind the back of every client; watches are told.
    pub fn with<T>(&self, action: impl FnOnce(&mut ModelEtcd<R>) -> T) -> T {
        let result = action(&mut self.shared.lock().model);
        self.shared.changed.send_replace(());
        result
    }

    /// Sets how often calls fail, and the seed that decides which ones.
    pub fn set_faults(&self, faults: Faults, seed: u64) {
        let mut state = self.shared.lock();
        state.fate.faults = faults;
        state.fate.rng = Rng::new(seed);
    }

    /// Lets a fault strike the next call that it can strike. Several add up.
    pub fn inject(&self, fault: Fault) {
        self.shared.lock().fate.schedule(fault);
        self.shared.changed.send_replace(());
    }

    /// Takes the cluster away, or brings it back. While it is away, every call is refused at once
    /// and every watch ends.
    pub fn set_away(&self, away: bool) {
        self.shared.lock().away = away;
        self.shared.changed.send_replace(());
    }

    /// Sends every open watch its position, as etcd does to idle watches now and then.
    pub fn send_progress(&self) {
        self.shared.lock().progress += 1;
        self.shared.changed.send_replace(());
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&ModelEtcd<R>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut state = self.shared.lock();
        state.refuse_if_away()?;
        if state.fate.strikes(Fault::ReadFails) {
            return Err(Failure::new(FailureClass::Retry, "the read was not answered"));
        }
        read(&state.model)
    }
}

impl<R> State<R> {
    pub(crate) fn refuse_if_away(&self) -> Result<(), Failure> {
        if self.away {
            return Err(Failure::new(FailureClass::Retry, "connection refused"));
        }
        Ok(())
    }
}

impl SimStandby {
    /// Returns how many transactions are on their way.
    #[must_use]
    pub fn delayed(&self) -> usize {
        self.shared.lock().delayed.len()
    }

    /// Lets the oldest transaction on its way arrive, and returns what it came to, which nobody
    /// is told; `None` if there is none.
    pub fn land_delayed(&self) -> Option<Result<Commit, Failure>> {
        let mut state = self.shared.lock();
        let txn = state.delayed.pop_front()?;
        let outcome = state.model.commit(&txn);
        drop(state);
        self.shared.changed.send_replace(());
        Some(outcome)
    }

    /// Loses the transactions on their way, and returns how many there were.
    pub fn lose_delayed(&self) -> usize {
        std::mem::take(&mut self.shared.lock().delayed).len()
    }

    fn commit_now(&self, txn: Txn) -> Result<Commit, Failure> {
        let mut state = self.shared.lock();
        state.refuse_if_away()?;
        if state.fate.strikes(Fault::CommitFails) {
            return Err(Failure::new(FailureClass::Retry, "too many requests"));
        }
        if state.fate.strikes(Fault::CommitLost) {
            return Err(Failure::unknown("request timed out"));
        }
        if state.fate.strikes(Fault::CommitDelayed) {
            state.delayed.push_back(txn);
            return Err(Failure::unknown("request timed out"));
        }
        let outcome = state.model.commit(&txn);
        let unanswered = state.fate.strikes(Fault::CommitUnanswered);
        drop(state);
        self.shared.changed.send_replace(());
        if unanswered { Err(Failure::unknown("request timed out")) } else { outcome }
    }
}

impl<R: Revision> ReadHead for SimEtcd<R> {
    type Revision = R;

    async fn head(&self) -> Result<Head<R>, Failure> {
        self.read(|model| Ok(model.head()))
    }

    async fn position(&self) -> Result<Position<R>, Failure> {
        self.read(|model| Ok(model.position()))
    }

    fn repin(&self) {}
}

impl<R: Revision> ReadRange for SimEtcd<R> {
    type Revision = R;

    async fn read_page(&self, request: PageRequest<R>) -> Result<Page<R>, Failure> {
        self.read(|model| model.read_page(&request))
    }

    async fn read_keys(
        &self,
        keys: &[Key],
        at: Option<R>,
    ) -> Result<Vec<Option<Entry<R>>>, Failure> {
        self.read(|model| model.read_keys(keys, at))
    }
}

impl<R: Revision> WatchRange for SimEtcd<R> {
    type Revision = R;
    type Stream = SimStream<R>;

    /// Refuses a start in the future, as the real link does: etcd would keep such a watch open,
    /// silent, and skip whatever a history that went back writes until then.
    async fn watch(&self, range: KeyRange, from: R) -> Result<SimStream<R>, Failure> {
        self.read(|model| match model.revision().next() < from {
            true => Err(Failure::new(FailureClass::Retry, "the watch starts in the future")),
            false => Ok(()),
        })?;
        Ok(SimStream::open(self.clone(), range, from))
    }
}

impl CommitTxn for SimStandby {
    async fn commit(&self, txn: Txn) -> Result<Commit, Failure> {
        self.commit_now(txn)
    }
}
