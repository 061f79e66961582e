//! Whether a client that changes clusters learns by its revision that the history is another. The
//! one place where numbers of two histories are compared: such a client does.

use crate::Gate;
use crate::findings::Findings;
use crate::report::GateReport;

/// Returns `revision-floor`.
pub(crate) fn judge(primary: i64, standby: i64, margin: u64) -> GateReport {
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
        || {
            format!(
                "at revision {standby}, the primary at {primary}; recommended is {margin} above"
            )
        },
    );
    GateReport::found(
        Gate::RevisionFloor,
        findings,
        "after a failover, a client that resumes its watch with the primary's resource version is \
         served silence instead of an error",
        format!(
            "restore the standby's etcd once from its own snapshot with `etcdutl snapshot restore \
             --bump-revision {} --mark-compacted`, or restart all clients at a failover",
            i128::from(margin) + i128::from(primary)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;

    #[test]
    fn the_margin_itself_is_enough_and_less_is_not() {
        assert_eq!(judge(5, 15, 10).outcome, Outcome::Passed);
        assert_eq!(judge(5, 14, 10).outcome, Outcome::Found);
        assert_eq!(judge(i64::MAX, 0, u64::MAX).outcome, Outcome::Found);
    }
}
