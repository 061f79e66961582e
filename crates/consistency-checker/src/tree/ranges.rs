//! Ranges to look at again, and the file that carries them there.

use std::io::{BufRead, Write};

use etcd_mvcc::{KeyRange, PrimaryRevision, Revision, StandbyRevision};

use super::error::{FileDefect, ParseFileError, RecordError};
use super::file::{FileLimits, opening};
use super::frame::{FrameReader, FrameWriter};
use super::header::PinnedPair;
use super::range_list::{RangeList, range_line};
use super::wire::{ClusterText, EndText, FORMAT, Kind, Plain, RangesHeaderText, VERSION};
use crate::Pins;

/// The ranges that differ between two trees: what a second pass has to look at, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeFile {
    /// The sides that were compared, and the revisions to read them at again. If those have been
    /// compacted, the ranges can be read at a newer pair: what differs there is then told as of
    /// that pair.
    pub pair: PinnedPair,
    /// The ranges, as the standby spells keys: sorted and disjoint.
    pub ranges: Vec<KeyRange>,
}

impl RangeFile {
    /// Writes the ranges down.
    ///
    /// # Errors
    ///
    /// [`RecordError::Ranges`], or the file could not be written.
    pub fn write_to(&self, output: impl Write, limits: &FileLimits) -> Result<(), RecordError> {
        let mut known = RangeList::default();
        let mut frame = FrameWriter::new(output, limits.bytes);
        let (pair, Pins { primary, standby }) = (&self.pair, self.pair.pins);
        let end = |cluster, revision| EndText { cluster: Plain(ClusterText(cluster)), revision };
        frame.line(&RangesHeaderText {
            format: FORMAT.to_owned(),
            version: VERSION,
            kind: Kind::Ranges,
            mirror: pair.mirror.clone(),
            scope: Plain(pair.scope),
            primary: end(pair.primary, primary.get()),
            standby: end(pair.standby, standby.get()),
        })?;
        for range in &self.ranges {
            known.append(range.clone()).map_err(|_| RecordError::Ranges)?;
            frame.line(&range_line(range))?;
        }
        frame.end()
    }

    /// Reads a file of ranges.
    ///
    /// # Errors
    ///
    /// The bytes are no whole file of this kind.
    pub fn read(input: impl BufRead, limits: &FileLimits) -> Result<Self, ParseFileError> {
        let mut frame = FrameReader::new(input, limits.bytes);
        if opening(&mut frame)? != Kind::Ranges {
            return Err(frame.error(FileDefect::Kind));
        }
        let text: RangesHeaderText = frame.parse()?;
        let (Plain(scope), Plain(primary), Plain(standby)) =
            (text.scope, text.primary.cluster, text.standby.cluster);
        let pair = PinnedPair {
            mirror: text.mirror,
            scope,
            primary: primary.0,
            standby: standby.0,
            pins: Pins {
                primary: PrimaryRevision::new(text.primary.revision),
                standby: StandbyRevision::new(text.standby.revision),
            },
        };
        let mut ranges = RangeList::default();
        let last = ranges.read(&mut frame)?;
        frame.end(&last)?;
        Ok(Self { pair, ranges: ranges.into_inner() })
    }
}
