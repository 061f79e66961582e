//! One side of a comparison: its pages, one being merged, the next on its way.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use etcd_mvcc::{
    Entry, Failure, Key, KeyRange, Page, PageRequest, PageSize, ReadRange, Revision, Walk,
};

use crate::Breach;

/// A page on its way.
struct Reading<'a, R> {
    request: PageRequest<R>,
    answer: Pin<Box<dyn Future<Output = Result<Page<R>, Failure>> + Send + 'a>>,
}

/// Why a page is of no use.
#[derive(Debug)]
pub(crate) enum FeedError {
    Failed(Failure),
    Broken(Breach),
}

/// Reads the pages of one side. At most one page is on its way or waits here; the caller holds at
/// most one more.
pub(crate) struct Feed<'a, S: ReadRange> {
    reader: &'a S,
    at: S::Revision,
    walk: Walk,
    reading: Option<Reading<'a, S::Revision>>,
    ready: Option<Vec<Entry<S::Revision>>>,
    failed: Option<FeedError>,
    pages: u64,
}

impl<'a, S: ReadRange> Feed<'a, S> {
    /// Plans to read `ranges` at `at`, beyond `after`.
    pub(crate) fn new(
        reader: &'a S,
        ranges: &[KeyRange],
        at: S::Revision,
        after: Option<&Key>,
        (size, keys_only): (PageSize, bool),
    ) -> Self {
        let mut walk = Walk::new(ranges, size, keys_only);
        if let Some(after) = after {
            walk.skip_to(&after.successor());
        }
        Self { reader, at, walk, reading: None, ready: None, failed: None, pages: 0 }
    }

    /// What has been learned of the size of pages.
    pub(crate) fn page_size(&self) -> PageSize {
        self.walk.page_size()
    }

    /// How many pages have come.
    pub(crate) fn pages(&self) -> u64 {
        self.pages
    }

    /// Drives the read of the next page, and starts it if need be; [`Feed::take`] says what came
    /// of it. Once a failure has been taken, the next poll reads the same page again. A page that is
    /// too large, or does not come in time, is read in smaller pieces.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) {
        while self.ready.is_none() && self.failed.is_none() && self.poll_page(cx) {}
    }

    /// Returns whether a smaller page is to be asked for.
    fn poll_page(&mut self, cx: &mut Context<'_>) -> bool {
        if self.reading.is_none() {
            let Some(request) = self.walk.request(Some(self.at)) else { return false };
            let answer = Box::pin(self.reader.read_page(request.clone()));
            self.reading = Some(Reading { request, answer });
        }
        let Some(Reading { request, answer }) = &mut self.reading else { return false };
        let Poll::Ready(result) = answer.as_mut().poll(cx) else { return false };
        if let Err(failure) = &result
            && self.walk.failed(failure)
        {
            self.reading = None;
            return true;
        }
        let accepted = result.map_err(FeedError::Failed).and_then(|page| {
            inspect(request, &page).map_err(FeedError::Broken)?;
            Ok(page)
        });
        match accepted {
            Ok(page) => {
                self.walk.advance(request, &page);
                self.ready = Some(page.entries);
                self.pages += 1;
            }
            Err(error) => self.failed = Some(error),
        }
        self.reading = None;
        false
    }

    /// Takes the page that was read: `None` if it is still on its way.
    pub(crate) fn take(&mut self) -> Option<Result<Fed<S::Revision>, FeedError>> {
        if let Some(error) = self.failed.take() {
            return Some(Err(error));
        }
        match self.ready.take() {
            Some(entries) => Some(Ok(Fed::Page(entries))),
            None if self.reading.is_none() && self.walk.cursor().is_none() => Some(Ok(Fed::End)),
            None => None,
        }
    }

    /// How many entries wait here.
    pub(crate) fn waiting(&self) -> usize {
        self.ready.as_ref().map_or(0, Vec::len)
    }
}

/// What a feed gives.
#[derive(Debug)]
pub(crate) enum Fed<R> {
    Page(Vec<Entry<R>>),
    End,
}

/// Refuses what etcd never answers, before anything is concluded from it: a page out of order would
/// make differences that are none, and an empty one that claims to be cut would hide some.
fn inspect<R: Revision>(request: &PageRequest<R>, page: &Page<R>) -> Result<(), Breach> {
    if request.at.is_some_and(|at| at != page.at) {
        return Err(Breach::Revision);
    }
    if page.entries.len() > request.limit {
        return Err(Breach::Limit);
    }
    let mut previous: Option<&Key> = None;
    for entry in &page.entries {
        let in_order = previous.is_none_or(|previous| *previous < entry.key);
        let in_range = request.range.contains(entry.key.as_bytes());
        if !in_order || !in_range || entry.modified > page.at {
            return Err(Breach::Order);
        }
        previous = Some(&entry.key);
    }
    let returned = u64::try_from(page.entries.len()).unwrap_or(u64::MAX);
    let consistent =
        if page.more { returned > 0 && page.count > returned } else { page.count == returned };
    if consistent { Ok(()) } else { Err(Breach::Count) }
}
