//! The comparison of two files.

use std::cmp::Ordering;
use std::io::BufRead;

use etcd_mvcc::{Key, KeyRange, Side};

use super::detail::DetailReader;
use super::error::CompareError;
use super::file::DigestFile;
use super::header::{FileTotals, PinnedPair};
use super::merge::stretches;
use super::ranges::RangeFile;
use crate::{Kind, Tree};

/// What came of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Of two trees.
    Ranges(RangeComparison),
    /// Of two details.
    Keys(KeyComparison),
}

impl Comparison {
    /// Tells whether both sides are equal in everything that the files cover.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        match self {
            Self::Ranges(ranges) => ranges.differing.is_empty(),
            Self::Keys(keys) => keys.missed == 0 && keys.surplus == 0 && keys.different == 0,
        }
    }
}

/// Where two trees differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeComparison {
    /// What was compared.
    pub pair: PinnedPair,
    /// What the primary's file covers.
    pub primary: FileTotals,
    /// What the standby's file covers.
    pub standby: FileTotals,
    /// Ranges that differ, ascending. Every key that differs lies in one of them, and each of them
    /// holds one at least.
    pub differing: Vec<RangeDifference>,
}

impl RangeComparison {
    /// Returns what a second pass has to look at; neighbours are joined.
    #[must_use]
    pub fn to_ranges(&self) -> RangeFile {
        let mut ranges: Vec<KeyRange> = Vec::new();
        for RangeDifference { range, .. } in &self.differing {
            match ranges.last_mut() {
                Some(last) if last.end() == Some(range.start()) => {
                    let start = last.start().clone();
                    *last = match range.end() {
                        Some(end) => KeyRange::new(start, end.clone()),
                        None => KeyRange::from_key(start),
                    };
                }
                _ => ranges.push(range.clone()),
            }
        }
        RangeFile { pair: self.pair.clone(), ranges }
    }
}

/// A range that does not hold the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeDifference {
    /// The range, as the standby spells keys.
    pub range: KeyRange,
    /// How many keys the primary has there.
    pub primary_keys: u64,
    /// How many keys the standby has there.
    pub standby_keys: u64,
}

/// How two details differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyComparison {
    /// What was compared.
    pub pair: PinnedPair,
    /// The ranges that both files cover, as the standby spells keys. Nothing is said of other keys.
    pub ranges: Vec<KeyRange>,
    /// Keys compared: those that at least one side has.
    pub keys: u64,
    /// Keys that the standby lacks.
    pub missed: u64,
    /// Keys that the primary lacks.
    pub surplus: u64,
    /// Keys with different values.
    pub different: u64,
}

/// A key that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDifference {
    /// How the sides disagree.
    pub kind: Kind,
    /// The key, as the standby spells it.
    pub key: Key,
}

/// Compares two files, given in either order: two trees yield ranges, two details yield keys, which
/// are handed to `sink`, ascending, as they are found. What `sink` was handed counts only if there
/// is no error in the end: a detail may turn out to be cut.
///
/// # Errors
///
/// The files do not belong together, are of two kinds, or one of them is no good.
pub fn compare<L: BufRead, R: BufRead>(
    left: DigestFile<L>,
    right: DigestFile<R>,
    sink: impl FnMut(KeyDifference),
) -> Result<Comparison, CompareError> {
    let pair = PinnedPair::of(left.header(), right.header())?;
    let in_order = left.header().side() == Side::Primary;
    match (left, right) {
        (DigestFile::Tree(left), DigestFile::Tree(right)) => {
            let (primary, standby) = if in_order { (&left, &right) } else { (&right, &left) };
            compare_trees(pair, primary, standby).map(Comparison::Ranges)
        }
        (DigestFile::Detail(left), DigestFile::Detail(right)) => if in_order {
            compare_details(pair, *left, *right, sink)
        } else {
            compare_details(pair, *right, *left, sink)
        }
        .map(Comparison::Keys),
        (DigestFile::Tree(_), DigestFile::Detail(_))
        | (DigestFile::Detail(_), DigestFile::Tree(_)) => Err(CompareError::Kind),
    }
}

fn compare_trees(
    pair: PinnedPair,
    primary: &Tree,
    standby: &Tree,
) -> Result<RangeComparison, CompareError> {
    let differing: Vec<_> = stretches(primary, standby)
        .filter(|stretch| stretch.primary != stretch.standby)
        .map(|stretch| RangeDifference {
            range: stretch.range,
            primary_keys: stretch.primary.keys,
            standby_keys: stretch.standby.keys,
        })
        .collect();
    let (primary, standby) = (primary.totals(), standby.totals());
    // Sizes are no part of the sums: a witness of another kind.
    if differing.is_empty() && primary != standby {
        return Err(CompareError::Contradiction);
    }
    Ok(RangeComparison { pair, primary, standby, differing })
}

fn compare_details<P: BufRead, S: BufRead>(
    pair: PinnedPair,
    mut primary: DetailReader<P>,
    mut standby: DetailReader<S>,
    mut sink: impl FnMut(KeyDifference),
) -> Result<KeyComparison, CompareError> {
    if primary.ranges() != standby.ranges() {
        return Err(CompareError::Ranges);
    }
    let ranges = primary.ranges().to_vec();
    let mut found = KeyComparison { pair, ranges, keys: 0, missed: 0, surplus: 0, different: 0 };
    let (mut left, mut right) = (None, None);
    let (mut left_wanted, mut right_wanted) = (true, true);
    loop {
        if left_wanted {
            left = next(Side::Primary, &mut primary)?;
        }
        if right_wanted {
            right = next(Side::Standby, &mut standby)?;
        }
        let (order, key) = match (&left, &right) {
            (None, None) => return Ok(found),
            (Some((key, _)), None) => (Ordering::Less, key),
            (None, Some((key, _))) => (Ordering::Greater, key),
            (Some((key, _)), Some((other, _))) if key > other => (Ordering::Greater, other),
            (Some((key, _)), Some((other, _))) => (key.cmp(other), key),
        };
        found.keys += 1;
        let (count, kind) = match order {
            Ordering::Less => (Some(&mut found.missed), Kind::Missed),
            Ordering::Greater => (Some(&mut found.surplus), Kind::Surplus),
            Ordering::Equal => ((left != right).then_some(&mut found.different), Kind::Different),
        };
        if let Some(count) = count {
            *count += 1;
            sink(KeyDifference { kind, key: key.clone() });
        }
        (left_wanted, right_wanted) = (order.is_le(), order.is_ge());
    }
}

fn next<R: BufRead>(
    side: Side,
    file: &mut DetailReader<R>,
) -> Result<Option<(Key, u128)>, CompareError> {
    file.next_entry().map_err(|error| CompareError::Parse { side, error })
}
