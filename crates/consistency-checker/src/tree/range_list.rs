//! The ranges that a detail covers.

use std::io::BufRead;

use etcd_mvcc::{Key, KeyRange};

use super::builder::LEAVES_MAX;
use super::error::{FileDefect, ParseFileError};
use super::frame::FrameReader;
use super::sum::BOUNDARY_BYTES_MAX;
use super::wire::{KeyText, Line};

/// Ranges that a comparison of two trees can yield, and how far a walk through them has come.
#[derive(Debug, Default)]
pub(crate) struct RangeList {
    ranges: Vec<KeyRange>,
    /// The first range that the walk has not left.
    current: usize,
}

impl RangeList {
    /// Appends a range beyond all others. Number and size are bounded as those of leaves are.
    pub(crate) fn append(&mut self, range: KeyRange) -> Result<(), FileDefect> {
        if self.ranges.len() >= LEAVES_MAX {
            return Err(FileDefect::TooMany { max: u64::try_from(LEAVES_MAX).unwrap_or(u64::MAX) });
        }
        let beyond = self
            .ranges
            .last()
            .is_none_or(|last| last.end().is_some_and(|end| end <= range.start()));
        let short = |key: &Key| key.len() <= BOUNDARY_BYTES_MAX;
        let bounded = short(range.start()) && range.end().is_none_or(short);
        if !beyond || !bounded || range.is_empty() {
            return Err(FileDefect::Range);
        }
        self.ranges.push(range);
        Ok(())
    }

    /// Reads all ranges, and returns the line after them.
    pub(crate) fn read<R: BufRead>(
        &mut self,
        frame: &mut FrameReader<R>,
    ) -> Result<Line, ParseFileError> {
        loop {
            let line = frame.next_line()?;
            let Line::Range { start: KeyText(start), end } = line else { return Ok(line) };
            let range = match end {
                Some(KeyText(end)) => KeyRange::new(start, end),
                None => KeyRange::from_key(start),
            };
            self.append(range).map_err(|defect| frame.error(defect))?;
        }
    }

    /// Tells whether a key lies in the ranges. Keys are asked for in ascending order.
    pub(crate) fn holds(&mut self, key: &Key) -> bool {
        while let Some(range) = self.ranges.get(self.current) {
            if range.end().is_none_or(|end| key < end) {
                return range.contains(key.as_bytes());
            }
            self.current += 1;
        }
        false
    }

    pub(crate) fn as_slice(&self) -> &[KeyRange] {
        &self.ranges
    }

    pub(crate) fn into_inner(self) -> Vec<KeyRange> {
        self.ranges
    }
}

pub(crate) fn range_line(range: &KeyRange) -> Line {
    let end = range.end().cloned().map(KeyText);
    Line::Range { start: KeyText(range.start().clone()), end }
}
