//! Versions of etcd in which something is known that harms a mirror or its clusters.

use crate::Gate;
use crate::findings::Findings;
use crate::report::GateReport;
use crate::settings::Versions;

/// A version as etcd numbers it.
type Number = (u32, u32, u32);

/// One known defect.
struct Hazard {
    /// For each line of releases that has it: the line, the first release that has it, and the
    /// first one again without it.
    lines: &'static [(u32, u32, u32)],
    what: &'static str,
    /// It harms only what is written.
    standby_only: bool,
}

impl Hazard {
    /// A defect of either side.
    const fn new(lines: &'static [(u32, u32, u32)], what: &'static str) -> Self {
        Self { lines, what, standby_only: false }
    }
}

const HAZARDS: &[Hazard] = &[
    Hazard::new(&[(5, 0, 3)], "members can hold different data after a crash"),
    Hazard::new(&[(5, 0, 5)], "a single member can lose writes in a crash"),
    Hazard::new(&[(5, 0, 6)], "a crash during defragmentation can harm the data"),
    Hazard::new(
        &[(4, 0, 24), (5, 0, 8)],
        "a watch can repeat events or go back in time, and starves under reads with TLS",
    ),
    Hazard::new(&[(4, 0, 34), (5, 0, 16)], "a watch can lose events around a compaction"),
    Hazard::new(
        &[(4, 0, 32), (5, 0, 14)],
        "the revision can go back after a crash during a compaction",
    ),
    Hazard::new(&[(5, 0, 22), (6, 0, 2)], "a watch on a future revision can deliver old events"),
    Hazard::new(
        &[(4, 0, 38), (5, 0, 23), (6, 0, 5)],
        "a snapshot that is applied during defragmentation can corrupt the data",
    ),
    Hazard::new(&[(5, 0, 28), (6, 0, 9)], "a member that was paused can answer with stale data"),
    Hazard::new(&[(6, 0, 9)], "watches take up more and more memory"),
    Hazard {
        lines: &[(5, 0, 33), (6, 0, 14), (7, 0, 1)],
        what: "nested transactions, as the mirror writes them, slip past the quota check: the \
               database can grow beyond its quota",
        standby_only: true,
    },
];

/// Returns `etcd-versions`.
pub(crate) fn judge(versions: &Versions, shown_max: usize) -> GateReport {
    let mut findings = Findings::new(shown_max);
    let mut unknown = Vec::new();
    for (side, version) in [("primary", &versions.primary), ("standby", &versions.standby)] {
        let Some((text, number)) = version.as_ref().and_then(|text| Some((text, number(text)?)))
        else {
            unknown.push(side);
            continue;
        };
        for what in known(number, side == "standby") {
            findings.add_named(|| side.to_owned(), || format!("etcd {text}: {what}"));
        }
    }
    let upgrade = "upgrade to the newest patch release: the primary to 3.5.28 or 3.6.9 at least, the standby \
                   to 3.5.33, 3.6.14 or 3.7.1";
    match (findings.count(), unknown.as_slice()) {
        (0, []) => {
            GateReport::passed(Gate::EtcdVersions, "neither etcd is of a version known to do harm")
        }
        (0, unknown) => GateReport::unknown(
            Gate::EtcdVersions,
            format!("the version is not known of: {}", unknown.join(", ")),
            "some versions tell root only: see `etcd --version` on the members",
        ),
        _ => GateReport::found(
            Gate::EtcdVersions,
            findings,
            "these versions of etcd have known defects that can harm a mirror",
            upgrade,
        ),
    }
}

fn known(version: Number, standby: bool) -> impl Iterator<Item = &'static str> {
    let (major, minor, patch) = version;
    let old = (major, minor) < (3, 5);
    let old = old.then_some("this line of releases gets no more fixes");
    let defects = HAZARDS.iter().filter(move |hazard| {
        let within = |line: &(u32, u32, u32)| line.0 == minor && (line.1..line.2).contains(&patch);
        let concerns = standby || !hazard.standby_only;
        major == 3 && concerns && hazard.lines.iter().any(within)
    });
    defects.map(|hazard| hazard.what).chain(old)
}

/// Reads `3.6.14` and `3.6.0-rc.1`; a candidate counts as the release.
fn number(text: &str) -> Option<Number> {
    let mut parts = text.split('-').next()?.split('.').map(|part| part.parse::<u32>().ok());
    let number = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;

    fn of(primary: &str, standby: &str) -> GateReport {
        let versions =
            Versions { primary: Some(primary.to_owned()), standby: Some(standby.to_owned()) };
        judge(&versions, 20)
    }

    #[test]
    fn a_release_without_known_defects_passes() {
        for version in ["3.5.33", "3.6.14", "3.7.1", "4.0.0"] {
            assert_eq!(of(version, version).outcome, Outcome::Passed, "{version}");
        }
        for primary in ["3.5.28", "3.6.9", "3.7.0"] {
            assert_eq!(of(primary, "3.7.1").outcome, Outcome::Passed, "{primary}");
        }
    }

    #[test]
    fn a_defect_is_told_up_to_the_release_that_fixes_it() {
        let told = |version, what: &str| {
            of("3.7.1", version).shown.iter().any(|finding| finding.detail.contains(what))
        };
        assert!(told("3.5.2", "different data") && !told("3.5.3", "different data"));
        assert!(told("3.4.33", "lose events") && !told("3.4.34", "lose events"));
        assert!(told("3.6.8", "memory") && !told("3.6.9", "memory") && !told("3.5.27", "memory"));
        for (with, without) in [("3.5.32", "3.5.33"), ("3.6.13", "3.6.14"), ("3.7.0", "3.7.1")] {
            assert!(told(with, "slip past the quota check"), "{with}");
            assert!(!told(without, "slip past the quota check"), "{without}");
        }
        assert!(told("3.4.99", "no more fixes"));
        let shown = of("3.5.1", "3.6.14").shown;
        assert!(shown.iter().all(|finding| finding.key == "primary"), "{shown:?}");
    }

    #[test]
    fn what_is_no_version_is_not_called_good() {
        for version in ["", "3", "3.5", "3.5.x", "3.5.28.1", "Not a version"] {
            assert_eq!(of("3.6.14", version).outcome, Outcome::Unknown, "{version}");
        }
        assert_eq!(judge(&Versions::default(), 1).outcome, Outcome::Unknown);
        assert_eq!(of("3.5.1", "?").outcome, Outcome::Found, "what is known counts");
    }
}
