//! Objects that act on real infrastructure, or keep an apiserver from starting, and are admitted.

use std::collections::BTreeMap;

use etcd_mvcc::Key;
use keyspace_filter::{Scope, ScopeSpec};

use crate::Gate;
use crate::findings::Findings;
use crate::report::GateReport;
use crate::seen::Offered;

/// Finds what only an unsafe rule, or no preset at all, lets through.
#[derive(Debug)]
pub(crate) struct HardLocal {
    /// The preset alone: what the user's rules come before.
    preset: Option<Scope>,
    findings: Findings,
    by_resource: BTreeMap<Vec<u8>, u64>,
    volumes_held: u64,
}

impl HardLocal {
    pub(crate) fn new(scope: &Scope, shown_max: usize) -> Self {
        let spec =
            ScopeSpec { etcd_prefix: scope.grammar().root().to_owned(), ..ScopeSpec::default() };
        Self {
            preset: Scope::compile(spec).ok(),
            findings: Findings::new(shown_max),
            by_resource: BTreeMap::new(),
            volumes_held: 0,
        }
    }

    pub(crate) fn offer(&mut self, seen: &Offered<'_>, scope: &Scope) {
        let (Some(object), Some(preset)) = (&seen.object, &self.preset) else { return };
        let hard = preset.decide(seen.key.as_bytes()).rule;
        if seen.place.is_none() || !hard.is_hard() {
            return;
        }
        *self.by_resource.entry(object.resource.to_vec()).or_default() += 1;
        let claim = seen.meta.claim().filter(|claim| !admits_namespace(scope, claim.namespace));
        match claim {
            Some(claim) => {
                self.volumes_held += 1;
                self.findings.add(seen.key, || {
                    format!(
                        "claimed from {}, which stays local: so does the volume",
                        Key::from(claim.namespace)
                    )
                });
            }
            None => self.findings.add(seen.key, || hard.why().to_owned()),
        }
    }

    pub(crate) fn judge(self) -> GateReport {
        if self.findings.count() == 0 {
            return GateReport::passed(
                Gate::HardLocal,
                "nothing that acts on real infrastructure is admitted",
            );
        }
        let counts: Vec<String> = self
            .by_resource
            .into_iter()
            .map(|(resource, count)| format!("{} {count}", Key::from(resource)))
            .collect();
        let held = match self.volumes_held {
            0 => String::new(),
            held => format!("; {held} volumes stay local with their claims"),
        };
        GateReport::found(
            Gate::HardLocal,
            self.findings,
            format!(
                "objects that act on real infrastructure are admitted ({}){held}",
                counts.join(", ")
            ),
            "take back what admits them (rules with `unsafe: true`, or preset `none`), unless the \
             standby's controllers for these are off",
        )
    }
}

/// Tells whether a namespace is mirrored.
pub(crate) fn admits_namespace(scope: &Scope, namespace: &str) -> bool {
    scope.admits(format!("{}namespaces/{namespace}", scope.grammar().root()).as_bytes())
}
