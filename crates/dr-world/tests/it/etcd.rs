use std::time::{Duration, Instant};

use dr_plan::Verdict;
use dr_plan::plan::{Place, Probe, Side};

use crate::pair::{HASTE, Pair, assert_says};
use crate::support::tls::{Authority, HTTP2, PAGE, Says, Server, nobody};

/// A pair whose primary's etcd has this authority, and a client of it.
async fn pair_with(etcd: &Authority) -> Pair {
    let mut pair = Pair::start().await;
    let (cert, key) = etcd.issue(&["client"]).write(pair.dir.path(), "client");
    let cacert = pair.dir.path().join("ca.crt");
    std::fs::write(&cacert, &etcd.pem).unwrap();
    let access = &mut pair.topology.primary.etcd;
    access.cacert = cacert.to_str().unwrap().to_owned();
    access.cert = cert.to_str().unwrap().to_owned();
    access.key = key.to_str().unwrap().to_owned();
    pair
}

fn speaks(server: &Server, from: Place) -> Probe {
    Probe::SpeaksEtcd { endpoint: format!("https://{}", server.address), side: Side::Primary, from }
}

#[tokio::test]
async fn an_etcd_shows_a_certificate_of_its_authority_and_speaks_http2() {
    let etcd = Authority::new("etcd-ca");
    let pair = pair_with(&etcd).await;
    let tls = etcd.issue(&["127.0.0.1"]).server(&["h2"], Some(&etcd));
    let server = Server::start(Some(tls), HTTP2).await;
    let answer = pair.ask(&speaks(&server, Place::Here)).await;
    assert_says(&answer, Verdict::Holds, "its TLS is the etcd's own");

    // As through a virtual IP that no member's certificate names.
    let tls = etcd.issue(&["10.0.0.1"]).server(&["h2"], Some(&etcd));
    let server = Server::start(Some(tls), HTTP2).await;
    let answer = pair.ask(&speaks(&server, Place::Here)).await;
    assert_says(&answer, Verdict::Holds, "does not name this address");
}

#[tokio::test]
async fn a_proxy_that_ends_the_connection_is_told_apart() {
    let etcd = Authority::new("etcd-ca");
    let pair = pair_with(&etcd).await;
    // The same name does not make it the same authority.
    let other = Authority::new("etcd-ca").issue(&["127.0.0.1"]);
    let server = Server::start(Some(other.server(&["h2"], None)), HTTP2).await;
    let answer = pair.ask(&speaks(&server, Place::Here)).await;
    assert_says(&answer, Verdict::Fails, "something in between ends the connection");

    // One that was even given a certificate of etcd's authority.
    let lent = etcd.issue(&["127.0.0.1"]);
    let server = Server::start(Some(lent.server(&["http/1.1"], None)), PAGE).await;
    let answer = pair.ask(&speaks(&server, Place::Here)).await;
    assert_says(&answer, Verdict::Fails, "does not offer HTTP/2");
    let server = Server::start(Some(lent.server(&["h2"], None)), PAGE).await;
    let answer = pair.ask(&speaks(&server, Place::Here)).await;
    assert_says(&answer, Verdict::Fails, "answers HTTP/1");

    let old = etcd.issue_until(&["127.0.0.1"], 2_001).server(&["h2"], None);
    let server = Server::start(Some(old), HTTP2).await;
    let answer = pair.ask(&speaks(&server, Place::Here)).await;
    assert_says(&answer, Verdict::Fails, "not good");
}

#[tokio::test]
async fn an_etcd_that_refuses_this_client_or_is_silent_tells_nothing() {
    let etcd = Authority::new("etcd-ca");
    let mut pair = pair_with(&etcd).await;
    pair.settings.time_limit = HASTE * 5;
    let wants_other = Authority::new("others");
    let tls = etcd.issue(&["127.0.0.1"]).server(&["h2"], Some(&wants_other));
    let server = Server::start(Some(tls), HTTP2).await;
    let answer = pair.ask(&speaks(&server, Place::Here)).await;
    assert_says(&answer, Verdict::Unknown, "hangs up on this client");

    let began = Instant::now();
    let answer = pair.ask(&speaks(&Server::mute().await, Place::Here)).await;
    assert_says(&answer, Verdict::Unknown, "says nothing within");
    let tls = etcd.issue(&["127.0.0.1"]).server(&["h2"], None);
    let server = Server::start(Some(tls), Says::Nothing).await;
    let answer = pair.ask(&speaks(&server, Place::Here)).await;
    assert_says(&answer, Verdict::Unknown, "says nothing within");
    assert!(began.elapsed() < Duration::from_secs(8));

    pair.topology.primary.etcd.key = "/nowhere/client.key".to_owned();
    let answer = pair.ask(&speaks(&server, Place::Here)).await;
    assert_says(&answer, Verdict::Unknown, "/nowhere/client.key");
}

#[tokio::test]
async fn nobody_at_the_endpoint_is_a_no() {
    let pair = pair_with(&Authority::new("etcd-ca")).await;
    for scheme in ["https", "http"] {
        let endpoint = format!("{scheme}://{}", nobody().await);
        let probe = Probe::SpeaksEtcd { endpoint, side: Side::Primary, from: Place::Here };
        assert_says(&pair.ask(&probe).await, Verdict::Fails, "refused");
    }
}

#[tokio::test]
async fn an_etcd_without_tls_is_known_by_its_first_word() {
    let pair = Pair::start().await;
    let ask = async |server: &Server| {
        let endpoint = format!("http://{}", server.address);
        let probe = Probe::SpeaksEtcd { endpoint, side: Side::Primary, from: Place::Here };
        pair.ask(&probe).await
    };
    assert_says(&ask(&Server::start(None, HTTP2).await).await, Verdict::Holds, "without TLS");
    assert_says(&ask(&Server::start(None, PAGE).await).await, Verdict::Fails, "answers HTTP/1");
}

#[tokio::test]
async fn from_inside_a_pod_has_to_get_there_too() {
    let etcd = Authority::new("etcd-ca");
    let pair = pair_with(&etcd).await;
    let tls = etcd.issue(&["127.0.0.1"]).server(&["h2"], Some(&etcd));
    let server = Server::start(Some(tls), HTTP2).await;
    let probe = speaks(&server, Place::Inside(Side::Standby));
    assert_says(&pair.ask(&probe).await, Verdict::Unknown, "-- nc -z -v -w 5 127.0.0.1");

    pair.standby.deployment("cpaas-system", "sentry");
    pair.standby.pod("cpaas-system", "sentry-1", ("app", "sentry"), 60);
    let ends_with = |code| {
        let command = format!(" 127.0.0.1 {}", server.address.port());
        pair.standby.change(|state| state.commands = vec![(command, code, String::new())]);
    };
    ends_with(0);
    let answer = pair.ask(&probe).await;
    assert_says(&answer, Verdict::Holds, "from inside west 127.0.0.1 accepts a connection");
    assert!(answer.evidence.contains("the etcd's own"), "{answer:?}");
    ends_with(1);
    assert_says(&pair.ask(&probe).await, Verdict::Fails, "does not accept");
    ends_with(127);
    assert_says(&pair.ask(&probe).await, Verdict::Unknown, "ask by hand");
}
