//! Lines with a checksum at the end, so that a file that was cut or changed is refused.

use std::io::{BufRead, ErrorKind, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::Xxh3;

use super::error::{FileDefect, ParseFileError, RecordError};
use super::wire::{Hash, Line, Plain};

/// The longest line. etcd refuses requests, and so keys, of more than 1.5 MiB by default; written
/// down, a key takes at most twice its length.
pub(crate) const LINE_BYTES_MAX: usize = 4 << 20;

/// Writes lines, and sums them up.
pub(crate) struct FrameWriter<W> {
    output: W,
    hasher: Xxh3,
    line: Vec<u8>,
    bytes: u64,
    bytes_max: u64,
}

impl<W: Write> FrameWriter<W> {
    pub(crate) fn new(output: W, bytes_max: u64) -> Self {
        Self { output, hasher: Xxh3::new(), line: Vec::new(), bytes: 0, bytes_max }
    }

    pub(crate) fn line(&mut self, line: &impl Serialize) -> Result<(), RecordError> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, line)
            .map_err(|error| RecordError::Unwritten(error.into()))?;
        self.line.push(b'\n');
        if self.line.len() > LINE_BYTES_MAX {
            return Err(RecordError::LineTooLong { max: LINE_BYTES_MAX });
        }
        self.bytes = self.bytes.saturating_add(length(&self.line));
        if self.bytes > self.bytes_max {
            return Err(RecordError::FileTooLong { max: self.bytes_max });
        }
        self.hasher.update(&self.line);
        self.output.write_all(&self.line).map_err(RecordError::Unwritten)
    }

    /// Writes the last line.
    pub(crate) fn end(mut self) -> Result<(), RecordError> {
        let checksum = Plain(Hash(self.hasher.digest128()));
        self.line(&Line::End { checksum })?;
        self.output.flush().map_err(RecordError::Unwritten)
    }
}

/// Reads lines, and sums them up. Holds one line at a time.
pub(crate) struct FrameReader<R> {
    input: R,
    /// Of all lines before the current one.
    hasher: Xxh3,
    line: Vec<u8>,
    number: u64,
    bytes: u64,
    bytes_max: u64,
}

impl<R: BufRead> FrameReader<R> {
    pub(crate) fn new(input: R, bytes_max: u64) -> Self {
        let (hasher, line) = (Xxh3::new(), Vec::new());
        Self { input, hasher, line, number: 0, bytes: 0, bytes_max }
    }

    /// Says what is wrong with the current line.
    pub(crate) fn error(&self, defect: FileDefect) -> ParseFileError {
        ParseFileError { line: self.number, defect }
    }

    /// Moves to the next line.
    pub(crate) fn advance(&mut self) -> Result<(), ParseFileError> {
        self.hasher.update(&self.line);
        self.line.clear();
        self.number += 1;
        loop {
            let read = match self.input.fill_buf() {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.error(FileDefect::Unread(error.kind()))),
            };
            let end = read.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
            let taken = end.unwrap_or(read.len());
            if taken == 0 {
                return Err(self.error(FileDefect::Cut));
            }
            if self.line.len().saturating_add(taken) > LINE_BYTES_MAX {
                return Err(self.error(FileDefect::LineTooLong { max: LINE_BYTES_MAX }));
            }
            self.line.extend_from_slice(read.get(..taken).unwrap_or_default());
            self.input.consume(taken);
            if end.is_some() {
                break;
            }
        }
        self.bytes = self.bytes.saturating_add(length(&self.line));
        if self.bytes > self.bytes_max {
            return Err(self.error(FileDefect::FileTooLong { max: self.bytes_max }));
        }
        Ok(())
    }

    /// Reads the current line.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, ParseFileError> {
        // What the parser has to say may quote the file, which may be anybody's: only where.
        serde_json::from_slice(&self.line)
            .map_err(|error| self.error(FileDefect::Syntax { column: error.column() }))
    }

    pub(crate) fn next_line(&mut self) -> Result<Line, ParseFileError> {
        self.advance()?;
        self.parse()
    }

    /// Tells whether the current line is the end line of this file, and nothing follows it.
    pub(crate) fn end(&mut self, line: &Line) -> Result<(), ParseFileError> {
        let Line::End { checksum: Plain(Hash(checksum)) } = *line else {
            return Err(self.error(FileDefect::Misplaced));
        };
        if checksum != self.hasher.digest128() {
            return Err(self.error(FileDefect::Checksum));
        }
        match self.advance() {
            Err(ParseFileError { defect: FileDefect::Cut, .. }) if self.line.is_empty() => Ok(()),
            Err(error @ ParseFileError { defect: FileDefect::Unread(_), .. }) => Err(error),
            Ok(()) | Err(_) => Err(self.error(FileDefect::Trailing)),
        }
    }
}

fn length(line: &[u8]) -> u64 {
    u64::try_from(line.len()).unwrap_or(u64::MAX)
}
