//! The comparison of two clusters.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};

use etcd_mvcc::{
    Entry, FailureClass, Key, KeyRange, Merge, PageSizes, PrimaryRevision, ReadRange, Side,
    StandbyRevision, Step,
};

use crate::feed::{Fed, Feed, FeedError};
use crate::{Cut, DiffError, Difference, Interrupted, Pins, Summary};

/// The primary's side of a comparison.
#[derive(Debug)]
pub struct PrimarySide<'a, P, M> {
    /// How to read it.
    pub reader: &'a P,
    /// What to read, sorted and disjoint.
    pub ranges: &'a [KeyRange],
    /// The revision to read at.
    pub at: PrimaryRevision,
    /// How the standby spells a key; `None` if the key is not in scope. It has to keep the order of
    /// the keys in scope: that is checked.
    pub map: M,
}

/// The standby's side of a comparison.
#[derive(Debug)]
pub struct StandbySide<'a, S, A> {
    /// How to read it.
    pub reader: &'a S,
    /// What to read, sorted and disjoint.
    pub ranges: &'a [KeyRange],
    /// The revision to read at.
    pub at: StandbyRevision,
    /// Whether a key is in scope. It must be so for every key that the primary's side maps to.
    pub admits: A,
}

/// How to compare.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How large pages may get, as far as is known. Memory is bounded by two pages per side.
    pub sizes: PageSizes,
    /// Compare which keys there are, and leave the values unread.
    pub keys_only: bool,
    /// Go on after what another comparison has done.
    pub after: Option<Cut>,
}

/// A comparison under way: ask for one difference after another.
///
/// While one page of each side is merged, the next one is on its way: memory holds at most two
/// pages per side, and a slow consumer slows the reading down.
pub struct Diff<'a, P: ReadRange, S: ReadRange, M, A> {
    primary: Feed<'a, P>,
    standby: Feed<'a, S>,
    map: M,
    admits: A,
    merge: Merge,
    /// The primary's spelling of the keys that wait in the merge, in its order.
    sources: VecDeque<Key>,
    /// The last key of the primary in scope, as the standby spells it.
    last_mapped: Option<Key>,
    /// What another comparison has covered, as the standby spells it.
    after: Option<Key>,
    reached: Option<Cut>,
    summary: Summary,
    /// The comparison has ended with an error after which it can't go on.
    broken: Option<DiffError>,
}

impl<P: ReadRange, S: ReadRange, M, A> fmt::Debug for Diff<'_, P, S, M, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Diff")
            .field("reached", &self.reached)
            .field("summary", &self.summary)
            .finish_non_exhaustive()
    }
}

impl<'a, P, S, M, A> Diff<'a, P, S, M, A>
where
    P: ReadRange<Revision = PrimaryRevision>,
    S: ReadRange<Revision = StandbyRevision>,
    M: FnMut(&Key) -> Option<Key>,
    A: FnMut(&Key) -> bool,
{
    /// Plans a comparison. Nothing is read before the first call of [`Diff::next`].
    pub fn new(
        primary: PrimarySide<'a, P, M>,
        standby: StandbySide<'a, S, A>,
        options: &Options,
    ) -> Self {
        let after = options.after.as_ref();
        let sizes = options.sizes;
        let how = |size| (size, options.keys_only);
        let resume = after.and_then(|cut| cut.primary.as_ref());
        Self {
            primary: Feed::new(
                primary.reader,
                primary.ranges,
                primary.at,
                resume,
                how(sizes.primary),
            ),
            standby: Feed::new(
                standby.reader,
                standby.ranges,
                standby.at,
                after.map(|cut| &cut.standby),
                how(sizes.standby),
            ),
            map: primary.map,
            admits: standby.admits,
            merge: Merge::new(),
            sources: VecDeque::new(),
            last_mapped: None,
            after: after.map(|cut| cut.standby.clone()),
            reached: options.after.clone(),
            summary: Summary::new(Pins { primary: primary.at, standby: standby.at }),
            broken: None,
        }
    }

    /// Returns what has been compared so far. It is the whole answer once [`Diff::next`] has
    /// returned `None`.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Returns what has been learned of the size of pages, for the next comparison.
    #[must_use]
    pub fn page_sizes(&self) -> PageSizes {
        PageSizes { primary: self.primary.page_size(), standby: self.standby.page_size() }
    }

    /// Returns how many pages have come: while more of them come, the comparison makes progress.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.primary.pages() + self.standby.pages()
    }

    /// Returns how far the comparison has come.
    #[must_use]
    pub fn reached(&self) -> Option<&Cut> {
        self.reached.as_ref()
    }

    /// Returns how many entries of a side are held in memory: at most two pages.
    #[must_use]
    pub fn waiting(&self, side: Side) -> usize {
        self.merge.waiting(side)
            + match side {
                Side::Primary => self.primary.waiting(),
                Side::Standby => self.standby.waiting(),
            }
    }

    /// Returns the next difference, ascending by the standby's spelling of keys; `None` once
    /// everything has been compared.
    ///
    /// # Errors
    ///
    /// [`DiffError::Compacted`] ends the comparison at these pins; [`DiffError::Broken`] and
    /// [`DiffError::Unordered`] end it for good. After [`DiffError::Unread`], another call tries
    /// the read again.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a dropped call loses nothing, and the next one goes on from there.
    pub async fn next(&mut self) -> Result<Option<Difference>, DiffError> {
        loop {
            if let Some(error) = &self.broken {
                return Err(error.clone());
            }
            match self.merge.step() {
                Step::Need(side) => {
                    poll_fn(|cx| self.poll_feed(side, cx)).await.inspect_err(|error| {
                        if error.interrupted().is_none() {
                            self.broken = Some(error.clone());
                        }
                    })?;
                }
                Step::Missed(primary) => {
                    self.summary.missed += 1;
                    let source = self.compared_primary(&primary);
                    return Ok(Some(Difference::Missed { source, primary }));
                }
                Step::Surplus(standby) => {
                    self.summary.surplus += 1;
                    self.compared_standby(&standby);
                    return Ok(Some(Difference::Surplus { standby }));
                }
                Step::Both(primary, standby) => {
                    let source = self.compared_primary(&primary);
                    self.summary.bytes += size(&standby);
                    // With keys only, both values are empty: presence is all that counts.
                    if primary.value != standby.value {
                        self.summary.different += 1;
                        return Ok(Some(Difference::Different { source, primary, standby }));
                    }
                }
                Step::Done => return Ok(None),
            }
        }
    }

    fn compared_primary(&mut self, entry: &Entry<PrimaryRevision>) -> Key {
        let source = self.sources.pop_front().unwrap_or_default();
        self.summary.keys += 1;
        self.summary.bytes += size(entry);
        self.reached = Some(Cut { standby: entry.key.clone(), primary: Some(source.clone()) });
        source
    }

    fn compared_standby(&mut self, entry: &Entry<StandbyRevision>) {
        self.summary.keys += 1;
        self.summary.bytes += size(entry);
        let primary = self.reached.take().and_then(|cut| cut.primary);
        self.reached = Some(Cut { standby: entry.key.clone(), primary });
    }

    /// Waits for the next page of `side`, and lets the other side's next page come meanwhile.
    fn poll_feed(&mut self, side: Side, cx: &mut Context<'_>) -> Poll<Result<(), DiffError>> {
        self.primary.poll(cx);
        self.standby.poll(cx);
        match side {
            Side::Primary => match self.primary.take() {
                None => return Poll::Pending,
                Some(Err(error)) => return Poll::Ready(Err(self.error(side, error))),
                Some(Ok(Fed::Page(entries))) => self.feed_primary(entries)?,
                Some(Ok(Fed::End)) => self.merge.end(side),
            },
            Side::Standby => match self.standby.take() {
                None => return Poll::Pending,
                Some(Err(error)) => return Poll::Ready(Err(self.error(side, error))),
                Some(Ok(Fed::Page(entries))) => self.feed_standby(entries),
                Some(Ok(Fed::End)) => self.merge.end(side),
            },
        }
        // Sends for the page after this one before this one is merged.
        self.primary.poll(cx);
        self.standby.poll(cx);
        Poll::Ready(Ok(()))
    }

    fn feed_primary(&mut self, entries: Vec<Entry<PrimaryRevision>>) -> Result<(), DiffError> {
        for mut entry in entries {
            let Some(mapped) = (self.map)(&entry.key) else { continue };
            if self.last_mapped.as_ref().is_some_and(|last| *last >= mapped) {
                return Err(DiffError::Unordered { key: entry.key });
            }
            self.last_mapped = Some(mapped.clone());
            // The standby's side has skipped it, too.
            if self.after.as_ref().is_some_and(|after| mapped <= *after) {
                continue;
            }
            self.sources.push_back(std::mem::replace(&mut entry.key, mapped));
            self.merge.feed_primary([entry]);
        }
        Ok(())
    }

    fn feed_standby(&mut self, entries: Vec<Entry<StandbyRevision>>) {
        let admits = &mut self.admits;
        self.merge.feed_standby(entries.into_iter().filter(|entry| admits(&entry.key)));
    }

    fn error(&self, side: Side, error: FeedError) -> DiffError {
        let failure = match error {
            FeedError::Broken(breach) => return DiffError::Broken { side, breach },
            FeedError::Failed(failure) => failure,
        };
        let compacted = failure.class == FailureClass::Resync;
        let reached = self.reached.clone();
        let interrupted = Box::new(Interrupted { side, reached, so_far: self.summary, failure });
        if compacted { DiffError::Compacted(interrupted) } else { DiffError::Unread(interrupted) }
    }
}

/// Compares two clusters at two pinned revisions, and hands every difference to `sink`, ascending
/// by the standby's spelling of keys.
///
/// # Errors
///
/// Whatever kept the comparison from being finished, with how far it came. What `sink` was handed
/// before an interruption holds; the whole has no answer.
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind, and no answer.
pub async fn diff<P, S, M, A>(
    primary: PrimarySide<'_, P, M>,
    standby: StandbySide<'_, S, A>,
    options: &Options,
    mut sink: impl FnMut(Difference),
) -> Result<Summary, DiffError>
where
    P: ReadRange<Revision = PrimaryRevision>,
    S: ReadRange<Revision = StandbyRevision>,
    M: FnMut(&Key) -> Option<Key>,
    A: FnMut(&Key) -> bool,
{
    let mut diff = Diff::new(primary, standby, options);
    while let Some(difference) = diff.next().await? {
        sink(difference);
    }
    Ok(*diff.summary())
}

fn size<R>(entry: &Entry<R>) -> u64 {
    u64::try_from(entry.key.len() + entry.value.len()).unwrap_or(u64::MAX)
}
