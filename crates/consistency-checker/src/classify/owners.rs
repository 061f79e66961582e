//! Whether an object's owners are on the standby.
//!
//! An owner reference names a kind, not a resource, and there is no table of resources here. But
//! etcd's key of an object follows from the plural of its kind, its group and its namespace, up to
//! a few spellings: all of them are asked for at once.

use etcd_mvcc::{Key, ReadRange, StandbyRevision};
use keyspace_filter::grammar::Shape;

use super::{Classifier, Evidence, Facts, Owner};
use crate::Finding;

impl<S, E> Classifier<'_, S, E>
where
    S: ReadRange<Revision = StandbyRevision>,
    E: Evidence,
{
    /// Returns an owner that is not on the standby, if the object has owners and none of them is.
    pub(super) async fn absent_owner(&self, finding: &Finding, facts: &Facts) -> Option<String> {
        let mut absent = None;
        for owner in &facts.owners {
            let keys = self.spellings(&finding.key, owner);
            let found = self.standby.read_keys(&keys, Some(finding.pins.standby)).await.ok()?;
            let is_owner =
                |value: &etcd_mvcc::Value| Facts::of(value).uid.is_some_and(|uid| uid == owner.uid);
            if found.iter().flatten().any(|entry| is_owner(&entry.value)) {
                return None;
            }
            absent.get_or_insert_with(|| format!("{} {}", owner.kind, owner.name));
        }
        absent
    }

    /// Where the owner of `dependent` may be stored.
    fn spellings(&self, dependent: &Key, owner: &Owner) -> Vec<Key> {
        let namespace = match self.grammar.parse(dependent.as_bytes()) {
            Shape::Object(object) => object.namespace.and_then(|n| std::str::from_utf8(n).ok()),
            Shape::Unknown | Shape::Outside => None,
        };
        let root = self.grammar.root();
        let group = owner.api_version.rsplit_once('/').map_or("", |(group, _)| group);
        let mut keys = Vec::new();
        for resource in resources(group, &owner.kind) {
            if let Some(namespace) = namespace {
                keys.push(Key::from(format!("{root}{resource}/{namespace}/{}", owner.name)));
            }
            keys.push(Key::from(format!("{root}{resource}/{}", owner.name)));
        }
        keys
    }
}

/// How etcd may spell the resource of a kind.
fn resources(group: &str, kind: &str) -> Vec<String> {
    let special = match kind {
        "Node" => Some("minions"),
        "Service" => Some("services/specs"),
        "Endpoints" => Some("services/endpoints"),
        "ReplicationController" => Some("controllers"),
        "Ingress" => Some("ingress"),
        _ => None,
    };
    let plural = plural(&kind.to_ascii_lowercase());
    let mut resources = Vec::new();
    if group.contains('.') {
        resources.push(format!("{group}/{plural}"));
    }
    resources.extend(special.map(str::to_owned));
    resources.push(plural);
    resources
}

/// The plural that API conventions give a kind.
fn plural(singular: &str) -> String {
    let ends_in = |endings: &[&str]| endings.iter().any(|ending| singular.ends_with(ending));
    match singular.strip_suffix('y') {
        Some(stem) if !ends_in(&["ay", "ey", "oy", "uy"]) => format!("{stem}ies"),
        _ if ends_in(&["s", "x", "z", "ch", "sh"]) => format!("{singular}es"),
        _ => format!("{singular}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_found_under_the_names_that_etcd_gives_them() {
        let cases = [
            ("apps", "ReplicaSet", "replicasets"),
            ("", "Service", "services/specs"),
            ("networking.k8s.io", "NetworkPolicy", "networkpolicies"),
            ("cluster.x-k8s.io", "Machine", "cluster.x-k8s.io/machines"),
            ("networking.k8s.io", "IngressClass", "ingressclasses"),
            ("example.io", "Gateway", "example.io/gateways"),
        ];
        for (group, kind, resource) in cases {
            assert!(resources(group, kind).contains(&resource.to_owned()), "{kind}");
        }
    }
}
