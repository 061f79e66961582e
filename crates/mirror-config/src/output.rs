//! Results go to stdout, complaints to stderr; a closed pipe is nobody's error.

use std::io::{self, Write as _};

use serde::Serialize;

use crate::exit::{Exit, Failure};

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: a stable contract; readers ignore unknown fields.
    Json,
}

/// Writes a result, as it is, to stdout.
///
/// # Errors
///
/// It could not be written; a reader that has closed the pipe has read enough and is no error.
pub fn result(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::undecided(format!("the result could not be written to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a result as JSON to stdout.
///
/// # Errors
///
/// It could not be written; a reader that has closed the pipe has read enough and is no error.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::undecided(format!("the result can't be written: {error}")))?;
    result(&(text + "\n"))
}

/// Writes an error to stderr, on one line.
pub fn complain(message: &str) {
    stderr("error", message);
}

/// Writes a remark to stderr, on one line.
pub fn warn(message: &str) {
    stderr("warning", message);
}

fn stderr(kind: &str, message: &str) {
    let line = message.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|c| !c.is_control()).collect();
    // Where stderr is closed there is nobody to tell.
    let _ = writeln!(io::stderr(), "{kind}: {line}");
}

/// Ends a command whose result is all there is to say.
///
/// # Errors
///
/// It could not be written; a reader that has closed the pipe has read enough and is no error.
pub fn done(text: &str) -> Result<Exit, Failure> {
    result(text).map(|()| Exit::Done)
}
