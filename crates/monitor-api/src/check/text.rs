//! The text of `/check`: for people, and for scripts that look for its headings.

use std::borrow::Borrow;
use std::fmt::Write as _;

use super::printable::one_line;
use super::{CheckMode, CheckReport, Comparison, DifferenceKind, DifferenceReport};

/// About how much text is held at a time: a report is told in pieces, however long it is.
const PART_BYTES: usize = 16 << 10;

/// How headings begin, and keys must not.
const HEADING_START: &str = "LOCAL ETCD";

/// The text of a report, piece by piece.
pub(crate) struct TextParts<R> {
    report: R,
    limit: usize,
    next: Part,
}

/// What is to be written next.
#[derive(Clone, Copy)]
enum Part {
    Head,
    Heading(usize),
    Keys { kind: usize, index: usize, shown: usize },
    Tail,
    End,
}

impl<R: Borrow<CheckReport>> TextParts<R> {
    /// Tells `report`, with at most `limit` keys of each kind.
    pub(crate) fn new(report: R, limit: usize) -> Self {
        Self { report, limit, next: Part::Head }
    }
}

impl<R: Borrow<CheckReport>> Iterator for TextParts<R> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let report: &CheckReport = self.report.borrow();
        let found = report.found();
        let (part, next) = match self.next {
            Part::Head => (head(report), Part::Heading(0)),
            Part::Heading(index) => match DifferenceKind::ALL.get(index) {
                Some(&kind) => {
                    let heading = format!("\n{}: {}\n", kind.heading(), found.count(kind));
                    (heading, Part::Keys { kind: index, index: 0, shown: 0 })
                }
                None => (String::new(), Part::Tail),
            },
            Part::Keys { kind, index, shown } => keys(found, self.limit, kind, index, shown),
            Part::Tail => (tail(report), Part::End),
            Part::End => return None,
        };
        self.next = next;
        Some(part)
    }
}

fn head(report: &CheckReport) -> String {
    let found = report.found();
    let mut text = format!("{}: {}\n", report.verdict().as_str(), one_line(report.reason()));
    let loud = match found.mode {
        CheckMode::Full => "",
        CheckMode::KeysOnly => {
            "VALUES WERE NOT COMPARED: this check looked at which keys there are, and says nothing \
             of what they hold.\n"
        }
        CheckMode::Unknown if found.pins.is_empty() => "",
        CheckMode::Unknown => "WHETHER VALUES WERE COMPARED IS NOT KNOWN.\n",
    };
    text.push_str(loud);
    // Writing to a string can't fail.
    let _ = writeln!(
        text,
        "compared {} keys, {} bytes, in {} s; mirror {}, scope {}",
        found.keys,
        found.bytes,
        found.duration_seconds,
        or_unknown(&found.mirror),
        or_unknown(&found.scope_hash)
    );
    for pins in &found.pins {
        let through = pins.through.as_deref().map_or_else(
            || "through the last key".to_owned(),
            |key| format!("through {}", one_line(key)),
        );
        let (primary, standby) = (pins.primary_revision, pins.standby_revision);
        let _ = writeln!(
            text,
            "at primary revision {primary} and standby revision {standby} {through}"
        );
    }
    if found.unsettled > 0 {
        let _ = writeln!(text, "keys that could not be settled: {}", found.unsettled);
    }
    if !found.classes.is_empty() {
        let classes = found.classes.iter();
        let classes: Vec<_> =
            classes.map(|(class, count)| format!("{} {count}", one_line(class))).collect();
        let _ = writeln!(text, "by class: {}", classes.join(", "));
    }
    text
}

/// Lists keys of the kind at `kind`, from the difference at `index` on, until a piece is full.
fn keys(
    found: &Comparison,
    limit: usize,
    kind: usize,
    index: usize,
    mut shown: usize,
) -> (String, Part) {
    let mut text = String::new();
    let Some(&wanted) = DifferenceKind::ALL.get(kind) else { return (text, Part::Tail) };
    for (index, difference) in found.differences.iter().enumerate().skip(index) {
        if shown == limit {
            break;
        }
        if text.len() >= PART_BYTES {
            return (text, Part::Keys { kind, index, shown });
        }
        if difference.kind == wanted {
            shown += 1;
            line(&mut text, difference);
        }
    }
    let more = found.count(wanted).saturating_sub(u64::try_from(shown).unwrap_or(u64::MAX));
    if more > 0 {
        let _ = writeln!(text, "and {more} more");
    }
    (text, Part::Heading(kind + 1))
}

/// A key, and its class behind a tab: no key holds one, so the two can be told apart.
fn line(text: &mut String, difference: &DifferenceReport) {
    let key = one_line(&difference.key);
    match key.strip_prefix(HEADING_START) {
        // Spelt so that no script takes it for a heading; it reads back as the same key.
        Some(rest) => {
            let _ = write!(text, "\\x4cOCAL ETCD{rest}");
        }
        None => text.push_str(&key),
    }
    if !difference.class.is_empty() {
        let _ = write!(text, "\t{}", one_line(&difference.class));
    }
    if !difference.note.is_empty() {
        let _ = write!(text, "\t{}", one_line(&difference.note));
    }
    text.push('\n');
}

fn tail(report: &CheckReport) -> String {
    let mut text = String::new();
    if !report.next_steps().is_empty() {
        text.push_str("\nWhat to do:\n");
    }
    for step in report.next_steps() {
        let _ = writeln!(text, "- {}", one_line(step));
    }
    text
}

fn or_unknown(name: &str) -> String {
    if name.is_empty() { "unknown".to_owned() } else { one_line(name) }
}
