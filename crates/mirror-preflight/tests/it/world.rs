//! Two clusters in memory, and objects to put into them.

use std::collections::BTreeSet;

use etcd_mvcc::{ClusterId, Key};
use etcd_sim::{SimPrimary, SimStandby};
use futures::executor::block_on;
use keyspace_filter::{Scope, ScopeSpec};
use mirror_preflight::{
    Gate, GateReport, Outcome, PreflightReport, PreflightSettings, Versions, preflight,
};

/// A pair, a scope and settings with which a preflight finds nothing.
pub(crate) struct World {
    pub(crate) primary: SimPrimary,
    pub(crate) standby: SimStandby,
    pub(crate) scope: ScopeSpec,
    pub(crate) settings: PreflightSettings,
}

impl World {
    pub(crate) fn new() -> Self {
        let version = Some("3.6.14".to_owned());
        Self {
            primary: SimPrimary::new(ClusterId::new(1)),
            standby: SimStandby::new(ClusterId::new(2)),
            scope: ScopeSpec::default(),
            settings: PreflightSettings {
                versions: Versions { primary: version.clone(), standby: version },
                // A revision of the simulator costs a write.
                revision_margin: 0,
                revision_lift: 1_000,
                ..PreflightSettings::default()
            },
        }
    }

    pub(crate) fn on_primary(&self, key: &str, value: &str) -> &Self {
        self.primary.with(|etcd| etcd.put(key, value)).unwrap();
        self
    }

    pub(crate) fn on_standby(&self, key: &str, value: &str) -> &Self {
        self.standby.with(|etcd| etcd.put(key, value)).unwrap();
        self
    }

    pub(crate) fn allow(&mut self, gate: Gate) {
        self.settings.allow = BTreeSet::from([gate]);
    }

    /// Brings the standby's revision level with the primary's, the default margin being 0.
    fn level(&self) {
        let ahead = |world: &Self| {
            world.primary.with(|etcd| etcd.revision().to_string().parse::<i64>().unwrap())
                - world.standby.with(|etcd| etcd.revision().to_string().parse::<i64>().unwrap())
        };
        for _ in 0..ahead(self).max(0) {
            self.on_standby("/elsewhere", "");
        }
    }

    pub(crate) fn report(&self) -> PreflightReport {
        self.level();
        let scope = Scope::compile(self.scope.clone()).unwrap();
        block_on(preflight(&self.primary, &self.standby, &scope, &self.settings)).unwrap()
    }

    /// What this gate says.
    pub(crate) fn gate(&self, name: Gate) -> GateReport {
        self.report().gates.into_iter().find(|gate| gate.name == name).unwrap()
    }

    /// The gate is met.
    pub(crate) fn assert_passes(&self, name: Gate) {
        let gate = self.gate(name);
        assert_eq!((gate.outcome, gate.count), (Outcome::Passed, 0), "{gate:?}");
    }

    /// The gate has found exactly these keys; returns what it says of the first.
    pub(crate) fn assert_finds(&self, name: Gate, keys: &[&str]) -> String {
        let gate = self.gate(name);
        assert_eq!(gate.outcome, Outcome::Found, "{gate:?}");
        assert_eq!(gate.count, keys.len() as u64, "{gate:?}");
        let found: BTreeSet<&str> = gate.shown.iter().map(|finding| finding.key.as_str()).collect();
        assert_eq!(found, keys.iter().copied().collect());
        assert!(!gate.reason.is_empty() && !gate.next_step.is_empty(), "{gate:?}");
        gate.shown[0].detail.clone()
    }
}

/// An object with this uid and these owners: kind, name and uid.
pub(crate) fn object(uid: &str, owners: &[(&str, &str, &str)]) -> String {
    with_spec("Thing", uid, owners, "{}")
}

/// The same with a kind and a spec.
pub(crate) fn with_spec(
    kind: &str,
    uid: &str,
    owners: &[(&str, &str, &str)],
    spec: &str,
) -> String {
    let owners: Vec<String> = owners
        .iter()
        .map(|(kind, name, uid)| {
            format!(r#"{{"apiVersion":"v1","kind":"{kind}","name":"{name}","uid":"{uid}"}}"#)
        })
        .collect();
    format!(
        r#"{{"apiVersion":"v1","kind":"{kind}","metadata":{{"uid":"{uid}","ownerReferences":[{}]}},"spec":{spec}}}"#,
        owners.join(",")
    )
}

/// A service with an address and a node port.
pub(crate) fn service(uid: &str, address: &str, port: u16) -> String {
    let spec = format!(r#"{{"clusterIP":"{address}","ports":[{{"port":80,"nodePort":{port}}}]}}"#);
    with_spec("Service", uid, &[], &spec)
}

/// A value that was encrypted at rest.
pub(crate) fn sealed(provider: &str, key: &str, nonce: &str) -> String {
    format!("k8s:enc:{provider}:v1:{key}:{nonce}")
}

/// A key as the report shows it.
pub(crate) fn shown(key: &str) -> String {
    Key::from(key).to_string()
}
