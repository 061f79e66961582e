//! A pair that was put together wrongly is told what is wrong, where, and what mends it, before
//! anything is changed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use end_to_end::{OWN_PREFIX, Proxy, dump, eventually, ports};
use rustix::process::Signal;
use serde_json::json;

use crate::gates::worlds::{FLOOR, well};
use crate::pair::{Cluster, DOMAIN, ENCRYPTION_CONFIG, Pair};
use crate::run::{Dr, begun, entries};
use crate::support::kube::write_kubeconfig;
use crate::support::tls::{Authority, Issued, PAGE, Server};
use crate::switchover::UNATTENDED;

/// All that a plan could change.
#[derive(Debug, PartialEq, Eq)]
struct World {
    /// The revisions of both etcds; where a mirror runs, which says every few seconds how it is, that
    /// of the primary alone.
    revisions: Vec<i64>,
    /// What is on the standby, but for the mirror's own.
    keys: BTreeMap<Vec<u8>, i64>,
    /// Calls that write, to both APIs.
    calls: Vec<String>,
    addresses: Vec<IpAddr>,
}

impl World {
    async fn of(pair: &Pair) -> Self {
        let mut calls = Vec::new();
        for cluster in [&pair.east, &pair.west] {
            let writes = cluster.kube.calls().into_iter().filter(|call| {
                // What is only tried, and what a token or a command is made for, changes nothing.
                let looks = ["dryRun=All", "/exec", "/token"];
                call.method != "GET" && !looks.iter().any(|look| call.path.contains(look))
            });
            calls.extend(writes.map(|call| format!("{} {}", call.method, call.path)));
        }
        let mut revisions = vec![dump(&pair.east.etcd.client().await).await.revision];
        let west = dump(&pair.west.etcd.client().await).await;
        if !west.keys.keys().any(|key| key.starts_with(OWN_PREFIX)) {
            revisions.push(west.revision);
        }
        let west = west.filtered(|key| !key.starts_with(OWN_PREFIX));
        let keys = west.keys.into_iter().map(|(key, entry)| (key, entry.mod_revision)).collect();
        Self { revisions, keys, calls, addresses: pair.dns.leads_to(DOMAIN) }
    }
}

/// A pair without a mirror that is ready for one.
async fn ready() -> (Pair, Issued) {
    let mut pair = Pair::start().await;
    pair.west.etcd.lift_revision(FLOOR).await;
    pair.write_topology(true, "");
    let issued = Authority::new("the platform's").issue(&[DOMAIN, &pair.east.vip, &pair.west.vip]);
    serve(&mut pair, &issued).await;
    (pair, issued)
}

async fn serve(pair: &mut Pair, issued: &Issued) {
    pair.east.serve_as(issued).await;
    pair.west.serve_as(issued).await;
}

/// Refuses to run a plan with these flags because of one gate, which says this; nothing is changed.
async fn refuses(pair: &Pair, args: &[&str], gate: &str, said: &str, mend: &str) {
    let before = World::of(pair).await;
    let journal = pair.path(&format!("{}.jsonl", said.replace(['/', ' '], "-")));
    let told =
        Dr::new(pair).expect(1, &[args, &["--journal", journal.to_str().unwrap()]].concat()).await;
    assert!(told.contains(&format!("gates-closed: gates are closed: {gate}\n")), "{told}");
    let line = told.lines().find(|line| line.starts_with("  ") && line.contains(said));
    assert!(line.is_some_and(|line| line.contains(": fails: ")), "{said}: {told}");
    let next = format!("next: gate {gate}: {mend}");
    assert!(told.lines().any(|line| line.starts_with(&next)), "{next}: {told}");
    assert!(entries(&journal).iter().all(|entry| begun(&entry.event).is_none()));
    assert_eq!(World::of(pair).await, before, "{said}");
}

/// The topology file itself is wrong: nobody is even asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_can_not_be_meant_is_told_by_its_fields() {
    let pair = Pair::start().await;
    let before = World::of(&pair).await;
    let asked = || pair.east.kube.calls().len() + pair.west.kube.calls().len();
    let calls = asked();
    let (east, west) = (&pair.east, &pair.west);
    let whole = |text: &str| format!("\"{text}\"");
    let endpoint = |cluster: &Cluster| whole(&cluster.etcd.endpoints()[0]);
    for (from, to, told) in [
        (
            whole(&west.vip),
            whole(&east.vip),
            "standby.vip: is the primary's virtual IP too; \
             give each cluster a virtual IP of its own",
        ),
        (
            whole(DOMAIN),
            whole(&east.vip),
            "platform.domain: is an IP address; \
             use a domain: only a name can be pointed at the other cluster",
        ),
        (
            endpoint(west),
            endpoint(east),
            "standby.etcd.endpoints[0]: is an endpoint of the primary too; \
             a mirror needs two different clusters",
        ),
        (
            "west.kubeconfig".to_owned(),
            "east.kubeconfig".to_owned(),
            "standby.kubernetes: reaches the primary's API; \
             name another file or another context",
        ),
        (
            whole(&west.node),
            whole(&east.vip),
            "standby.nodes[0].address: is the primary's virtual IP; \
             the virtual IP belongs to the load balancer alone",
        ),
    ] {
        pair.write_topology(true, "");
        pair.edit(&from, &to);
        for plan in ["install", "enable", "switchover", "failover"] {
            let said = Dr::new(&pair).expect(2, &[plan, "--yes"]).await;
            assert!(said.lines().any(|line| line.ends_with(told)), "{plan}: {told}\n{said}");
        }
    }
    assert_eq!(asked(), calls, "no API was asked");
    assert_eq!(World::of(&pair).await, before);
    assert_eq!(Dr::new(&pair).entries(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_wrong_with_a_pair_is_told_before_it_is_mirrored() {
    let (mut pair, good) = ready().await;
    let enable = ["enable", "--yes"];
    let mend = "Serve the certificate of the topology file on port 443 of both virtual IPs";
    let narrow = Authority::new("the platform's").issue(&[DOMAIN, &pair.east.vip]);
    serve(&mut pair, &narrow).await;
    let said = format!("lacks {}", pair.west.vip);
    refuses(&pair, &enable, "certificate-served", &said, mend).await;
    pair.east.serve_as(&good).await;
    pair.west
        .serve_as(&Authority::new("west").issue(&[DOMAIN, &pair.east.vip, &pair.west.vip]))
        .await;
    refuses(&pair, &enable, "certificate-served", "serves ", mend).await;
    pair.west.stop_vip().await;
    let said = format!("{}:443: Connection refused", pair.west.vip);
    refuses(&pair, &enable, "certificate-served", &said, mend).await;
    pair.west.serve_as(&good).await;

    let mend = "Give every node the primary's file";
    pair.nodes.put(&pair.west.node, ENCRYPTION_CONFIG, "another key", 0o600);
    refuses(&pair, &enable, "encryption-same", "it differs: ", mend).await;
    pair.nodes.put(&pair.west.node, ENCRYPTION_CONFIG, "a key", 0o644);
    refuses(&pair, &enable, "encryption-same", "`root 644`, not root's alone", mend).await;
    pair.nodes.put(&pair.west.node, ENCRYPTION_CONFIG, "a key", 0o600);

    ends_of_etcd(&pair).await;
    api_without_a_port(&pair).await;

    // The two have different keys, whatever their files say.
    let sealed = "k8s:enc:aescbc:v1:of-east:sealed";
    let mut east = pair.east.etcd.client().await;
    east.put("/registry/secrets/load/sealed", sealed, None).await.unwrap();
    let mend = "Do what `etcd-dr preflight` says about each of its findings.";
    refuses(&pair, &enable, "preflight", "encryption", mend).await;
}

/// What is at the endpoints is not the etcd that it should be.
async fn ends_of_etcd(pair: &Pair) {
    let enable = ["enable", "--yes"];
    let mend = "Forward the port as plain TCP to the members, or correct the endpoint";
    let own = pair.east.etcd.endpoints().remove(0);
    let and = |other: &str| format!("{own}\",\"{other}");
    let dead = format!("127.0.0.1:{}", ports::free());
    pair.edit(&own, &and(&format!("http://{dead}")));
    let said = format!("{dead}: Connection refused");
    refuses(pair, &enable, "etcd-answers", &said, mend).await;

    // A load balancer in its mode for HTTP.
    let proxy = Server::start(None, PAGE).await;
    pair.write_topology(true, "");
    pair.edit(&own, &and(&format!("http://{}", proxy.address)));
    let said = format!("http://{} answers HTTP/1, not as etcd does", proxy.address);
    refuses(pair, &enable, "etcd-answers", &said, mend).await;

    // The same cluster by another way; nobody may go on with that.
    let detour = Proxy::start(&pair.west.etcd.endpoints()[0]).await;
    pair.write_topology(true, "");
    pair.edit(&own, &detour.endpoint());
    let mend = "Correct the endpoints and kubeconfigs in the topology file.";
    refuses(pair, &enable, "different-clusters", "etcd clusters ", mend).await;
    let firm = ["--override", "different-clusters", "--reason", "it is fine"];
    let told = Dr::new(pair).expect(4, &[&enable[..], &firm].concat()).await;
    assert!(told.contains("gate `different-clusters` can't be overridden: "), "{told}");
    pair.write_topology(true, "");
}

/// What an API that does not answer would have said nobody can tell: that is another code.
async fn api_without_a_port(pair: &Pair) {
    let before = World::of(pair).await;
    let dead = format!("127.0.0.1:{}", ports::free());
    let file = pair.path("west.kubeconfig");
    write_kubeconfig(&file, &format!("http://{dead}"), "", &json!({}));
    let journal = pair.path("api.jsonl");
    let args = ["enable", "--yes", "--journal", journal.to_str().unwrap()];
    let told = Dr::new(pair).expect(3, &args).await;
    let said = "gates are closed: different-clusters, tokens-same, versions-fit\n";
    assert!(told.contains(said), "{told}");
    let line = told.lines().find(|line| line.contains("the API of west could not be asked"));
    assert!(line.is_some_and(|line| line.contains(&dead)), "{told}");
    assert!(entries(&journal).iter().all(|entry| begun(&entry.event).is_none()));
    assert_eq!(World::of(pair).await, before);
    pair.write_kubeconfigs();
}

/// Where only a person can do what is missing, the run waits, and says what it waits for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_did_wrongly_is_told_while_it_is_waited_for() {
    let (pair, _) = ready().await;
    Authority::new("the platform's").issue(&[DOMAIN]).write(pair.folder.path(), "platform");
    let read = ["--attest", "what-is-covered", "--attest", "what-stays-local"];
    let lacks = format!("lacks {}, {}; it names {DOMAIN}", pair.east.vip, pair.west.vip);
    waits(&pair, &[&["install", "--yes"], &read[..]].concat(), "platform-domain", &lacks).await;

    // A load balancer that looks into what it forwards.
    let page = crate::pair::listen(&pair.east.vip, 2379).await;
    let proxy = Server::on(page, None, PAGE);
    pair.edit("\"primary\":{", "\"primary\":{\"etcd_through_vip\":true,");
    let said = format!("http://{} answers HTTP/1, not as etcd does", proxy.address);
    waits(&pair, &["enable", "--yes"], "forward-etcd", &said).await;
}

/// Waits at a step, says this of it, and ends when it is told to; nothing is changed.
async fn waits(pair: &Pair, args: &[&str], step: &str, said: &str) {
    let before = World::of(pair).await;
    let journal = pair.path(&format!("{step}.jsonl"));
    let dr = Dr::new(pair);
    let mut run = dr.start(&[args, &["--journal", journal.to_str().unwrap()]].concat());
    eventually(said, Duration::from_secs(30), async || {
        let waiting = entries(&journal).iter().any(|entry| begun(&entry.event) == Some(step));
        let output = run.output();
        assert!(run.ended().is_none(), "{output}");
        (waiting && output.contains(said) && output.contains(&format!("step {step}: ")))
            .then_some(())
    })
    .await;
    run.signal(Signal::INT);
    assert_eq!(run.wait(Duration::from_secs(10)).code(), Some(130), "{}", run.tail(5));
    assert_eq!(World::of(pair).await, before, "{step}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_serves_the_wrong_certificate_does_not_become_the_primary() {
    let (mut pair, _mirror) = well().await;
    let mend = "Serve the certificate of the topology file on port 443 of both virtual IPs";
    pair.west.stop_vip().await;
    let said = format!("{}:443: Connection refused", pair.west.vip);
    let args: Vec<&str> = UNATTENDED.into_iter().take(12).collect();
    refuses(&pair, &args, "certificate-served", &said, mend).await;
}
