use std::time::{Duration, Instant};

use dr_plan::Verdict;
use dr_plan::plan::{Probe, Side, Signal};
use serde_json::json;

use crate::pair::{HASTE, Pair, assert_says};
use crate::support::kube::write_kubeconfig;
use crate::support::tls::{Authority, PAGE, Says, Server, nobody};

const GONE: Probe = Probe::Unreachable { side: Side::Primary, signal: Signal::Api };

/// Points the primary's kubeconfig elsewhere.
fn point(pair: &Pair, server: &str, authority: &str) {
    let file = pair.topology.primary.kubernetes.kubeconfig.as_str();
    write_kubeconfig(file.as_ref(), server, authority, &json!({}));
}

#[tokio::test]
async fn an_api_that_answers_whatever_it_says_is_not_gone() {
    let pair = Pair::start().await;
    assert_says(&pair.ask(&GONE).await, Verdict::Fails, "the API of east answers 401 at");
    let why = "etcd is away".to_owned();
    pair.primary.change(|state| {
        state.bearer = String::new();
        state.refused = vec![("/version".into(), 503, why)];
    });
    assert_says(&pair.ask(&GONE).await, Verdict::Fails, "answers 503");
}

#[tokio::test]
async fn an_api_is_gone_if_it_is_silent_at_all_its_addresses_while_the_other_answers() {
    let mut pair = Pair::start().await;
    pair.settings.time_limit = HASTE;
    point(&pair, &format!("http://{}", nobody().await), "");
    assert_says(&pair.ask(&GONE).await, Verdict::Holds, "is silent, that of west answers");
}

#[tokio::test]
async fn an_api_that_answers_behind_a_gateway_that_is_silent_is_not_gone() {
    let mut pair = Pair::start().await;
    pair.settings.time_limit = HASTE;
    point(&pair, &format!("http://{}", nobody().await), "");
    pair.settings.api_port = pair.primary.address.port();
    // It wants a token, which is not sent to an address that no kubeconfig names.
    assert_says(&pair.ask(&GONE).await, Verdict::Fails, "answers 401");
    assert!(pair.primary.calls().iter().all(|call| call.authorization.is_empty()));
}

#[tokio::test]
async fn a_load_balancer_without_anybody_behind_it_is_silence() {
    let mut pair = Pair::start().await;
    pair.settings.time_limit = HASTE;
    let authority = Authority::new("kubernetes");
    let file = pair.dir.path().join("ca.crt");
    std::fs::write(&file, &authority.pem).unwrap();
    let began = Instant::now();
    let mute = Server::mute().await;
    point(&pair, &format!("https://{}", mute.address), file.to_str().unwrap());
    assert_says(&pair.ask(&GONE).await, Verdict::Holds, "is silent");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_machine_that_hears_nobody_can_not_tell() {
    let mut pair = Pair::start().await;
    pair.settings.time_limit = HASTE;
    let server = format!("http://{}", nobody().await);
    point(&pair, &server, "");
    let file = pair.topology.standby.kubernetes.kubeconfig.as_str();
    write_kubeconfig(file.as_ref(), &server, "", &json!({}));
    assert_says(&pair.ask(&GONE).await, Verdict::Unknown, "this machine that is cut off");
}

#[tokio::test]
async fn somebody_unknown_at_the_address_leaves_it_open() {
    let pair = Pair::start().await;
    let (own, other) = (Authority::new("kubernetes"), Authority::new("kubernetes"));
    let file = pair.dir.path().join("ca.crt");
    std::fs::write(&file, &own.pem).unwrap();
    let tls = other.issue(&["127.0.0.1"]).server(&[], None);
    let stranger = Server::start(Some(tls), PAGE).await;
    point(&pair, &format!("https://{}", stranger.address), file.to_str().unwrap());
    assert_says(&pair.ask(&GONE).await, Verdict::Unknown, "somebody is there");

    let ours = own.issue(&["127.0.0.1"]).server(&[], None);
    let strange = Server::start(Some(ours), Says::Bytes("SSH-2.0\r\n")).await;
    point(&pair, &format!("https://{}", strange.address), file.to_str().unwrap());
    assert_says(&pair.ask(&GONE).await, Verdict::Unknown, "somebody is there");
}

#[tokio::test]
async fn without_a_kubeconfig_nobody_is_called_gone() {
    let mut pair = Pair::start().await;
    pair.topology.primary.kubernetes.kubeconfig = "/nowhere/east".into();
    assert_says(&pair.ask(&GONE).await, Verdict::Unknown, "/nowhere/east");
}
