//! Gates that somebody goes past, by name and with a reason.

use std::collections::BTreeMap;

use crate::plan::Plan;
use crate::runner::Refusal;

/// Gates that may be passed although they are closed. One that is open is not overridden.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides(BTreeMap<String, String>);

impl Overrides {
    /// Takes names and reasons.
    ///
    /// # Errors
    ///
    /// A name that is none of the plan's gates, a gate that can't be overridden, no reason.
    pub fn new(
        plan: &Plan,
        given: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Refusal> {
        let mut overrides = BTreeMap::new();
        for (name, reason) in given {
            let Some(gate) = plan.gates().find(|gate| gate.name == name) else {
                let names: Vec<_> = plan.gates().map(|gate| gate.name.as_str()).collect();
                return Err(Refusal::NoSuchGate { gate: name, known: names.join(", ") });
            };
            if !gate.overridable {
                return Err(Refusal::Firm { gate: name, what: gate.what.clone() });
            }
            let reason = reason.trim();
            if reason.is_empty() {
                return Err(Refusal::NoReason { gate: name });
            }
            overrides.insert(name, reason.to_owned());
        }
        Ok(Self(overrides))
    }

    /// Returns why a gate may be passed; `None` if it may not.
    #[must_use]
    pub fn reason(&self, gate: &str) -> Option<&str> {
        self.0.get(gate).map(String::as_str)
    }
}
