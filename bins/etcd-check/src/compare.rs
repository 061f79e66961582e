//! `etcd-check compare`: two digests, without a cluster.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;

use consistency_checker::{
    CompareError, Comparison as Compared, DigestFile, FileLimits, KeyComparison, KeyDifference,
    Kind, PinnedPair, RangeComparison, compare as compare_files,
};
use etcd_mvcc::{KeyRange, Revision as _};
use mirror_config::{Exit, Failure, output};
use monitor_api::{
    CheckMode, CheckReport, Comparison, DifferenceKind, DifferenceReport, PinsReport, printable_key,
};
use serde_json::{Value, json};

use crate::flags::CompareFlags;
use crate::values::Format;
use crate::{files, show};

/// The most keys of each kind that are named; all are counted.
const NAMED_MAX: usize = 10_000;

/// Compares two digests and tells what differs.
pub(crate) fn compare(flags: &CompareFlags, format: Format) -> Result<Exit, Failure> {
    files::readable("LEFT", &flags.left)?;
    files::readable("RIGHT", &flags.right)?;
    if let Some(ranges) = &flags.ranges_out {
        files::creatable("--ranges-out", ranges)?;
    }
    let mut named = Named::default();
    let compared = compare_files(open(&flags.left)?, open(&flags.right)?, |key| named.add(key))
        .map_err(|error| unlike(&error))?;
    match compared {
        Compared::Ranges(ranges) => told_ranges(&ranges, flags, format),
        Compared::Keys(keys) => {
            if flags.ranges_out.is_some() {
                return Err(Failure::usage(
                    "--ranges-out: these digests name keys already; leave it out",
                ));
            }
            let report = CheckReport::judged(found(&keys, named));
            show::written(&report, NAMED_MAX, format)?;
            Ok(show::exit(&report))
        }
    }
}

fn open(file: &Path) -> Result<DigestFile<BufReader<File>>, Failure> {
    let unusable =
        |error: &dyn std::fmt::Display| Failure::usage(format!("{}: {error}", file.display()));
    let input = File::open(file).map_err(|error| unusable(&error))?;
    DigestFile::open(BufReader::new(input), &FileLimits::default())
        .map_err(|error| unusable(&error))
}

/// Two files that do not belong together decide nothing.
fn unlike(error: &CompareError) -> Failure {
    let mend = if let CompareError::Revision { expected, .. } = error {
        format!("; take the primary's with --at-revision {expected}")
    } else if matches!(error, CompareError::Scope { .. }) {
        "; give both sides the same scope flags".to_owned()
    } else if matches!(error, CompareError::Kind | CompareError::Ranges) {
        "; take both with the same --ranges, or both without".to_owned()
    } else {
        String::new()
    };
    Failure::undecided(format!("{}{mend}", files::chain(error)))
}

/// The keys that differ, as many as are named.
#[derive(Default)]
struct Named {
    differences: Vec<DifferenceReport>,
    room: [usize; 3],
}

impl Named {
    fn add(&mut self, difference: KeyDifference) {
        let KeyDifference { kind, key } = difference;
        let (at, kind) = match kind {
            Kind::Missed => (0, DifferenceKind::Missed),
            Kind::Surplus => (1, DifferenceKind::Surplus),
            Kind::Different => (2, DifferenceKind::Different),
        };
        if let Some(named) = self.room.get_mut(at).filter(|named| **named < NAMED_MAX) {
            *named += 1;
            self.differences.push(DifferenceReport::new(kind, key.as_bytes()));
        }
    }
}

fn frame(pair: &PinnedPair, keys: u64) -> Comparison {
    Comparison {
        mirror: pair.mirror.clone(),
        scope_hash: pair.scope.to_string(),
        mode: CheckMode::Full,
        pins: vec![PinsReport {
            primary_revision: pair.pins.primary.get(),
            standby_revision: pair.pins.standby.get(),
            through: None,
        }],
        keys,
        ..Comparison::default()
    }
}

fn found(compared: &KeyComparison, named: Named) -> Comparison {
    Comparison {
        missed: compared.missed,
        surplus: compared.surplus,
        different: compared.different,
        differences: named.differences,
        ..frame(&compared.pair, compared.keys)
    }
}

fn told_ranges(
    compared: &RangeComparison,
    flags: &CompareFlags,
    format: Format,
) -> Result<Exit, Failure> {
    if let Some(file) = &flags.ranges_out {
        let unwritten = |error: &dyn std::fmt::Display| {
            Failure::undecided(format!("{}: could not be written: {error}", file.display()))
        };
        let output = File::create(file).map_err(|error| unwritten(&error))?;
        let ranges = compared.to_ranges();
        ranges
            .write_to(BufWriter::new(output), &FileLimits::default())
            .map_err(|error| unwritten(&error))?;
    }
    if compared.differing.is_empty() {
        let report = CheckReport::judged(frame(&compared.pair, compared.standby.keys));
        show::written(&report, NAMED_MAX, format)?;
        return Ok(show::exit(&report));
    }
    let ranges_file = flags.ranges_out.as_ref().map_or_else(
        || "RANGES (from `etcd-check compare --ranges-out RANGES`)".to_owned(),
        |file| file.display().to_string(),
    );
    let next = format!(
        "etcd-check digest --ranges {ranges_file} on both sides names the keys in these ranges"
    );
    let reason = format!(
        "{} ranges differ at primary revision {} and standby revision {}",
        compared.differing.len(),
        compared.pair.pins.primary,
        compared.pair.pins.standby
    );
    match format {
        Format::Text => output::result(&as_text(compared, &reason, &next))?,
        Format::Json => output::json(&as_json(compared, &reason, &next))?,
        Format::Ndjson => output::result(&format!("{}\n", as_json(compared, &reason, &next)))?,
    }
    Ok(Exit::Differs)
}

fn as_text(compared: &RangeComparison, reason: &str, next: &str) -> String {
    let mut text = format!("drift: {reason}\n");
    for difference in &compared.differing {
        let (from, to) = ends(&difference.range);
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "from {from} to {to}: {} keys on the primary, {} on the standby",
            difference.primary_keys, difference.standby_keys
        );
    }
    let _ = writeln!(text, "\nWhat to do:\n- {next}");
    text
}

fn as_json(compared: &RangeComparison, reason: &str, next: &str) -> Value {
    let ranges: Vec<Value> = compared
        .differing
        .iter()
        .map(|difference| {
            let (from, to) = ends(&difference.range);
            json!({
                "from": from,
                "to": to,
                "primary_keys": difference.primary_keys,
                "standby_keys": difference.standby_keys,
            })
        })
        .collect();
    json!({
        "verdict": "drift",
        "reason": reason,
        "next_steps": [next],
        "mirror": compared.pair.mirror,
        "scope_hash": compared.pair.scope.to_string(),
        "primary_revision": compared.pair.pins.primary.get(),
        "standby_revision": compared.pair.pins.standby.get(),
        "primary_keys": compared.primary.keys,
        "standby_keys": compared.standby.keys,
        "ranges": ranges,
    })
}

fn ends(range: &KeyRange) -> (String, String) {
    let end = range.end().map_or_else(|| "the end".to_owned(), |end| printable_key(end.as_bytes()));
    (printable_key(range.start().as_bytes()), end)
}
