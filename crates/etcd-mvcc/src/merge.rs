//! The one merge-join: two sorted streams in, differences out, constant memory.

use std::collections::VecDeque;

use crate::{Entry, PrimaryRevision, StandbyRevision};

/// One of the two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The cluster that is read.
    Primary,
    /// The cluster that is written.
    Standby,
}

/// What the merge has to say next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It can't go on before this side is fed, or ended.
    Need(Side),
    /// A key that the primary alone has.
    Missed(Entry<PrimaryRevision>),
    /// A key that the standby alone has.
    Surplus(Entry<StandbyRevision>),
    /// A key that both have; whether they agree is for the caller to say.
    Both(Entry<PrimaryRevision>, Entry<StandbyRevision>),
    /// Both streams have ended and everything has been told.
    Done,
}

/// Joins two streams of entries, each ascending by key, page by page.
///
/// Feed a side with [`Merge::feed_primary`] or [`Merge::feed_standby`], end it with
/// [`Merge::end`], and call [`Merge::step`] until it asks for more. Keys are compared as the
/// standby spells them: map the primary's keys before feeding.
#[derive(Debug, Default)]
pub struct Merge {
    primary: VecDeque<Entry<PrimaryRevision>>,
    standby: VecDeque<Entry<StandbyRevision>>,
    primary_ended: bool,
    standby_ended: bool,
}

impl Merge {
    /// Starts with two empty streams.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends entries of the primary, in ascending order, beyond all fed before.
    pub fn feed_primary(&mut self, entries: impl IntoIterator<Item = Entry<PrimaryRevision>>) {
        self.primary.extend(entries);
    }

    /// Appends entries of the standby, in ascending order, beyond all fed before.
    pub fn feed_standby(&mut self, entries: impl IntoIterator<Item = Entry<StandbyRevision>>) {
        self.standby.extend(entries);
    }

    /// Says that a side has no more entries.
    pub fn end(&mut self, side: Side) {
        match side {
            Side::Primary => self.primary_ended = true,
            Side::Standby => self.standby_ended = true,
        }
    }

    /// Returns how many entries of a side wait to be compared.
    #[must_use]
    pub fn waiting(&self, side: Side) -> usize {
        match side {
            Side::Primary => self.primary.len(),
            Side::Standby => self.standby.len(),
        }
    }

    /// Returns the next difference or agreement, or what is missing to find it.
    pub fn step(&mut self) -> Step {
        use std::cmp::Ordering;

        let order = match (self.primary.front(), self.standby.front()) {
            (None, _) if !self.primary_ended => return Step::Need(Side::Primary),
            (_, None) if !self.standby_ended => return Step::Need(Side::Standby),
            (None, None) => return Step::Done,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(primary), Some(standby)) => primary.key.cmp(&standby.key),
        };
        let primary = if order.is_le() { self.primary.pop_front() } else { None };
        let standby = if order.is_ge() { self.standby.pop_front() } else { None };
        match (primary, standby) {
            (Some(primary), Some(standby)) => Step::Both(primary, standby),
            (Some(primary), None) => Step::Missed(primary),
            (None, Some(standby)) => Step::Surplus(standby),
            (None, None) => Step::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::{Key, Revision, Value};

    fn entry<R: Revision>(key: u8) -> Entry<R> {
        Entry {
            key: Key::from(vec![key]),
            value: Value::default(),
            created: R::new(1),
            modified: R::new(1),
            version: 1,
            lease: 0,
        }
    }

    proptest! {
        #[test]
        fn a_merge_is_set_algebra_however_the_pages_fall(
            primary in prop::collection::btree_set(any::<u8>(), 0..40),
            standby in prop::collection::btree_set(any::<u8>(), 0..40),
            page in 1usize..9,
        ) {
            let mut merge = Merge::new();
            let mut left = primary.iter().map(|key| entry(*key));
            let mut right = standby.iter().map(|key| entry(*key));
            let (mut missed, mut surplus, mut both) =
                (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
            loop {
                match merge.step() {
                    Step::Need(Side::Primary) => match left.by_ref().take(page).collect::<Vec<_>>() {
                        entries if entries.is_empty() => merge.end(Side::Primary),
                        entries => merge.feed_primary(entries),
                    },
                    Step::Need(Side::Standby) => match right.by_ref().take(page).collect::<Vec<_>>() {
                        entries if entries.is_empty() => merge.end(Side::Standby),
                        entries => merge.feed_standby(entries),
                    },
                    Step::Missed(entry) => { missed.insert(entry.key.as_bytes()[0]); }
                    Step::Surplus(entry) => { surplus.insert(entry.key.as_bytes()[0]); }
                    Step::Both(a, b) => {
                        prop_assert_eq!(&a.key, &b.key);
                        both.insert(a.key.as_bytes()[0]);
                    }
                    Step::Done => break,
                }
            }
            prop_assert_eq!(missed, primary.difference(&standby).copied().collect());
            prop_assert_eq!(surplus, standby.difference(&primary).copied().collect());
            prop_assert_eq!(both, primary.intersection(&standby).copied().collect());
        }
    }
}
