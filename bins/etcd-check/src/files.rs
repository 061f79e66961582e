//! Refuses files that can't be used before anything is read from a cluster.

use std::fs::{self, File};
use std::path::Path;

use mirror_config::Failure;

/// Checks that a file is there and may be read. What is no regular file (a pipe) is left alone:
/// it can be opened only once.
pub(crate) fn readable(flag: &str, file: &Path) -> Result<(), Failure> {
    let unreadable =
        |why: &str| Failure::usage(format!("{flag}: can't read {} ({why})", file.display()));
    let found = fs::metadata(file).map_err(|error| unreadable(&error.to_string()))?;
    if found.is_dir() {
        return Err(unreadable("it is a directory; name a file"));
    }
    if found.is_file() {
        File::open(file).map_err(|error| unreadable(&error.to_string()))?;
    }
    Ok(())
}

/// Checks that a file could be made where it is to be made. Nothing is created.
pub(crate) fn creatable(flag: &str, file: &Path) -> Result<(), Failure> {
    let unusable =
        |why: &str| Failure::usage(format!("{flag}: can't write {} ({why})", file.display()));
    if file.is_dir() {
        return Err(unusable("it is a directory; name a file"));
    }
    let place = match file.parent() {
        Some(place) if place.as_os_str().is_empty() => Path::new("."),
        Some(place) => place,
        None => return Err(unusable("name a file")),
    };
    if place.is_dir() {
        return Ok(());
    }
    Err(unusable(&format!("there is no directory {}; make it first", place.display())))
}

/// An error and what it came from, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
