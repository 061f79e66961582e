//! Who may be connected: a bounded number, and whoever has something to ask before whoever has not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// All seats.
///
/// A connection whose request has not arrived is cheap to lose: when all seats are taken, the
/// oldest of those makes room for a new one. So a fresh client is heard however many others stay
/// silent, and a request that has arrived is never thrown out for another.
#[derive(Debug)]
pub(super) struct Seats {
    max: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    /// Those whose request has not arrived, oldest first, and how to unseat them.
    silent: BTreeMap<u64, CancellationToken>,
    /// Those whose request has.
    heard: BTreeSet<u64>,
}

impl Seats {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max: max.max(1), taken: Mutex::default() })
    }

    pub(super) fn are_taken(&self) -> bool {
        let taken = self.taken();
        taken.silent.len() + taken.heard.len() >= self.max
    }

    /// Takes a seat for a new connection; `None` if all belong to requests that have arrived.
    pub(super) fn take(self: &Arc<Self>) -> Option<Seat> {
        let mut taken = self.taken();
        if taken.silent.len() + taken.heard.len() >= self.max {
            let (_, oldest) = taken.silent.pop_first()?;
            oldest.cancel();
        }
        let (id, lost) = (taken.next, CancellationToken::new());
        taken.next += 1;
        taken.silent.insert(id, lost.clone());
        Some(Seat { seats: Arc::clone(self), id, lost })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Nothing that holds the lock can leave it half changed.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's seat, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    id: u64,
    lost: CancellationToken,
}

impl Seat {
    /// Notes that the connection's request has arrived: the seat can't be lost any more.
    pub(super) fn request_arrived(&self) {
        let mut taken = self.seats.taken();
        if taken.silent.remove(&self.id).is_some() {
            taken.heard.insert(self.id);
        }
    }

    /// Tells whether the connection's request has arrived.
    pub(super) fn is_heard(&self) -> bool {
        self.seats.taken().heard.contains(&self.id)
    }

    /// Waits for the seat to be lost to another connection.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        taken.silent.remove(&self.id);
        taken.heard.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_silent_connection_makes_room() {
        let seats = Seats::new(2);
        let first = seats.take().unwrap();
        let second = seats.take().unwrap();
        let third = seats.take().unwrap();
        assert!(first.lost.is_cancelled());
        assert!(!second.lost.is_cancelled() && !third.lost.is_cancelled());
        drop(first);
        assert!(seats.are_taken(), "a lost seat is not given back twice");
    }

    #[test]
    fn a_request_that_has_arrived_keeps_its_seat() {
        let seats = Seats::new(2);
        let first = seats.take().unwrap();
        first.request_arrived();
        let second = seats.take().unwrap();
        let third = seats.take().unwrap();
        assert!(!first.lost.is_cancelled() && second.lost.is_cancelled());
        third.request_arrived();
        assert!(seats.take().is_none(), "there is nobody to unseat");
        drop(third);
        assert!(seats.take().is_some());
    }
}
