//! A terminal of its own for `etcd-dr`, and who types there.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// The side of a terminal at which a person sits.
pub(crate) struct Terminal(File);

impl Terminal {
    /// Opens one; the second part is what a program has as its input.
    pub(crate) fn open() -> (Self, File) {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let name = ptsname(&person, Vec::new()).unwrap();
        let program =
            File::options().read(true).write(true).open(OsStr::from_bytes(name.as_bytes()));
        (Self(File::from(person)), program.unwrap())
    }

    /// Types a line.
    pub(crate) fn types(&mut self, line: &str) {
        self.0.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// What was shown there, once nobody has the program's side any more.
    pub(crate) fn shown(&mut self) -> String {
        let mut shown = Vec::new();
        // A terminal whose other side is closed ends with an error.
        let _ = self.0.read_to_end(&mut shown);
        String::from_utf8(shown).unwrap()
    }
}
