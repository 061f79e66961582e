use std::time::{Duration, Instant};

use dr_plan::plan::{Action, Probe, Side, Target};
use dr_plan::runner::Acted;
use dr_plan::topology::{KubernetesAccess, WorkloadCluster};
use dr_plan::{Timestamp, Verdict};
use dr_world::{NotDone, acted};
use serde_json::json;

use crate::pair::{HASTE, Pair, assert_says, now};

const SPACE: &str = "cpaas-system";
const SELECTOR: &str = "service_name in (alertmanager,vmselect)";
const ONE: &str = "/api/v1/namespaces/cpaas-system/pods/one";

fn target() -> Target {
    Side::Standby.into()
}

fn ready() -> Probe {
    Probe::PodsReady { target: target(), namespace: SPACE.into(), selector: SELECTOR.into() }
}

fn restarted() -> Probe {
    Probe::PodsRestarted { target: target(), namespace: SPACE.into(), selector: SELECTOR.into() }
}

fn gone() -> Probe {
    Probe::PodsGone { target: target(), namespace: SPACE.into(), selector: SELECTOR.into() }
}

fn restart() -> Action {
    Action::RestartPods { target: target(), namespace: SPACE.into(), selector: SELECTOR.into() }
}

/// Two pods that match, on two pages, and one that does not.
async fn pair() -> Pair {
    let pair = Pair::start().await;
    pair.standby.pod(SPACE, "one", ("service_name", "alertmanager"), 3_600);
    pair.standby.pod(SPACE, "two", ("service_name", "vmselect"), 3_600);
    pair.standby.pod(SPACE, "other", ("service_name", "sentry"), 3_600);
    for (kind, service) in
        [("deployments", "alertmanager"), ("statefulsets", "vmselect"), ("daemonsets", "sentry")]
    {
        pair.standby.workload(kind, SPACE, service, ("service_name", service));
    }
    pair
}

#[tokio::test]
async fn pods_are_ready_if_there_are_some_and_all_are() {
    let pair = pair().await;
    assert_says(&pair.ask(&ready()).await, Verdict::Holds, "2 of 2");
    pair.standby.set(ONE, "/status/conditions/0/status", json!("False"));
    assert_says(&pair.ask(&ready()).await, Verdict::Fails, "1 of 2");
    // One that was evicted lies about until somebody cleans up.
    pair.standby.set(ONE, "/status/phase", json!("Failed"));
    assert_says(&pair.ask(&ready()).await, Verdict::Holds, "1 of 1");
    pair.standby.change(|state| state.objects.clear());
    assert_says(&pair.ask(&ready()).await, Verdict::Fails, "no such pod");
}

#[tokio::test]
async fn pods_are_restarted_once_and_are_new_afterwards() {
    let pair = pair().await;
    let begun = now();
    assert_says(&pair.ask(&restarted()).await, Verdict::Fails, "nobody began");
    assert_says(&pair.ask_since(&restarted(), begun).await, Verdict::Fails, "0 of 2");
    let world = pair.world();
    let done = world.act(&restart(), begun).await.unwrap();
    assert_eq!(done, Ok("2 of 2 pods deleted".to_owned()));
    assert_eq!(acted(done), Acted::Accepted);
    pair.wait_for(&restarted(), begun).await;

    // Again, as after a crash: the new ones stay.
    let done = world.act(&restart(), begun).await.unwrap();
    assert_eq!(done, Ok("0 of 2 pods deleted".to_owned()));
    assert_eq!(pair.standby.deleted(), 2);
    assert!(pair.standby.object("/api/v1/namespaces/cpaas-system/pods/other").is_some());
    assert!(pair.primary.calls().is_empty());
}

#[tokio::test]
async fn a_pod_is_deleted_by_its_identity_and_not_by_its_name() {
    let pair = pair().await;
    let uid = pair.standby.object(ONE).unwrap()["metadata"]["uid"].clone();
    pair.act(&restart()).await.unwrap();
    let calls = pair.standby.calls();
    let deleted = calls.iter().find(|call| call.method == "DELETE" && call.path == ONE).unwrap();
    let body: serde_json::Value = serde_json::from_str(&deleted.body).unwrap();
    assert_eq!(body["preconditions"]["uid"], uid);

    // Another pod has the name by the time that the request arrives.
    let pair = self::pair().await;
    pair.standby.change(|state| state.refused = vec![(ONE.into(), 409, "uid".into())]);
    assert_eq!(pair.act(&restart()).await, Ok("1 of 2 pods deleted".to_owned()));
}

#[tokio::test]
async fn pods_of_which_some_are_new_or_leave_are_on_their_way() {
    let pair = pair().await;
    let begun = now();
    pair.standby.pod(SPACE, "one", ("service_name", "alertmanager"), 0);
    assert_says(&pair.ask_since(&restarted(), begun).await, Verdict::Pending, "1 of 2");
    let pair = self::pair().await;
    pair.standby.change(|state| {
        state.objects.get_mut(ONE).unwrap()["metadata"]["deletionTimestamp"] = json!("now");
    });
    assert_says(&pair.ask_since(&restarted(), begun).await, Verdict::Pending, "0 of 2");
}

#[tokio::test]
async fn a_pod_that_is_gone_and_not_yet_made_again_is_missed() {
    for kind in ["deployments", "statefulsets", "daemonsets"] {
        let pair = Pair::start().await;
        let begun = now();
        pair.standby.workload(kind, SPACE, "one", ("service_name", "alertmanager"));
        pair.standby.workload(kind, SPACE, "two", ("service_name", "vmselect"));
        pair.standby.workload(kind, "elsewhere", "two", ("service_name", "vmselect"));
        pair.standby.workload(kind, SPACE, "other", ("service_name", "sentry"));
        assert_says(&pair.ask_since(&restarted(), begun).await, Verdict::Pending, "0 of 2");
        pair.standby.pod(SPACE, "one", ("service_name", "alertmanager"), 0);
        assert_says(&pair.ask_since(&restarted(), begun).await, Verdict::Pending, "1 of 2");
        pair.standby.pod(SPACE, "two", ("service_name", "vmselect"), 0);
        assert_says(&pair.ask_since(&restarted(), begun).await, Verdict::Holds, "2 of 2");
    }
}

#[tokio::test]
async fn every_form_of_a_selector_counts_who_is_wanted() {
    let pair = pair().await;
    for (selector, wanted) in [
        ("service_name=alertmanager", 1),
        ("service_name==alertmanager", 1),
        ("service_name in (alertmanager, vmselect),service_name!=vmselect", 1),
        ("service_name notin (alertmanager)", 2),
        ("service_name", 3),
        ("!service_name", 0),
        ("service_name,app notin (x,y)", 3),
    ] {
        let selected = Probe::PodsRestarted {
            target: target(),
            namespace: SPACE.into(),
            selector: selector.into(),
        };
        // The pods themselves are the API's to select, and this one knows fewer forms.
        pair.standby.change(|state| state.objects.retain(|at, _| !at.contains("/pods/")));
        let answer = pair.ask_since(&selected, now()).await;
        let verdict = if wanted == 0 { Verdict::Fails } else { Verdict::Pending };
        assert_says(&answer, verdict, &format!("0 of {wanted} pods"));
    }
    for selector in ["service_name in alertmanager,", "a b", "=x", "x in (y"] {
        let selected = Probe::PodsRestarted {
            target: target(),
            namespace: SPACE.into(),
            selector: selector.into(),
        };
        let answer = pair.ask_since(&selected, now()).await;
        assert_says(&answer, Verdict::Unknown, "is no label selector");
    }
}

#[tokio::test]
async fn a_clock_that_differs_from_ours_does_not_make_old_pods_new() {
    let pair = pair().await;
    pair.standby.change(|state| state.ahead = 7_200);
    let begun = now();
    // Created an hour from now, by our clock; by theirs, an hour before the step was begun.
    pair.standby.pod(SPACE, "one", ("service_name", "alertmanager"), 3_600);
    pair.standby.pod(SPACE, "two", ("service_name", "vmselect"), 3_600);
    let answer = pair.ask_since(&restarted(), begun).await;
    assert_says(&answer, Verdict::Fails, "differs from this one by 7");
    pair.world().act(&restart(), begun).await.unwrap().unwrap();
    pair.wait_for(&restarted(), begun).await;

    // And one that is behind does not make new ones old.
    let pair = self::pair().await;
    pair.standby.change(|state| state.ahead = -7_200);
    pair.standby.pod(SPACE, "one", ("service_name", "alertmanager"), 0);
    pair.standby.pod(SPACE, "two", ("service_name", "vmselect"), 0);
    let answer = pair.ask_since(&restarted(), begun).await;
    assert_says(&answer, Verdict::Holds, "2 of 2");
}

#[tokio::test]
async fn a_pod_that_nobody_would_make_again_is_not_deleted() {
    let pair = pair().await;
    pair.standby.set(ONE, "/metadata/ownerReferences", json!([]));
    let refused = pair.act(&restart()).await.unwrap_err();
    assert!(matches!(&refused, NotDone::Refused(why) if why.contains("has no owner")), "{refused}");
    assert_eq!(pair.standby.deleted(), 0);
}

#[tokio::test]
async fn an_answer_that_is_lost_is_not_taken_for_a_no() {
    let mut pair = pair().await;
    pair.settings.time_limit = HASTE;
    pair.standby.change(|state| state.mute = vec![ONE.to_owned()]);
    let began = Instant::now();
    let lost = pair.act(&restart()).await;
    assert!(matches!(&lost, Err(NotDone::Unknown(_))), "{lost:?}");
    assert!(matches!(acted(lost), Acted::Unknown(_)));
    pair.standby.change(|state| state.mute = vec!["/api".to_owned()]);
    for probe in [ready(), restarted(), gone()] {
        let answer = pair.ask_since(&probe, now()).await;
        assert_says(&answer, Verdict::Unknown, "no answer within");
    }
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_refusal_is_told_and_is_not_taken_for_absence() {
    let pair = pair().await;
    let why = "pods is forbidden: User \"reader\"\ncannot list";
    pair.standby.change(|state| state.refused = vec![("/api".into(), 403, why.into())]);
    for probe in [ready(), restarted(), gone()] {
        let answer = pair.ask_since(&probe, now()).await;
        assert_says(&answer, Verdict::Unknown, "403: pods is forbidden: User \"reader\" cannot");
    }
    assert!(matches!(pair.act(&restart()).await, Err(NotDone::Refused(_))));
    pair.standby.change(|state| state.refused = vec![("/api".into(), 503, "busy".into())]);
    assert!(matches!(pair.act(&restart()).await, Err(NotDone::Unknown(_))));
}

#[tokio::test]
async fn a_deployment_that_is_scaled_to_none_loses_its_pods() {
    let pair = pair().await;
    pair.standby.deployment(SPACE, "etcd-sync");
    pair.standby.pod(SPACE, "etcd-sync-1", ("app", "etcd-sync"), 60);
    let none = Probe::PodsGone {
        target: target(),
        namespace: SPACE.into(),
        selector: "app=etcd-sync".into(),
    };
    let scale = |replicas, deployment: &str| Action::Scale {
        target: target(),
        namespace: SPACE.into(),
        deployment: deployment.into(),
        replicas,
    };
    assert_says(&pair.ask(&none).await, Verdict::Fails, "1 pods are left");
    for _ in 0..2 {
        pair.act(&scale(0, "etcd-sync")).await.unwrap();
    }
    assert_says(&pair.ask(&none).await, Verdict::Holds, "no such pod");
    pair.act(&scale(0, "absent")).await.unwrap();
    assert!(matches!(pair.act(&scale(1, "absent")).await, Err(NotDone::Refused(_))));
    // Two others have no deployment and no reason to go.
    assert_says(&pair.ask(&gone()).await, Verdict::Fails, "2 pods are left");
}

#[tokio::test]
async fn a_workload_cluster_is_asked_by_its_name() {
    let mut pair = pair().await;
    let kubernetes: KubernetesAccess = pair.topology.standby.kubernetes.clone();
    let shop = WorkloadCluster { name: "shop".into(), kubernetes, sends_monitoring: true };
    pair.topology.workload_clusters.push(shop);
    let ready_in = |name: &str| Probe::PodsReady {
        target: Target::Workload(name.into()),
        namespace: SPACE.into(),
        selector: SELECTOR.into(),
    };
    assert_says(&pair.ask(&ready_in("shop")).await, Verdict::Holds, "2 of 2");
    assert_says(&pair.ask(&ready_in("mall")).await, Verdict::Unknown, "no workload cluster mall");
}

#[tokio::test]
async fn controllers_are_new_when_their_containers_are() {
    let pair = Pair::start().await;
    let probe = Probe::ControllersRestarted { side: Side::Standby };
    let begun = Timestamp::from_ms(now().ms() - 10_000);
    let answer = pair.ask_since(&probe, begun).await;
    assert_says(&answer, Verdict::Unknown, "shows no pod of kube-apiserver");
    for component in ["kube-apiserver", "kube-controller-manager"] {
        pair.standby.pod("kube-system", component, ("component", component), 3_600);
    }
    assert_says(&pair.ask(&probe).await, Verdict::Fails, "nobody began");
    assert_says(&pair.ask_since(&probe, begun).await, Verdict::Fails, "0 of 2");
    let started = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    for (container, verdict) in
        [("kube-apiserver", Verdict::Pending), ("kube-controller-manager", Verdict::Holds)]
    {
        let pod = format!("/api/v1/namespaces/kube-system/pods/{container}");
        let at = "/status/containerStatuses/0/state/running/startedAt";
        pair.standby.set(&pod, at, json!(started));
        assert_says(&pair.ask_since(&probe, begun).await, verdict, "of 2 are new");
    }
}
