//! Pairs of clusters in which gates are open, and in which each is closed.

use std::time::Duration;

use dr_plan::plan::PlanName;
use end_to_end::{Mirror, Proxy, eventually, ports};
use serde_json::json;

use super::seen::Seen;
use crate::pair::{DOMAIN, ENCRYPTION_CONFIG, KEYS, Pair};
use crate::run::Dr;
use crate::support::kube::KubeServer;
use crate::support::tls::Authority;

/// Above every revision that a primary here hands out.
pub(crate) const FLOOR: u64 = 2_000_000_000_000;
const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";
const ATTESTED: [&str; 4] = ["--attest", "local-backups", "--attest", "dns-known"];

/// A pair with nothing to mend: a mirror follows, a check was clean, the primary takes no writes.
pub(crate) async fn well() -> (Pair, Mirror) {
    let mut pair = Pair::start().await;
    pair.west.etcd.lift_revision(FLOOR).await;
    let mut east = pair.east.etcd.client().await;
    east.put(format!("{KEYS}one"), "1", None).await.unwrap();
    let secret = json!({ "kind": "Secret", "metadata": { "name": "token", "uid": "uid-token" } });
    east.put("/registry/secrets/load/token", secret.to_string(), None).await.unwrap();
    pair.west.kube.put("/api/v1/namespaces/load/secrets/token", secret);
    for kind in ["validatingadmissionpolicies", "validatingadmissionpolicybindings"] {
        pair.east.kube.put(&format!("{GROUP}/{kind}/etcd-sync-write-shield"), json!({}));
    }
    let mut mirror = pair.mirror().start();
    pair.write_topology(true, &format!("http://{}", mirror.address()));
    mirror.wait_for_state("following").await;
    mirror
        .wait_for("a check says in-sync, and the lag is known", |status| {
            status["last_check"]["verdict"] == "in-sync" && status["lag_seconds"].is_f64()
        })
        .await;
    (pair, mirror)
}

/// Gates of a pair that is well, and then has every mistake that leaves the mirror alone.
pub(super) async fn mistaken() -> Seen {
    let (mut pair, mut mirror) = well().await;
    let mut seen = Seen::default();
    seen.rehearse(&Dr::new(&pair), &PlanName::ALL).await;
    seen.run(&pair, PlanName::Check, 1, &[]).await;
    seen.run(&pair, PlanName::Check, 0, &ATTESTED[..2]).await;
    mistakes(&mut pair).await;
    mirror
        .wait_for("a check has found what west has of its own", |status| {
            status["last_check"]["verdict"] == "drift"
        })
        .await;
    let mut client = pair.east.etcd.client().await;
    let writes = async {
        loop {
            client.put(format!("{KEYS}live"), "again", None).await.unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let plans: Vec<_> =
        PlanName::ALL.into_iter().filter(|plan| *plan != PlanName::Upload).collect();
    let dr = Dr::new(&pair);
    tokio::select! {
        () = seen.rehearse(&dr, &plans) => {}
        () = writes => unreachable!("writes go on for ever"),
    }
    for (plan, attested) in [
        (PlanName::Switchover, &ATTESTED[..]),
        (PlanName::Failover, &ATTESTED[..]),
        (PlanName::Upgrade, &ATTESTED[..2]),
    ] {
        seen.run(&pair, plan, 1, &[]).await;
        seen.run(&pair, plan, 1, attested).await;
    }
    one_cluster(&pair, &mut seen).await;
    seen
}

/// Whatever a person may have got wrong.
async fn mistakes(pair: &mut Pair) {
    pair.east.kube.change(|state| {
        state.objects.retain(|path, _| !path.starts_with(GROUP));
        state.issuer = "https://east".to_owned();
    });
    pair.west.kube.change(|state| {
        state.version = "v1.29.0".to_owned();
        let why = "no key decrypts it".to_owned();
        state.refused.push(("/api/v1/namespaces/load/secrets".to_owned(), 500, why));
    });
    pair.nodes.put(&pair.west.node, ENCRYPTION_CONFIG, "another key", 0o600);
    pair.dns.set(DOMAIN, &["127.0.0.7"]);
    let other = Authority::new("authority of others").issue(&[DOMAIN]);
    other.write(pair.folder.path(), "platform");
    pair.west.serve_as(&other).await;
    let orphan = json!({
        "kind": "ConfigMap",
        "metadata": { "name": "orphan", "uid": "uid-orphan", "ownerReferences": [
            { "apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "uid-gone" },
        ] },
    });
    let mut west = pair.west.etcd.client().await;
    west.put(format!("{KEYS}orphan"), orphan.to_string(), None).await.unwrap();
    // A member that nobody ever started.
    let own = format!("[\"{}\"]", pair.west.etcd.endpoints()[0]);
    let dead = format!("http://127.0.0.1:{}", ports::free());
    pair.edit(&own, &own.replace(']', &format!(",\"{dead}\"]")));
}

/// The primary's endpoint leads to the standby.
async fn one_cluster(pair: &Pair, seen: &mut Seen) {
    let proxy = Proxy::start(&pair.west.etcd.endpoints()[0]).await;
    pair.edit(&pair.east.etcd.endpoints()[0], &proxy.endpoint());
    pair.east.kube.change(|state| {
        let same = pair.west.kube.object("/api/v1/namespaces/kube-system").unwrap();
        state.objects.insert("/api/v1/namespaces/kube-system".to_owned(), same);
    });
    let plans = [
        PlanName::Enable,
        PlanName::Check,
        PlanName::Switchover,
        PlanName::Failover,
        PlanName::Failback,
    ];
    seen.rehearse(&Dr::new(pair), &plans).await;
}

/// Gates of a pair whose mirror is held up, then dead; whose old primary comes back; and whose
/// primary is gone.
pub(super) async fn lost() -> Seen {
    let (mut pair, mut mirror) = well().await;
    let mut seen = Seen::default();
    let mut east = pair.east.etcd.client().await;
    let sealed = "k8s:enc:aescbc:v1:unknown:sealed";
    east.put("/registry/secrets/load/sealed", sealed, None).await.unwrap();
    mirror.wait_for_state("blocked").await;
    seen.rehearse(&Dr::new(&pair), &[PlanName::Check, PlanName::Switchover]).await;
    mirror.kill();
    let head = east.get(KEYS, None).await.unwrap().header().unwrap().revision();
    east.compact(head, None).await.unwrap();
    pair.edit("\"rpo_seconds\":120", "\"rpo_seconds\":1");
    let west = pair.west.etcd.client().await;
    eventually("its lease has ended", Duration::from_secs(20), async || {
        let leader = west.clone().get("/etcd-sync/default/leader", None).await.unwrap();
        leader.kvs().is_empty().then_some(())
    })
    .await;
    let plans = [PlanName::Check, PlanName::Switchover, PlanName::Failover, PlanName::Upgrade];
    seen.rehearse(&Dr::new(&pair), &plans).await;
    bundle(&pair, &mut seen).await;
    pair.write_topology(true, "");
    pair.east.etcd.kill();
    pair.east.stop_vip().await;
    // Another one, which no kubeconfig names: the old one is gone.
    pair.east.kube = KubeServer::start(None).await;
    seen.rehearse(&Dr::new(&pair), &[PlanName::Failover]).await;
    seen
}

/// West was promoted; what only east has is exported.
async fn bundle(pair: &Pair, seen: &mut Seen) {
    Dr::new(pair).expect(0, &["fence", "--yes"]).await;
    pair.write_topology(false, "");
    pair.dns.set(DOMAIN, &[&pair.west.vip]);
    // It stops there: nobody says what of the bundle is wanted.
    seen.run(pair, PlanName::Failback, 1, &[]).await;
    assert!(pair.path("unmirrored-writes-of-east/manifest.json").is_file(), "no bundle");
    seen.rehearse(&Dr::new(pair), &[PlanName::Failback]).await;
}
