use dr_plan::Verdict;
use dr_plan::plan::Probe;
use serde_json::json;

use crate::pair::{Pair, assert_says};

#[tokio::test]
async fn keys_issuer_and_audiences_have_to_agree() {
    let probe = Probe::SameTokenSettings;
    let pair = Pair::start().await;
    assert_says(&pair.ask(&probe).await, Verdict::Holds, "1 keys");
    pair.standby.change(|state| state.audiences = vec!["others".into()]);
    assert_says(&pair.ask(&probe).await, Verdict::Fails, "audiences differ");
    pair.standby.change(|state| state.keys = vec!["key-1".into(), "key-2".into()]);
    assert_says(&pair.ask(&probe).await, Verdict::Fails, "of 1 and 2 keys 1 are the same");
    pair.primary.change(|state| state.keys = vec!["key-2".into(), "key-1".into()]);
    assert_says(&pair.ask(&probe).await, Verdict::Fails, "audiences differ");
    pair.standby.change(|state| state.issuer = "https://other".into());
    assert_says(&pair.ask(&probe).await, Verdict::Fails, "issuers differ");
}

#[tokio::test]
async fn audiences_that_are_not_told_leave_it_open() {
    let pair = Pair::start().await;
    let path = "/api/v1/namespaces/default/serviceaccounts";
    pair.standby.change(|state| state.refused = vec![(path.into(), 403, "forbidden".into())]);
    let answer = pair.ask(&Probe::SameTokenSettings).await;
    assert_says(&answer, Verdict::Unknown, "audiences are not told");
    pair.standby.change(|state| state.keys = Vec::new());
    assert_says(&pair.ask(&Probe::SameTokenSettings).await, Verdict::Fails, "0 are the same");
}

#[tokio::test]
async fn a_token_of_the_primary_is_shown_to_the_standby() {
    let pair = Pair::start().await;
    let probe = Probe::TokenAccepted;
    for server in [&pair.primary, &pair.standby] {
        // Local ones have the same names, and are not the same.
        server.named("serviceaccounts", "kube-system", "default", json!({}));
    }
    assert_says(&pair.ask(&probe).await, Verdict::Unknown, "no service account");
    for server in [&pair.primary, &pair.standby] {
        server.named("serviceaccounts", "shop", "agent", json!({}));
    }
    assert_says(&pair.ask(&probe).await, Verdict::Fails, "west refuses a token");
    pair.standby.change(|state| state.accepts = vec!["token-s3cr3t".into()]);
    let answer = pair.ask(&probe).await;
    assert_says(&answer, Verdict::Holds, "accepts a token that east made for shop/agent");
    let other = json!({ "metadata": { "namespace": "shop", "name": "agent", "uid": "another" } });
    pair.standby.put("/api/v1/namespaces/shop/serviceaccounts/agent", other);
    assert_says(&pair.ask(&probe).await, Verdict::Unknown, "no service account");
}

#[tokio::test]
async fn a_refused_review_does_not_repeat_the_token() {
    let pair = Pair::start().await;
    for server in [&pair.primary, &pair.standby] {
        server.named("serviceaccounts", "shop", "agent", json!({}));
    }
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    let why = "can't review token-s3cr3t".to_owned();
    pair.standby.change(|state| state.refused = vec![(path.into(), 403, why)]);
    assert_says(&pair.ask(&Probe::TokenAccepted).await, Verdict::Unknown, "can't review …");
}
