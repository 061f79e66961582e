//! What is read of the standby.

use etcd_mvcc::{Key, KeyRange, prefix_end};
use keyspace_filter::Scope;

/// Returns the ranges of the standby that hold what the mirror would touch and, where Kubernetes
/// is mirrored, what stays local beside it. Events are left out, unless the scope has them: there
/// are many, and the garbage collector takes no notice of them.
pub(crate) fn standby(scope: &Scope, kubernetes: bool) -> Vec<KeyRange> {
    let mut ranges = scope.standby_ranges().to_vec();
    if kubernetes {
        let root = scope.grammar().root();
        let events = format!("{root}events/");
        let whole = KeyRange::prefix(root.as_bytes());
        ranges.push(KeyRange::new(Key::from(root), Key::from(events.as_str())));
        ranges.extend(prefix_end(events.as_bytes()).map(|after| whole.starting_at(after)));
    }
    union(ranges)
}

/// Makes ranges sorted and disjoint.
fn union(mut ranges: Vec<KeyRange>) -> Vec<KeyRange> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort();
    let mut joined: Vec<KeyRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        let last = joined.last_mut();
        match last.filter(|last| last.end().is_none_or(|end| range.start() <= end)) {
            Some(last) => *last = KeyRange::hull([&*last, &range]).unwrap_or(range),
            None => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use keyspace_filter::{Preset, ScopeSpec};

    use super::*;

    #[test]
    fn local_objects_are_read_and_events_are_not() {
        let scope = Scope::compile(ScopeSpec::default()).unwrap();
        let ranges = standby(&scope, true);
        let reads = |key: &str| ranges.iter().any(|range| range.contains(key.as_bytes()));
        for key in [
            "/registry/a",
            "/registry/pods/kube-system/p",
            "/registry/eventz",
            "/registry/x.io/y/z",
        ] {
            assert!(reads(key), "{key}");
        }
        for key in ["/registry/events/a/b", "/registrz", "/etcd-sync/default/state"] {
            assert!(!reads(key), "{key}");
        }
        assert!(ranges.windows(2).all(|pair| pair[0].end().unwrap() < pair[1].start()));
    }

    #[test]
    fn a_scope_of_every_key_reads_every_key_once() {
        let spec = ScopeSpec { preset: Preset::None, ..ScopeSpec::default() };
        let ranges = standby(&Scope::compile(spec).unwrap(), true);
        assert!(ranges.iter().any(|range| range.contains(b"/registry/events/a/b")));
        assert!(ranges.iter().filter(|range| range.contains(b"/registry/pods/a/b")).count() == 1);
    }
}
