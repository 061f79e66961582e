//! Rules of the preset that are right for some clusters, and decide something here.

use std::collections::BTreeMap;

use etcd_mvcc::Key;

use crate::Gate;
use crate::findings::Findings;
use crate::report::GateReport;
use crate::seen::Offered;

/// Counts what each such rule decides.
#[derive(Debug)]
pub(crate) struct Choices {
    /// By the rule's place in the scope.
    by_rule: BTreeMap<usize, Decided>,
    shown_max: usize,
}

#[derive(Debug)]
struct Decided {
    rule: String,
    first: Key,
    keys: u64,
}

impl Choices {
    pub(crate) fn new(shown_max: usize) -> Self {
        Self { by_rule: BTreeMap::new(), shown_max }
    }

    pub(crate) fn offer(&mut self, seen: &Offered<'_>) {
        if !seen.rule.is_choice() {
            return;
        }
        let decided = self.by_rule.entry(seen.rule.index()).or_insert_with(|| Decided {
            rule: seen.rule.to_string(),
            first: seen.key.clone(),
            keys: 0,
        });
        decided.keys += 1;
    }

    pub(crate) fn judge(self) -> GateReport {
        let mut findings = Findings::new(self.shown_max);
        for decided in self.by_rule.values() {
            let Decided { rule, first, keys } = decided;
            findings.add(first, || format!("one of {keys} keys under: {rule}"));
        }
        if findings.count() == 0 {
            return GateReport::passed(Gate::Choices, "no rule that is a choice decides anything");
        }
        GateReport::found(
            Gate::Choices,
            findings,
            "these rules of the preset are right for most clusters, not for all",
            "see whether they are right for this pair; a rule of your own (--rules) comes first",
        )
    }
}
