//! Whether a client that changes clusters learns by its revision that the history is another. The
//! one place where numbers of two histories are compared: such a client does.

use crate::Gate;
use crate::findings::Findings;
use crate::report::GateReport;

/// Returns `revision-floor`: whether the standby is above the primary by `margin`, and if not, how
/// to make it so by `lift`.
pub(crate) fn judge(primary: i64, standby: i64, (margin, lift): (u64, u64)) -> GateReport {
    let above = i128::from(standby) - i128::from(primary);
    if above >= i128::from(margin) {
        return GateReport::passed(
            Gate::RevisionFloor,
            format!("the standby's revision is {above} above the primary's"),
        );
    }
    let mut findings = Findings::new(1);
    findings.add_named(
        || "standby".to_owned(),
        || format!("at revision {standby}, the primary at {primary}; recommended is {lift} above"),
    );
    GateReport::found(
        Gate::RevisionFloor,
        findings,
        "after a failover, a client that resumes its watch with the primary's resource version is \
         served silence instead of an error",
        format!(
            "restore the standby's etcd once from its own snapshot with `etcdutl snapshot restore \
             --bump-revision {} --mark-compacted`, or restart all clients at a failover",
            i128::from(lift) + i128::from(primary)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Outcome, PreflightSettings};

    #[test]
    fn the_margin_itself_is_enough_and_less_is_not() {
        assert_eq!(judge(5, 15, (10, 10)).outcome, Outcome::Passed);
        assert_eq!(judge(5, 14, (10, 10)).outcome, Outcome::Found);
        assert_eq!(judge(i64::MAX, 0, (u64::MAX, u64::MAX)).outcome, Outcome::Found);
    }

    #[test]
    fn a_standby_that_was_lifted_as_told_passes_for_years_of_writes_of_the_primary() {
        let PreflightSettings { revision_margin, revision_lift, .. } = PreflightSettings::default();
        let limits = (revision_margin, revision_lift);
        let told = judge(3_000, 300, limits).next_step;
        let bump = told.split_once("--bump-revision ").unwrap().1.split_once(' ').unwrap().0;
        let standby = 300 + bump.parse::<i64>().unwrap();
        for written in [0, 1_000, 10_000_000_000] {
            assert_eq!(judge(3_000 + written, standby, limits).outcome, Outcome::Passed);
        }
    }
}
