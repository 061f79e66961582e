//! Lines that hold on to one another.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::journal::Event;
use crate::time::Timestamp;

/// What the first line has as the hash of the line before.
const NOTHING_BEFORE: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// What stands between a line's text and its hash.
const HASH_FIELD: &str = ",\"hash\":\"";
/// What stands after it.
const LINE_END: &str = "\"}";
/// How long a hash is.
const HASH_LEN: usize = 64;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number; the first is 1.
    pub number: u64,
    /// When it was written.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// The end of a journal: what the next line holds on to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    lines: u64,
    last: String,
}

/// A journal that was read.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Its end.
    pub journal: Journal,
    /// Its lines.
    pub entries: Vec<Entry>,
    /// How many bytes of the file are whole lines. If the file has more, the rest is a line that
    /// was being written when the writer died: cut the file there before anything is added.
    pub whole_bytes: usize,
}

/// What is wrong with a journal, and in which line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// Not written by a journal.
    #[error("line {line} is no line of a journal: {why}")]
    Unreadable {
        /// Its number; the first is 1.
        line: u64,
        /// What the reader stumbled over.
        why: String,
    },
    /// Its hash is not the one of its text.
    #[error("line {line} was changed after it was written")]
    Changed {
        /// Its number; the first is 1.
        line: u64,
    },
    /// It does not follow the line before.
    #[error("line {line} does not follow the line before: one is missing, put in or out of place")]
    OutOfPlace {
        /// Its number; the first is 1.
        line: u64,
    },
}

/// A line without its hash, as it is hashed. `at` is for people.
#[derive(Serialize, Deserialize)]
struct Body {
    number: u64,
    at_ms: u64,
    at: String,
    previous: String,
    #[serde(flatten)]
    event: Event,
}

impl Default for Journal {
    fn default() -> Self {
        Self { lines: 0, last: NOTHING_BEFORE.to_owned() }
    }
}

impl Journal {
    /// Returns the hash of the last line; zeros if there is none.
    #[must_use]
    pub fn last_hash(&self) -> &str {
        &self.last
    }

    /// Adds a line, and returns it with its newline, to be written as it is.
    ///
    /// From then on the journal counts it as written. If it could not be, read the file again.
    pub fn append(&mut self, at: Timestamp, event: Event) -> String {
        self.lines += 1;
        let body = Body {
            number: self.lines,
            at_ms: at.ms(),
            at: at.to_string(),
            previous: self.last.clone(),
            event,
        };
        // Texts, numbers and lists: writing them as JSON does not fail.
        let body = serde_json::to_string(&body).unwrap_or_default();
        let text = body.strip_suffix('}').unwrap_or(&body);
        let hash = Digest::of(text.as_bytes());
        let line = format!("{text}{HASH_FIELD}{hash}{LINE_END}\n");
        self.last = hash.as_str().to_owned();
        line
    }

    /// Reads a journal.
    ///
    /// # Errors
    ///
    /// The first line that is not as it was written. What comes after the last newline is no line.
    pub fn verify(bytes: &[u8]) -> Result<Verified, Damage> {
        let mut journal = Self::default();
        let mut entries = Vec::new();
        let mut whole_bytes = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let Some(text) = line.strip_suffix(b"\n") else { break };
            entries.push(journal.read(text)?);
            whole_bytes += line.len();
        }
        Ok(Verified { journal, entries, whole_bytes })
    }

    fn read(&mut self, bytes: &[u8]) -> Result<Entry, Damage> {
        let line = self.lines + 1;
        let unreadable = |why: &str| Damage::Unreadable { line, why: why.to_owned() };
        let text = str::from_utf8(bytes).map_err(|_| unreadable("it is no text"))?;
        let (text, hash) = text
            .strip_suffix(LINE_END)
            .and_then(|rest| rest.split_at_checked(rest.len().checked_sub(HASH_LEN)?))
            .and_then(|(rest, hash)| Some((rest.strip_suffix(HASH_FIELD)?, hash)))
            .ok_or_else(|| unreadable("it has no hash at its end"))?;
        if Digest::of(text.as_bytes()).as_str() != hash {
            return Err(Damage::Changed { line });
        }
        let body: Body = serde_json::from_str(&format!("{text}}}"))
            .map_err(|error| unreadable(&error.to_string()))?;
        if body.number != line || body.previous != self.last {
            return Err(Damage::OutOfPlace { line });
        }
        self.lines = line;
        self.last = hash.to_owned();
        Ok(Entry { number: line, at: Timestamp::from_ms(body.at_ms), event: body.event })
    }
}
