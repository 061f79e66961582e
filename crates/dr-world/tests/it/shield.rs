use dr_plan::Verdict;
use dr_plan::plan::{Action, Probe, Side};
use dr_world::NotDone;
use serde_json::json;

use crate::pair::{HASTE, Pair, assert_says};

const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";
const REFUSED: Probe = Probe::WritesRefused { side: Side::Primary };
const LOWERED: Probe = Probe::ShieldLowered { side: Side::Primary };
const RAISE: Action = Action::RaiseShield { side: Side::Primary };
const LOWER: Action = Action::LowerShield { side: Side::Primary };

#[tokio::test]
async fn a_shield_is_raised_and_lowered_as_often_as_one_likes() {
    let pair = Pair::start().await;
    assert_says(&pair.ask(&REFUSED).await, Verdict::Fails, "would accept");
    assert_says(&pair.ask(&LOWERED).await, Verdict::Holds, "accepts writes");
    for _ in 0..2 {
        pair.act(&RAISE).await.unwrap();
        assert_says(&pair.ask(&REFUSED).await, Verdict::Holds, "refuses");
        assert_says(&pair.ask(&LOWERED).await, Verdict::Fails, "is there");
    }
    for _ in 0..2 {
        pair.act(&LOWER).await.unwrap();
        assert_says(&pair.ask(&REFUSED).await, Verdict::Fails, "would accept");
        assert_says(&pair.ask(&LOWERED).await, Verdict::Holds, "accepts writes");
    }
    assert!(pair.standby.calls().is_empty(), "only the primary was asked");
}

#[tokio::test]
async fn what_is_raised_is_the_policy_of_the_plan_and_its_binding() {
    let pair = Pair::start().await;
    pair.act(&RAISE).await.unwrap();
    let at = |kind: &str| pair.primary.object(&format!("{GROUP}/{kind}/etcd-sync-write-shield"));
    let policy = at("validatingadmissionpolicies").unwrap();
    assert_eq!(policy["kind"], "ValidatingAdmissionPolicy");
    assert_eq!(policy["spec"]["failurePolicy"], "Fail");
    let binding = at("validatingadmissionpolicybindings").unwrap();
    assert_eq!(binding["kind"], "ValidatingAdmissionPolicyBinding");
    assert_eq!(binding["spec"]["validationActions"], json!(["Deny"]));
}

#[tokio::test]
async fn trying_a_write_writes_nothing() {
    let pair = Pair::start().await;
    pair.ask(&REFUSED).await;
    let posts: Vec<_> = pair.primary.calls();
    assert!(posts.iter().all(|call| call.path == "/api/v1/namespaces?dryRun=All"), "{posts:?}");
    assert_eq!(posts.len(), 1);
}

#[tokio::test]
async fn half_a_shield_is_neither_raised_nor_lowered() {
    let pair = Pair::start().await;
    pair.act(&RAISE).await.unwrap();
    pair.primary.change(|state| {
        let binding = format!("{GROUP}/validatingadmissionpolicybindings/etcd-sync-write-shield");
        state.objects.remove(&binding).unwrap();
    });
    assert_says(&pair.ask(&REFUSED).await, Verdict::Fails, "would accept");
    assert_says(&pair.ask(&LOWERED).await, Verdict::Fails, "validatingadmissionpolicies");
    pair.act(&RAISE).await.unwrap();
    assert_says(&pair.ask(&REFUSED).await, Verdict::Holds, "refuses");
}

#[tokio::test]
async fn a_refusal_for_another_reason_is_no_shield() {
    let pair = Pair::start().await;
    let why = "namespaces is forbidden: User \"reader\" cannot create resource";
    let post = "/api/v1/namespaces?dryRun=All";
    pair.primary.change(|state| state.refused = vec![(post.into(), 403, why.into())]);
    assert_says(&pair.ask(&REFUSED).await, Verdict::Unknown, "for another reason");
    assert_says(&pair.ask(&LOWERED).await, Verdict::Unknown, "for another reason");
    pair.primary.change(|state| state.refused = vec![(post.into(), 500, "etcd".into())]);
    assert_says(&pair.ask(&REFUSED).await, Verdict::Unknown, "could not be asked");
}

#[tokio::test]
async fn a_shield_that_is_gone_and_still_works_is_on_its_way() {
    let pair = Pair::start().await;
    let why = "ValidatingAdmissionPolicy 'etcd-sync-write-shield' denied request";
    let post = "/api/v1/namespaces?dryRun=All";
    pair.primary.change(|state| state.refused = vec![(post.into(), 422, why.into())]);
    assert_says(&pair.ask(&LOWERED).await, Verdict::Pending, "still works");
}

#[tokio::test]
async fn an_api_that_knows_no_policies_is_told_as_such() {
    let pair = Pair::start().await;
    let policies = format!("{GROUP}/validatingadmissionpolicies");
    pair.primary.change(|state| state.refused = vec![(policies, 404, "no such page".into())]);
    let refused = pair.act(&RAISE).await.unwrap_err();
    assert!(matches!(&refused, NotDone::Refused(why) if why.contains("1.30")), "{refused}");
}

#[tokio::test]
async fn a_shield_whose_answer_is_lost_may_be_raised() {
    let mut pair = Pair::start().await;
    pair.settings.time_limit = HASTE;
    pair.primary.change(|state| state.deaf = true);
    let lost = pair.act(&RAISE).await;
    assert!(matches!(&lost, Err(NotDone::Unknown(_))), "{lost:?}");
    assert_says(&pair.ask(&REFUSED).await, Verdict::Unknown, "no answer within");
    pair.primary.change(|state| state.deaf = false);
    pair.act(&RAISE).await.unwrap();
    assert_says(&pair.ask(&REFUSED).await, Verdict::Holds, "refuses");
}
