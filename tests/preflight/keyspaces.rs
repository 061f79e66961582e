//! Kubernetes keyspaces: a primary in use, and a standby fresh from its installation, with other
//! uids under the same names.

use end_to_end::{Etcd, dump, fixture};
use kube_meta::skim;

use crate::support::{gate, pair, preflight, report, revision, shown};

/// On both sides, cluster-scoped and in scope.
const TEMPLATE: &str = "/registry/aiops.alauda.io/alerttemplates/template-000";
const DEFINITIONS: &str = "/registry/apiextensions.k8s.io/customresourcedefinitions/";

async fn loaded() -> (Etcd, Etcd) {
    let (primary, standby) = pair().await;
    let (mut there, mut here) = (primary.client().await, standby.client().await);
    fixture::load(&mut there, &fixture::primary()).await;
    fixture::load(&mut here, &fixture::fresh_standby()).await;
    (primary, standby)
}

/// A config map that names another object as its owner.
fn owned(kind: &str, name: &str, uid: &str) -> String {
    format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"settings","uid":"8d2f","ownerReferences":[{{"apiVersion":"v1","kind":"{kind}","name":"{name}","uid":"{uid}"}}]}}}}"#
    )
}

#[tokio::test]
async fn a_fresh_standby_may_be_mirrored_and_what_is_worth_a_look_is_named() {
    let (primary, standby) = loaded().await;
    let (report, exit) = report(&primary, &standby, &[]);
    assert_eq!((exit, &report["verdict"]), (0, &"warnings".into()), "{report}");
    // Each owner of each key is in the data, and in scope wherever its dependent is.
    for name in ["owners", "uid-change", "encryption-keys", "hard-local", "service-addresses"] {
        assert_eq!(gate(&report, name)["outcome"], "passed", "{}", gate(&report, name));
    }
    let floor = gate(&report, "revision-floor");
    assert_eq!((&floor["outcome"], &floor["severity"]), (&"found".into(), &"warn".into()));
    let swaps = gate(&report, "uid-swaps");
    assert_eq!(swaps["count"], 3, "{swaps}");
    assert!(shown(swaps).iter().all(|key| key.starts_with(DEFINITIONS)), "{swaps}");
    let choices = shown(gate(&report, "choices"));
    assert!(choices.iter().any(|key| key.starts_with("/registry/cronjobs/")), "{choices:?}");
    assert_ne!(gate(&report, "etcd-versions")["outcome"], "unknown", "{report}");
}

#[tokio::test]
async fn what_hangs_on_a_uid_that_goes_is_refused_until_it_is_allowed() {
    let (primary, standby) = loaded().await;
    let mut here = standby.client().await;
    let template = here.get(TEMPLATE, None).await.unwrap();
    let uid = skim(template.kvs()[0].value()).uid().unwrap().to_owned();
    let local = "/registry/configmaps/cpaas-system/settings";
    here.put(local, owned("AlertTemplate", "template-000", &uid), None).await.unwrap();
    let (found, exit) = report(&primary, &standby, &[]);
    assert_eq!((exit, &found["verdict"]), (1, &"refused".into()), "{found}");
    let change = gate(&found, "uid-change");
    assert_eq!((&change["severity"], &change["count"]), (&"refuse".into(), &1.into()));
    assert_eq!(shown(change), [TEMPLATE]);
    assert!(change["shown"][0]["detail"].as_str().unwrap().contains(local), "{change}");
    assert!(found["reason"].as_str().unwrap().contains("uid-change"), "{found}");
    assert!(found["next_steps"][0].as_str().unwrap().starts_with("uid-change: "), "{found}");

    let (allowed, exit) = report(&primary, &standby, &["--allow", "uid-change"]);
    assert_eq!((exit, &allowed["verdict"]), (0, &"warnings".into()), "{allowed}");
    assert_eq!(gate(&allowed, "uid-change")["outcome"], "allowed");
    assert_eq!(gate(&allowed, "uid-change")["count"], 1);
    // Leaving the key local resolves it.
    let (resolved, exit) = report(&primary, &standby, &["--exclude-prefix", TEMPLATE]);
    assert_eq!(exit, 0, "{resolved}");
    assert_eq!(gate(&resolved, "uid-change")["outcome"], "passed");
}

#[tokio::test]
async fn an_object_without_its_owner_and_an_address_of_two_services_are_named() {
    let (primary, standby) = loaded().await;
    let (mut there, mut here) = (primary.client().await, standby.client().await);
    let orphan = "/registry/configmaps/shop/orphan";
    there.put(orphan, owned("Cluster", "gone", "6f1c"), None).await.unwrap();
    let service = |ip: &str| {
        format!(
            r#"{{"apiVersion":"v1","kind":"Service","metadata":{{"name":"s","uid":"{ip}"}},"spec":{{"clusterIP":"{ip}"}}}}"#
        )
    };
    there.put("/registry/services/specs/shop/web", service("10.96.7.7"), None).await.unwrap();
    here.put("/registry/services/specs/kube-ovn/dns", service("10.96.7.7"), None).await.unwrap();
    let (report, exit) = report(&primary, &standby, &[]);
    assert_eq!((exit, &report["verdict"]), (0, &"warnings".into()), "{report}");
    assert_eq!(shown(gate(&report, "owners")), [orphan]);
    let addresses = gate(&report, "service-addresses");
    assert_eq!(shown(addresses), ["/registry/services/specs/shop/web"]);
    assert!(addresses["shown"][0]["detail"].as_str().unwrap().contains("kube-ovn/dns"));
}

#[tokio::test]
async fn people_read_a_line_for_each_gate_and_nothing_is_written() {
    let (primary, standby) = loaded().await;
    let before = (revision(&primary).await, revision(&standby).await);
    let output = preflight(&primary.endpoints(), &standby.endpoints(), &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "verdict   warnings: somebody should look at: ",
        "ok      owners              every owner in scope comes along",
        "warn    revision-floor      ",
        "next: etcd-sync run",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert_eq!((revision(&primary).await, revision(&standby).await), before);
    let left = dump(&standby.client().await).await;
    assert!(!left.keys.keys().any(|key| key.starts_with(end_to_end::OWN_PREFIX)));
}
