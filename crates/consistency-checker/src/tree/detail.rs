//! Every key of some ranges, with the fingerprint of its value.

use std::fmt;
use std::io::{BufRead, Write};

use etcd_mvcc::{Key, KeyRange, Value};

use super::error::{FileDefect, ParseFileError, RecordError};
use super::file::FileLimits;
use super::frame::{FrameReader, FrameWriter};
use super::header::{FileHeader, FileTotals};
use super::range_list::{RangeList, range_line};
use super::wire::{Hash, KeyText, Kind, Line, Plain};

/// Writes keys and fingerprints down as they come. Memory holds the ranges and one line.
pub struct DetailWriter<W> {
    frame: FrameWriter<W>,
    ranges: RangeList,
    last: Key,
    totals: FileTotals,
    keys_max: u64,
}

impl<W> fmt::Debug for DetailWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DetailWriter").field("totals", &self.totals).finish_non_exhaustive()
    }
}

impl<W: Write> DetailWriter<W> {
    /// Begins a file that covers `ranges`, as the standby spells keys.
    ///
    /// # Errors
    ///
    /// [`RecordError::Ranges`] if there are none, or they are not sorted and disjoint; or the file
    /// could not be written.
    pub fn new(
        output: W,
        header: &FileHeader,
        ranges: &[KeyRange],
        limits: &FileLimits,
    ) -> Result<Self, RecordError> {
        let mut list = RangeList::default();
        for range in ranges {
            list.append(range.clone()).map_err(|_| RecordError::Ranges)?;
        }
        if ranges.is_empty() {
            return Err(RecordError::Ranges);
        }
        let mut frame = FrameWriter::new(output, limits.bytes);
        frame.line(&header.text(Kind::Detail, None))?;
        for range in ranges {
            frame.line(&range_line(range))?;
        }
        let (last, totals) = (Key::default(), FileTotals::default());
        Ok(Self { frame, ranges: list, last, totals, keys_max: limits.keys })
    }

    /// Adds a key, as the standby spells it, if the ranges hold it. Keys come in ascending order.
    ///
    /// # Errors
    ///
    /// The key is not beyond the one before it, or is one too many, or could not be written. The
    /// file is then of no use.
    pub fn push(&mut self, key: &Key, value: &Value) -> Result<(), RecordError> {
        if *key <= self.last {
            return Err(RecordError::Order { key: key.clone() });
        }
        self.last = key.clone();
        if !self.ranges.holds(key) {
            return Ok(());
        }
        if self.totals.keys >= self.keys_max {
            return Err(RecordError::TooManyKeys { max: self.keys_max });
        }
        self.totals.add(key.len(), value.len());
        let fingerprint = Plain(Hash(value.fingerprint()));
        self.frame.line(&Line::Entry { key: KeyText(key.clone()), fingerprint })
    }

    /// Ends the file. One that was not ended is refused by whoever reads it.
    ///
    /// # Errors
    ///
    /// The file could not be written.
    pub fn finish(mut self) -> Result<FileTotals, RecordError> {
        self.frame.line(&Line::from(self.totals))?;
        self.frame.end()?;
        Ok(self.totals)
    }
}

/// Reads keys and fingerprints one by one. Memory holds the ranges and one line.
pub struct DetailReader<R> {
    frame: FrameReader<R>,
    header: FileHeader,
    ranges: RangeList,
    /// The line after the ranges, until it is looked at.
    pending: Option<Line>,
    last: Key,
    keys: u64,
    keys_max: u64,
    /// How the file ended, once it has.
    ended: Option<Result<(), ParseFileError>>,
}

impl<R> fmt::Debug for DetailReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DetailReader").field("header", &self.header).finish_non_exhaustive()
    }
}

impl<R: BufRead> DetailReader<R> {
    pub(crate) fn start(
        mut frame: FrameReader<R>,
        header: FileHeader,
        keys_max: u64,
    ) -> Result<Self, ParseFileError> {
        let mut ranges = RangeList::default();
        let pending = Some(ranges.read(&mut frame)?);
        if ranges.as_slice().is_empty() {
            return Err(frame.error(FileDefect::Misplaced));
        }
        let (last, ended) = (Key::default(), None);
        Ok(Self { frame, header, ranges, pending, last, keys: 0, keys_max, ended })
    }

    /// Returns whose keys these are.
    #[must_use]
    pub fn header(&self) -> &FileHeader {
        &self.header
    }

    /// Returns the ranges that the file covers, as the standby spells keys.
    #[must_use]
    pub fn ranges(&self) -> &[KeyRange] {
        self.ranges.as_slice()
    }

    /// Returns how many keys were read so far.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// Returns the next key, as the standby spells it, with its fingerprint; `None` at the end of
    /// the file. What came before counts only once that `None` has come: the file may be cut, or
    /// have been changed.
    ///
    /// # Errors
    ///
    /// The bytes are no whole file. Every later call says the same.
    pub fn next_entry(&mut self) -> Result<Option<(Key, u128)>, ParseFileError> {
        if let Some(ended) = self.ended {
            return ended.map(|()| None);
        }
        let read = self.read_entry();
        match read {
            Ok(Some(_)) => {}
            Ok(None) => self.ended = Some(Ok(())),
            Err(error) => self.ended = Some(Err(error)),
        }
        read
    }

    fn read_entry(&mut self) -> Result<Option<(Key, u128)>, ParseFileError> {
        let line = match self.pending.take() {
            Some(line) => line,
            None => self.frame.next_line()?,
        };
        match line {
            Line::Entry { key: KeyText(key), fingerprint: Plain(Hash(fingerprint)) } => {
                self.accept(&key).map_err(|defect| self.frame.error(defect))?;
                Ok(Some((key, fingerprint)))
            }
            Line::Totals { keys, .. } if keys == self.keys => {
                let last = self.frame.next_line()?;
                self.frame.end(&last)?;
                Ok(None)
            }
            Line::Totals { .. } => Err(self.frame.error(FileDefect::Totals)),
            Line::Leaf { .. } | Line::Range { .. } | Line::End { .. } => {
                Err(self.frame.error(FileDefect::Misplaced))
            }
        }
    }

    fn accept(&mut self, key: &Key) -> Result<(), FileDefect> {
        if self.keys >= self.keys_max {
            return Err(FileDefect::TooMany { max: self.keys_max });
        }
        if *key <= self.last {
            return Err(FileDefect::Order);
        }
        if !self.ranges.holds(key) {
            return Err(FileDefect::OutOfRange);
        }
        self.keys += 1;
        self.last = key.clone();
        Ok(())
    }
}
