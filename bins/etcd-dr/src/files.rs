//! Files that are read: small, as text.

use std::path::Path;

use dr_plan::samples::Samples;
use dr_plan::topology::Topology;
use mirror_config::Failure;

use crate::flags::TopologyFlag;

/// A topology larger than this is none.
const TOPOLOGY_BYTES_MAX: u64 = 1 << 20;
/// A journal or samples of a pair stay far below.
const RECORD_BYTES_MAX: u64 = 256 << 20;

/// Reads the topology; every mistake in it is a line of the failure.
pub(crate) fn topology(flag: &TopologyFlag) -> Result<Topology, Failure> {
    let file = &flag.file;
    let bytes = read("--topology", file, TOPOLOGY_BYTES_MAX)?;
    let told = |line: &str| format!("{}: {line}", file.display());
    let text = String::from_utf8(bytes).map_err(|_| Failure::usage(told("is no text")))?;
    Topology::parse(&text).map_err(|mistakes| {
        let lines: Vec<_> = mistakes.to_string().lines().map(told).collect();
        Failure::usage(lines.join("\n"))
    })
}

/// Reads a record that a plan or a mirror has left.
pub(crate) fn record(flag: &str, file: &Path) -> Result<Vec<u8>, Failure> {
    read(flag, file, RECORD_BYTES_MAX)
}

fn read(flag: &str, file: &Path, bytes_max: u64) -> Result<Vec<u8>, Failure> {
    let unreadable =
        |why: String| Failure::usage(format!("{flag}: can't read {} ({why})", file.display()));
    let size = std::fs::metadata(file).map_err(|error| unreadable(error.to_string()))?.len();
    if size > bytes_max {
        return Err(unreadable(format!("larger than {} MiB", bytes_max >> 20)));
    }
    std::fs::read(file).map_err(|error| unreadable(error.to_string()))
}

/// Adds samples to those in a file, which is made if there is none.
pub(crate) fn add_samples(file: &Path, samples: &Samples) -> Result<(), Failure> {
    let told = |why: &dyn std::fmt::Display| {
        Failure::undecided(format!("--samples: {}: {why}", file.display()))
    };
    let mut kept = Samples::default();
    if file.exists() {
        let text = String::from_utf8(record("--samples", file)?);
        let text = text.map_err(|_| told(&"the samples are no text"))?;
        kept = Samples::decode(&text).map_err(|bad| told(&bad))?;
    }
    samples.buckets().for_each(|bucket| kept.add(bucket.worst));
    // Beside it first: a file that is half written would be no samples at all.
    let beside = file.with_extension("part");
    std::fs::write(&beside, kept.encode()).map_err(|error| told(&error))?;
    std::fs::rename(&beside, file).map_err(|error| told(&error))
}
