//! What is in a bundle, for people: how much of what, and where.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use etcd_mvcc::Key;

use super::Op;
use super::write::Counts;

/// How many keys are named.
const NAMED_MAX: usize = 1_000;

/// Counts writes by what begins their keys.
#[derive(Debug, Default)]
pub(super) struct Summary {
    groups: BTreeMap<String, Counts>,
    named: Vec<(i64, Op, Key)>,
    more: u64,
}

impl Summary {
    pub(super) fn note(&mut self, revision: i64, op: Op, key: &Key) {
        self.groups.entry(group(key)).or_default().note(op);
        if self.named.len() < NAMED_MAX {
            self.named.push((revision, op, key.clone()));
        } else {
            self.more += 1;
        }
    }

    /// Writes the text; `told` is its first line.
    pub(super) fn text(&self, told: &str) -> String {
        let mut text = format!("{told}\n");
        // Writing to a String does not fail.
        for (group, Counts { puts, deletions, undecided }) in &self.groups {
            let _ = write!(text, "{puts:>8} puts {deletions:>8} deletions");
            let _ = match undecided {
                0 => Ok(()),
                keys => write!(text, " {keys:>8} undecided"),
            };
            let _ = writeln!(text, "  {group}");
        }
        for (revision, op, key) in &self.named {
            let op = match op {
                Op::Put => "put      ",
                Op::Delete => "delete   ",
                Op::Undecided => "undecided",
            };
            let _ = writeln!(text, "{revision:>16} {op} {key}");
        }
        if self.more > 0 {
            let _ = writeln!(text, "and {} more: see writes.jsonl", self.more);
        }
        text
    }
}

/// A key without its last part.
fn group(key: &Key) -> String {
    let printed = key.to_string();
    printed.rsplit_once('/').map_or(printed.clone(), |(group, _)| format!("{group}/"))
}
