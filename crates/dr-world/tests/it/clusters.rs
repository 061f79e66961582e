use dr_plan::Verdict;
use dr_plan::plan::{Action, Probe, Side};
use serde_json::json;

use crate::pair::{HASTE, Pair, assert_says};

#[tokio::test]
async fn versions_are_compared_by_their_numbers() {
    let pair = Pair::start().await;
    for (primary, standby, not_older, same) in [
        ("v1.30.2", "v1.30.2", Verdict::Holds, Verdict::Holds),
        ("v1.9.11", "v1.10.0", Verdict::Holds, Verdict::Fails),
        ("v1.31.0", "v1.30.9", Verdict::Fails, Verdict::Fails),
        ("v1.30.2", "v1.30.2-vendor.1", Verdict::Holds, Verdict::Fails),
        ("v1.30.2", "latest", Verdict::Unknown, Verdict::Unknown),
    ] {
        pair.primary.change(|state| state.version = primary.into());
        pair.standby.change(|state| state.version = standby.into());
        assert_says(&pair.ask(&Probe::VersionNotOlder).await, not_older, standby);
        assert_says(&pair.ask(&Probe::SameVersion).await, same, standby);
    }
}

#[tokio::test]
async fn what_an_api_does_not_tell_is_not_judged() {
    let mut pair = Pair::start().await;
    pair.settings.time_limit = HASTE;
    pair.standby.change(|state| state.mute = vec!["/".into()]);
    for probe in [
        Probe::VersionNotOlder,
        Probe::SameVersion,
        Probe::DifferentClusters,
        Probe::SameTokenSettings,
        Probe::TokenAccepted,
        Probe::ServiceAddressesApart,
        Probe::RoleRecorded { side: Side::Standby, role: "standby".into() },
    ] {
        assert_says(&pair.ask(&probe).await, Verdict::Unknown, "the API of west could not");
    }
}

#[tokio::test]
async fn one_cluster_under_two_names_is_found() {
    let mut pair = Pair::start().await;
    assert_says(&pair.ask(&Probe::DifferentClusters).await, Verdict::Holds, "kube-system");
    pair.topology.standby.kubernetes = pair.topology.primary.kubernetes.clone();
    assert_says(&pair.ask(&Probe::DifferentClusters).await, Verdict::Fails, "kube-system");
}

#[tokio::test]
async fn a_role_is_recorded_and_can_be_changed() {
    let pair = Pair::start().await;
    let recorded = |role: &str| Probe::RoleRecorded { side: Side::Standby, role: role.into() };
    let record = |role: &str| Action::RecordRole { side: Side::Standby, role: role.into() };
    assert_says(&pair.ask(&recorded("standby")).await, Verdict::Fails, "no role is recorded");
    for role in ["standby", "standby", "primary"] {
        pair.act(&record(role)).await.unwrap();
        assert_says(&pair.ask(&recorded(role)).await, Verdict::Holds, role);
    }
    assert_says(&pair.ask(&recorded("standby")).await, Verdict::Fails, "primary");
    // Where the plan's own lines for kubectl put it.
    let at = "/api/v1/namespaces/cpaas-system/configmaps/etcd-sync-role";
    assert_eq!(pair.standby.object(at).unwrap()["data"], json!({ "role": "primary" }));
    let lines = record("primary").by_hand(&pair.topology).unwrap();
    assert!(lines.contains("configmap etcd-sync-role -n cpaas-system"), "{lines}");
}

#[tokio::test]
async fn services_that_would_take_an_address_are_named() {
    let pair = Pair::start().await;
    let probe = Probe::ServiceAddressesApart;
    let service = |address: &str, port: u16| {
        json!({ "spec": { "clusterIP": address, "clusterIPs": [address],
                          "ports": [{ "nodePort": port }, { "port": 80 }] } })
    };
    let (ours, theirs) = (&pair.primary, &pair.standby);
    theirs.named("services", "kube-system", "kube-dns", service("10.3.0.10", 30_053));
    ours.named("services", "kube-system", "kube-dns", service("10.3.0.10", 30_053));
    ours.named("services", "shop", "web", service("10.3.0.11", 30_080));
    ours.named("services", "shop", "headless", json!({ "spec": { "clusterIP": "None" } }));
    theirs.named("services", "default", "headless", json!({ "spec": { "clusterIP": "None" } }));
    assert_says(&pair.ask(&probe).await, Verdict::Holds, "none of 2");
    ours.named("services", "shop", "web", service("10.3.0.10", 30_080));
    let named = "address 10.3.0.10 of shop/web belongs to kube-system/kube-dns there";
    assert_says(&pair.ask(&probe).await, Verdict::Fails, named);
    ours.named("services", "shop", "web", service("10.3.0.11", 30_053));
    assert_says(&pair.ask(&probe).await, Verdict::Fails, "node port 30053/TCP of shop/web");
}
