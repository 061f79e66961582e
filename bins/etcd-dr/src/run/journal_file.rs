//! The journal's file: one writer at a time, each line on the disk before anything else is done.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use dr_plan::Timestamp;
use dr_plan::journal::{Entry, Event, Journal};
use mirror_config::Failure;

/// The journal's file, open and locked until it is dropped.
#[derive(Debug)]
pub(crate) struct JournalFile {
    path: PathBuf,
    file: File,
    journal: Journal,
}

impl JournalFile {
    /// Opens the file, or makes it, and reads what it says. A line that was being written when its
    /// writer died is cut: it was never acted upon.
    ///
    /// # Errors
    ///
    /// Another run has it, it can't be read or written, or a line is not as it was written.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<Entry>), Failure> {
        let told = |why: &dyn std::fmt::Display| {
            Failure::undecided(format!("the journal {}: {why}", path.display()))
        };
        let is_new = !path.exists();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(path).map_err(|error| told(&error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let who = "another etcd-dr is running a plan with it; two would do things twice";
                return Err(Failure::refused(format!("the journal {}: {who}", path.display())));
            }
            Err(TryLockError::Error(error)) => return Err(told(&error)),
        }
        if is_new {
            // So that the name, too, is there after a crash.
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = File::open(folder.unwrap_or(Path::new(".")));
            folder.and_then(|folder| folder.sync_all()).map_err(|error| told(&error))?;
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| told(&error))?;
        let read = Journal::verify(&bytes).map_err(|damage| told(&damage))?;
        if read.whole_bytes < bytes.len() {
            file.set_len(read.whole_bytes as u64)
                .and_then(|()| file.sync_all())
                .map_err(|error| told(&error))?;
        }
        file.seek(SeekFrom::Start(read.whole_bytes as u64)).map_err(|error| told(&error))?;
        Ok((Self { path: path.to_owned(), file, journal: read.journal }, read.entries))
    }

    /// Reads a journal without keeping others from it; nothing, if there is none.
    ///
    /// # Errors
    ///
    /// It can't be read, or a line is not as it was written.
    pub(crate) fn look(path: &Path) -> Result<Vec<Entry>, Failure> {
        let told = |why: &dyn std::fmt::Display| {
            Failure::undecided(format!("the journal {}: {why}", path.display()))
        };
        if !path.exists() {
            return Ok(Vec::new());
        }
        let bytes = std::fs::read(path).map_err(|error| told(&error))?;
        Journal::verify(&bytes).map(|read| read.entries).map_err(|damage| told(&damage))
    }

    /// Adds a line, and returns once it is on the disk.
    ///
    /// # Errors
    ///
    /// It could not be written: nothing more may be done.
    pub(crate) fn append(&mut self, at: Timestamp, event: Event) -> Result<(), Failure> {
        let line = self.journal.append(at, event);
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|error| {
            let path = self.path.display();
            Failure::undecided(format!(
                "the journal {path} can't be written, so the run stops: {error}"
            ))
        })
    }

    /// Returns where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the hash of its last line, to be kept elsewhere.
    pub(crate) fn last_hash(&self) -> &str {
        self.journal.last_hash()
    }
}

#[cfg(test)]
mod tests {
    use mirror_config::Exit;

    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    #[test]
    fn a_second_run_is_refused_while_the_first_lives() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let (first, _) = JournalFile::open(&path).unwrap();
        assert_eq!(JournalFile::open(&path).unwrap_err().exit, Exit::Refused);
        drop(first);
        assert!(JournalFile::open(&path).is_ok());
    }

    #[test]
    fn a_torn_line_is_cut_and_what_follows_holds_on_to_the_line_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let (mut journal, _) = JournalFile::open(&path).unwrap();
        journal.append(at(1), Event::Resumed).unwrap();
        drop(journal);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend_from_slice(b"{\"number\":2,");
        std::fs::write(&path, &bytes).unwrap();
        let (mut journal, entries) = JournalFile::open(&path).unwrap();
        assert_eq!(entries.len(), 1);
        journal.append(at(2), Event::Completed).unwrap();
        drop(journal);
        assert_eq!(JournalFile::look(&path).unwrap().len(), 2);
    }

    #[test]
    fn a_journal_that_was_changed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let (mut journal, _) = JournalFile::open(&path).unwrap();
        journal.append(at(1), Event::Stopped { why: "rain".into() }).unwrap();
        drop(journal);
        let text = std::fs::read_to_string(&path).unwrap().replace("rain", "snow");
        std::fs::write(&path, text).unwrap();
        let failure = JournalFile::open(&path).unwrap_err();
        assert_eq!(failure.exit, Exit::Undecided);
        assert!(failure.message.contains("line 1 was changed"), "{}", failure.message);
    }
}
