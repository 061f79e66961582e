//! What a live standby's own controllers rewrite: a copy of it never stays equal for long.
//!
//! A controller reports into the very objects that people write, and rewrites what is its own
//! work altogether. Such a write leaves alone which object it is, what owns it and what it is to
//! be: where one of these differs, somebody else was at it, whatever the kind.

use keyspace_filter::grammar::{Grammar, Shape};

use super::Facts;
use crate::Finding;

/// A kind, as etcd spells its resource, the name of its objects (`None` for every name), and who
/// rewrites them.
struct Row(&'static str, Option<&'static str>, &'static str);

/// Only what was seen to be rewritten, or is written by the same controllers in the same way.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    Row("pods", None, "the scheduler and the kubelets report on it"),
    Row("replicasets", None, "the ReplicaSet controller reports on it"),
    Row("controllers", None, "the replication controller reports on it"),
    Row("deployments", None, "the Deployment controller reports on it"),
    Row("statefulsets", None, "the StatefulSet controller reports on it"),
    Row("daemonsets", None, "the DaemonSet controller reports on it"),
    Row("controllerrevisions", None, "the controller of its owner numbers it"),
    Row("jobs", None, "the Job controller reports on it"),
    Row("cronjobs", None, "the CronJob controller reports on it"),
    Row("horizontalpodautoscalers", None, "the autoscaler reports on it"),
    Row("poddisruptionbudgets", None, "the disruption controller reports on it"),
    Row("resourcequotas", None, "the quota controller counts what is used"),
    Row("ingress", None, "an ingress controller reports its addresses"),
    Row("persistentvolumeclaims", None, "the volume controller reports on it"),
    Row("endpointslices", None, "the EndpointSlice controller keeps it"),
    Row("services/endpoints", None, "the Endpoints controller keeps it"),
    Row("leases", None, "whoever holds it on the standby renews it"),
    Row("configmaps", Some("kube-root-ca.crt"), "every cluster publishes its own authority there"),
    Row("configmaps", Some("openshift-service-ca.crt"), "every cluster publishes its own authority there"),
];

/// Who rewrites the token of a service account, which a key does not tell from other Secrets.
const ACCOUNT_TOKEN: &str = "the token controller writes the standby's own authority into it";

/// Returns who on a live standby rewrites what differs here, if it is such a kind, and nothing
/// but what they rewrite can differ.
pub(super) fn rewriter(grammar: &Grammar, finding: &Finding) -> Option<&'static str> {
    let (primary, standby) = (finding.primary.as_ref()?, finding.standby.as_ref()?);
    let (there, here) = (&primary.facts, &standby.facts);
    let Shape::Object(object) = grammar.parse(finding.key.as_bytes()) else { return None };
    let who = if object.resource == b"secrets" {
        (there.is_account_token && here.is_account_token).then_some(ACCOUNT_TOKEN)
    } else {
        let of = |Row(resource, name, _): &&Row| {
            resource.as_bytes() == object.resource
                && name.is_none_or(|name| name.as_bytes() == object.name)
        };
        TABLE.iter().find(of).map(|Row(_, _, who)| *who)
    }?;
    is_same_object(there, here).then_some(who)
}

/// Tells whether both are the same object with the same owners, meant to be the same.
fn is_same_object(there: &Facts, here: &Facts) -> bool {
    there.uid.is_some()
        && there.uid == here.uid
        && there.owners == here.owners
        && there.generation == here.generation
        && there.deleting == here.deleting
}

#[cfg(test)]
mod tests {
    use etcd_mvcc::{Key, PrimaryRevision, Revision as _, StandbyRevision, Value};

    use super::*;
    use crate::check::Held;
    use crate::{Kind, Pins};

    fn object(kind: &str, metadata: &str, rest: &str) -> String {
        format!(r#"{{"apiVersion":"v1","kind":"{kind}","metadata":{{{metadata}}}{rest}}}"#)
    }

    fn who(key: &str, there: &str, here: &str) -> Option<&'static str> {
        fn held<R>(revision: R, value: &str) -> Held<R>
        where
            R: etcd_mvcc::Revision,
        {
            let facts = Facts::of(&Value::from(value));
            Held { created: revision, modified: revision, fingerprint: 0, facts }
        }
        let pins = Pins { primary: PrimaryRevision::new(9), standby: StandbyRevision::new(9) };
        let sides =
            (Some(held(PrimaryRevision::new(7), there)), Some(held(StandbyRevision::new(8), here)));
        let key = Key::from(key);
        let finding = Finding::held(Kind::Different, key.clone(), Some(key), sides, pins);
        rewriter(&Grammar::default(), &finding)
    }

    const UID: &str = r#""uid":"u","generation":2"#;

    #[test]
    fn a_kind_of_the_table_is_rewritten_by_its_controller() {
        let (there, here) = (object("X", UID, ""), object("X", UID, r#","status":{}"#));
        for (key, rewritten) in [
            ("/registry/deployments/shop/web", true),
            ("/registry/cronjobs/shop/nightly", true),
            ("/registry/services/endpoints/shop/web", true),
            ("/registry/configmaps/shop/kube-root-ca.crt", true),
            ("/registry/configmaps/shop/settings", false),
            ("/registry/services/specs/shop/web", false),
            ("/registry/example.io/deployments/shop/web", false),
            ("/registry/deployments", false),
            ("/elsewhere/deployments/shop/web", false),
        ] {
            assert_eq!(who(key, &there, &here).is_some(), rewritten, "{key}");
        }
    }

    #[test]
    fn what_no_controller_touches_tells_of_somebody_else() {
        let there = object("X", UID, "");
        let owner = r#""ownerReferences":[{"kind":"Y","name":"y","uid":"v"}]"#;
        for (metadata, what) in [
            (r#""uid":"u","generation":3"#.to_owned(), "another spec"),
            (r#""uid":"w","generation":2"#.to_owned(), "another object"),
            (format!("{UID},{owner}"), "another owner"),
            (format!(r#"{UID},"deletionTimestamp":"2026-01-01T00:00:00Z""#), "on its way out"),
            (String::new(), "no object that could be told apart"),
        ] {
            let here = object("X", &metadata, "");
            assert_eq!(who("/registry/deployments/shop/web", &there, &here), None, "{what}");
        }
        assert_eq!(who("/registry/deployments/shop/web", "1", "2"), None, "no objects at all");
    }

    #[test]
    fn of_secrets_only_the_tokens_of_service_accounts_are_rewritten() {
        let secret = |of: &str| object("Secret", UID, &format!(r#","type":"{of}""#));
        let token = secret("kubernetes.io/service-account-token");
        let key = "/registry/secrets/shop/robot-token";
        assert!(who(key, &token, &token).is_some());
        for other in ["Opaque", "kubernetes.io/tls"] {
            assert_eq!(who(key, &token, &secret(other)), None, "{other}");
            assert_eq!(who(key, &secret(other), &token), None, "{other}");
        }
    }
}
