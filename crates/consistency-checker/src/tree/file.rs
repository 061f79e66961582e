//! Reading and writing a tree; telling what a file is.

use std::io::{BufRead, Write};

use etcd_mvcc::{PrimaryRevision, Revision, StandbyRevision};

use super::builder::{LEAVES_MAX, Leaf, Tree};
use super::detail::DetailReader;
use super::error::{FileDefect, ParseFileError, RecordError};
use super::frame::{FrameReader, FrameWriter};
use super::header::{FileHeader, FileTotals, Mirrored, Origin};
use super::sum::{LEVEL_MAX, RangeSum, begins_leaf};
use super::wire::{
    ClusterText, FORMAT, Hash, HeaderText, KeyText, Kind, KindText, Line, Opening, PairText, Plain,
    SideText, VERSION,
};

/// How large a file may be, written or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLimits {
    /// The most keys that a detail may name. Default 1,000,000. They are not held in memory, but
    /// the file names every one of them.
    pub keys: u64,
    /// The most bytes of a file. Default 1 GiB.
    pub bytes: u64,
}

impl Default for FileLimits {
    fn default() -> Self {
        Self { keys: 1_000_000, bytes: 1 << 30 }
    }
}

/// A file that speaks of one side.
#[derive(Debug)]
pub enum DigestFile<R> {
    /// Of ranges, each with a count and a sum; in memory.
    Tree(Tree),
    /// Of keys, each with a fingerprint; yet to be read.
    Detail(Box<DetailReader<R>>),
}

impl<R: BufRead> DigestFile<R> {
    /// Reads a tree, or the ranges of a detail. Memory is bounded by what a tree may hold.
    ///
    /// # Errors
    ///
    /// The bytes are no whole file of this kind.
    pub fn open(input: R, limits: &FileLimits) -> Result<Self, ParseFileError> {
        let mut frame = FrameReader::new(input, limits.bytes);
        match opening(&mut frame)? {
            Kind::Tree => {
                let text: HeaderText = frame.parse()?;
                let level = text.level.filter(|level| *level <= LEVEL_MAX);
                let header = FileHeader::from_text(text);
                let (Some(header), Some(level)) = (header, level) else {
                    return Err(frame.error(FileDefect::Header));
                };
                Tree::read(frame, header, level).map(Self::Tree)
            }
            Kind::Detail => {
                let header = FileHeader::from_text(frame.parse()?);
                let header = header.ok_or_else(|| frame.error(FileDefect::Header))?;
                let detail = DetailReader::start(frame, header, limits.keys)?;
                Ok(Self::Detail(Box::new(detail)))
            }
            Kind::Ranges => Err(frame.error(FileDefect::Kind)),
        }
    }

    /// Returns whose keys the file speaks of.
    #[must_use]
    pub fn header(&self) -> &FileHeader {
        match self {
            Self::Tree(tree) => tree.header(),
            Self::Detail(detail) => detail.header(),
        }
    }
}

/// Reads the first line so far that it is known what the file is.
pub(crate) fn opening<R: BufRead>(frame: &mut FrameReader<R>) -> Result<Kind, ParseFileError> {
    frame.advance()?;
    let opening = frame.parse::<Opening>().ok().filter(|opening| opening.format == FORMAT);
    let Some(Opening { version, .. }) = opening else {
        return Err(frame.error(FileDefect::Foreign));
    };
    if version != VERSION {
        return Err(frame.error(FileDefect::Version { found: version, known: VERSION }));
    }
    Ok(frame.parse::<KindText>()?.kind)
}

impl FileHeader {
    pub(crate) fn text(&self, kind: Kind, level: Option<u8>) -> HeaderText {
        let (side, revision, pair) = match self.origin {
            Origin::Primary { at } => (SideText::Primary, at.get(), None),
            Origin::Standby { at, mirrors } => {
                let pair = mirrors.map(|mirrors| PairText {
                    cluster: Plain(ClusterText(mirrors.cluster)),
                    primary: mirrors.revision.get(),
                    standby: at.get(),
                });
                (SideText::Standby, at.get(), pair)
            }
        };
        HeaderText {
            format: FORMAT.to_owned(),
            version: VERSION,
            kind,
            side,
            mirror: self.mirror.clone(),
            scope: Plain(self.scope),
            cluster: Plain(ClusterText(self.cluster)),
            revision,
            pair,
            level,
        }
    }

    /// Returns `None` if the text contradicts itself.
    fn from_text(text: HeaderText) -> Option<Self> {
        let origin = match (text.side, text.pair) {
            (SideText::Primary, None) => {
                Origin::Primary { at: PrimaryRevision::new(text.revision) }
            }
            (SideText::Primary, Some(_)) => return None,
            (SideText::Standby, pair) => {
                if pair.as_ref().is_some_and(|pair| pair.standby != text.revision) {
                    return None;
                }
                let mirrors = pair.map(|PairText { cluster: Plain(cluster), primary, .. }| {
                    Mirrored { cluster: cluster.0, revision: PrimaryRevision::new(primary) }
                });
                Origin::Standby { at: StandbyRevision::new(text.revision), mirrors }
            }
        };
        let (Plain(scope), Plain(cluster)) = (text.scope, text.cluster);
        Some(Self { mirror: text.mirror, scope, cluster: cluster.0, origin })
    }
}

impl Tree {
    /// Writes the tree down.
    ///
    /// # Errors
    ///
    /// The file could not be written, or would be longer than `limits` has it.
    pub fn write_to(&self, output: impl Write, limits: &FileLimits) -> Result<(), RecordError> {
        let mut frame = FrameWriter::new(output, limits.bytes);
        frame.line(&self.header.text(Kind::Tree, Some(self.level)))?;
        frame.line(&leaf(None, self.head))?;
        for Leaf { from, sum } in &self.leaves {
            frame.line(&leaf(Some(KeyText(from.clone())), *sum))?;
        }
        frame.line(&Line::from(self.totals))?;
        frame.end()
    }

    fn read<R: BufRead>(
        mut frame: FrameReader<R>,
        header: FileHeader,
        level: u8,
    ) -> Result<Self, ParseFileError> {
        let mut tree = Self::empty(header, level);
        let Line::Leaf { from: None, keys, sum: Plain(Hash(sum)) } = frame.next_line()? else {
            return Err(frame.error(FileDefect::Misplaced));
        };
        tree.head = RangeSum { keys, sum };
        if keys == 0 && sum != 0 {
            return Err(frame.error(FileDefect::Range));
        }
        tree.totals.keys = keys;
        loop {
            match frame.next_line()? {
                Line::Leaf { from: Some(KeyText(from)), keys, sum: Plain(Hash(sum)) } => {
                    let leaf = Leaf { from, sum: RangeSum { keys, sum } };
                    tree.append(leaf).map_err(|defect| frame.error(defect))?;
                }
                Line::Totals { keys, bytes } => {
                    if keys != tree.totals.keys {
                        return Err(frame.error(FileDefect::Totals));
                    }
                    let last = frame.next_line()?;
                    frame.end(&last)?;
                    tree.totals = FileTotals { keys, bytes };
                    return Ok(tree);
                }
                Line::Leaf { from: None, .. }
                | Line::Range { .. }
                | Line::Entry { .. }
                | Line::End { .. } => return Err(frame.error(FileDefect::Misplaced)),
            }
        }
    }

    /// Appends a leaf that was read. A leaf that begins where none can would be compared with the
    /// wrong keys of the other side.
    fn append(&mut self, leaf: Leaf) -> Result<(), FileDefect> {
        if self.leaves() >= LEAVES_MAX {
            return Err(FileDefect::TooMany { max: u64::try_from(LEAVES_MAX).unwrap_or(u64::MAX) });
        }
        let beyond = self.leaves.last().is_none_or(|last| last.from < leaf.from);
        if !beyond || leaf.from.is_empty() || leaf.sum.keys == 0 {
            return Err(FileDefect::Range);
        }
        if !begins_leaf(&leaf.from, self.level) {
            return Err(FileDefect::Range);
        }
        let keys = self.totals.keys.checked_add(leaf.sum.keys);
        self.totals.keys = keys.ok_or(FileDefect::Totals)?;
        self.leaves.push(leaf);
        Ok(())
    }
}

fn leaf(from: Option<KeyText>, RangeSum { keys, sum }: RangeSum) -> Line {
    Line::Leaf { from, keys, sum: Plain(Hash(sum)) }
}
