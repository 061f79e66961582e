//! Two clusters with a mirror between them, and a topology file that describes them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};

use end_to_end::{Dump, Etcd, Mirror, MirrorBuilder, dump};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::support::dns::NameServer;
use crate::support::kube::KubeServer;
use crate::support::nodes::Nodes;
use crate::support::tls::{Authority, Issued};

pub(crate) const DOMAIN: &str = "platform.example.org";
pub(crate) const NAMESPACE: &str = "cpaas-system";
/// Where a node has its encryption configuration.
pub(crate) const ENCRYPTION_CONFIG: &str = "/etc/kubernetes/encryption-provider.conf";
/// Keys of the tests: in scope, in a namespace that is mirrored.
pub(crate) const KEYS: &str = "/registry/configmaps/load/";

/// One cluster, and what serves its virtual IP.
pub(crate) struct Cluster {
    pub(crate) name: &'static str,
    pub(crate) etcd: Etcd,
    pub(crate) kube: KubeServer,
    pub(crate) vip: String,
    pub(crate) node: String,
    page: TlsAcceptor,
    serving: JoinSet<()>,
}

/// Both, and what is around them.
pub(crate) struct Pair {
    pub(crate) folder: TempDir,
    pub(crate) east: Cluster,
    pub(crate) west: Cluster,
    pub(crate) dns: NameServer,
    pub(crate) nodes: Nodes,
}

/// A network of 127.0.0.0/8 for each pair, so that tests beside each other don't meet. Tests of
/// other processes at the same time have others, most likely, and else fail to bind.
fn network() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    let pair = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("127.{}.{}", 10 + std::process::id() % 200, pair)
}

impl Pair {
    /// Starts everything but the mirror. The name leads to east.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("etcd-dr-e2e-").tempdir().unwrap();
        let authority = Authority::new("authority of the tests");
        let network = network();
        let vips = [1, 2].map(|number| format!("{network}.{number}"));
        let issued = authority.issue(&[DOMAIN, &vips[0], &vips[1]]);
        issued.write(folder.path(), "platform");
        let page = issued.server(&["http/1.1"], None);
        let (east, west) = tokio::join!(
            Cluster::start("east", &network, 1, page.clone()),
            Cluster::start("west", &network, 2, page),
        );
        let dns = NameServer::start().await;
        dns.set(DOMAIN, &[&east.vip]);
        let nodes = Nodes::new(&folder.path().join("nodes"));
        for node in [&east.node, &west.node] {
            nodes.put(node, ENCRYPTION_CONFIG, "a key", 0o600);
            nodes.put(node, "/etc/kubernetes/pki/sa.key", "a key", 0o600);
            nodes.put(node, "/etc/kubernetes/pki/sa.pub", "its public half", 0o644);
            for name in ["kube-apiserver", "kube-controller-manager"] {
                nodes.put(node, &format!("/etc/kubernetes/manifests/{name}.yaml"), "", 0o600);
            }
        }
        let pair = Self { folder, east, west, dns, nodes };
        pair.write_kubeconfigs();
        pair.east.keep_agents(&pair.west);
        pair.west.keep_agents(&pair.east);
        pair
    }

    /// Writes the kubeconfigs: an API that was started again has another port.
    pub(crate) fn write_kubeconfigs(&self) {
        for cluster in [&self.east, &self.west] {
            let file = self.path(&format!("{}.kubeconfig", cluster.name));
            cluster.kube.kubeconfig(Path::new(&file), "");
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn topology_file(&self) -> PathBuf {
        self.path("topology.yaml")
    }

    /// Writes the topology, with east or west as the primary.
    pub(crate) fn write_topology(&self, primary_is_east: bool, monitor: &str) {
        let (primary, standby) =
            if primary_is_east { (&self.east, &self.west) } else { (&self.west, &self.east) };
        let file = json!({
            "platform": { "domain": DOMAIN, "certificate": self.path("platform.crt") },
            "primary": primary.described(self),
            "standby": standby.described(self),
            "mirror": { "name": "default", "namespace": NAMESPACE, "monitor": monitor },
            "objectives": { "rpo_seconds": 120, "rto_seconds": 1800 },
        });
        // JSON is YAML too.
        std::fs::write(self.topology_file(), file.to_string()).unwrap();
    }

    /// Changes a part of the topology file.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let file = self.topology_file();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{from}: {text}");
        std::fs::write(file, text.replace(from, to)).unwrap();
    }

    /// The domain leads to a cluster: outside, and for the pods of west.
    pub(crate) fn lead_to(&self, cluster: &Cluster) {
        self.dns.set(DOMAIN, &[&cluster.vip]);
        self.west.resolves_inside(&cluster.vip);
    }

    /// A mirror from east to west, whose pods west's API shows.
    pub(crate) fn mirror(&self) -> MirrorBuilder {
        self.west.show_mirror_pod();
        settings(Mirror::builder(&self.east.etcd.endpoints(), &self.west.etcd.endpoints()))
    }
}

/// Short leases and checks, so that tests need not wait long.
pub(crate) fn settings(mirror: MirrorBuilder) -> MirrorBuilder {
    let flags = ["--leader-lease", "3s", "--check-interval", "2s"];
    flags.into_iter().fold(mirror.preset("kubernetes"), MirrorBuilder::flag)
}

impl Cluster {
    async fn start(name: &'static str, network: &str, number: u8, page: TlsAcceptor) -> Self {
        let etcd = if number == 1 { Etcd::start().await } else { Etcd::start_standby().await };
        let kube = KubeServer::start(None).await;
        let (vip, node) = (format!("{network}.{number}"), format!("{network}.1{number}"));
        let mut cluster = Self { name, etcd, kube, vip, node, page, serving: JoinSet::new() };
        cluster.serve_vip().await;
        cluster.furnish();
        cluster
    }

    /// The load balancer serves its virtual IP.
    pub(crate) async fn serve_vip(&mut self) {
        self.serving.spawn(serve_page(listen(&self.vip, 443).await, self.page.clone()));
        // Who connects is let in; what is said there nobody asks.
        for port in [80, 6443, 11_443] {
            self.serving.spawn(accept(listen(&self.vip, port).await));
        }
    }

    /// The load balancer serves its virtual IP with another certificate.
    pub(crate) async fn serve_as(&mut self, issued: &Issued) {
        self.stop_vip().await;
        self.page = issued.server(&["http/1.1"], None);
        self.serve_vip().await;
    }

    /// The load balancer stops to serve its virtual IP.
    pub(crate) async fn stop_vip(&mut self) {
        self.serving.shutdown().await;
    }

    /// What every cluster has, in its API.
    pub(crate) fn furnish(&self) {
        let kube = &self.kube;
        kube.deployment(NAMESPACE, "sentry");
        kube.pod(NAMESPACE, "sentry-1", ("app", "sentry"), 3_600);
        kube.deployment(NAMESPACE, "etcd-sync");
        kube.workload("deployments", "kube-system", "coredns", ("k8s-app", "kube-dns"));
        kube.pod("kube-system", "coredns-1", ("k8s-app", "kube-dns"), 3_600);
        for container in ["kube-apiserver", "kube-controller-manager"] {
            kube.pod("kube-system", container, ("component", container), 3_600);
        }
        kube.named("serviceaccounts", "load", "default", json!({}));
        kube.change(|state| {
            state.commands.push(("/dev/tcp".to_owned(), 0, String::new()));
        });
    }

    /// Each side accepts what the other signs.
    pub(crate) fn keep_agents(&self, other: &Self) {
        let mut token = String::new();
        other.kube.change(|state| token.clone_from(&state.makes));
        self.kube.change(|state| state.accepts.push(token));
    }

    pub(crate) fn show_mirror_pod(&self) {
        self.kube.deployment(NAMESPACE, "etcd-sync");
        self.kube.pod(NAMESPACE, "etcd-sync-1", ("app", "etcd-sync"), 60);
    }

    /// From now on pods resolve the domain to an address.
    pub(crate) fn resolves_inside(&self, address: &str) {
        let line = format!("{address} STREAM {DOMAIN}\n");
        self.kube.change(|state| {
            state.commands.retain(|(part, ..)| part != "getent");
            state.commands.push(("getent".to_owned(), 0, line));
        });
    }

    /// Shows what the mirror has logged so far as its pod's log.
    pub(crate) fn show_mirror_log(&self, log: &str) {
        let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/etcd-sync-1/log");
        self.kube.put(&path, json!(log));
    }

    /// The control plane's containers were started anew.
    pub(crate) fn restart_controllers(&self) {
        let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
        for container in ["kube-apiserver", "kube-controller-manager"] {
            let path = format!("/api/v1/namespaces/kube-system/pods/{container}");
            self.kube.set(&path, "/status/containerStatuses/0/state/running/startedAt", json!(now));
        }
    }

    pub(crate) fn is_shielded(&self) -> bool {
        let path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/\
                    etcd-sync-write-shield";
        self.kube.object(path).is_some()
    }

    pub(crate) fn role(&self) -> Option<String> {
        let path = format!("/api/v1/namespaces/{NAMESPACE}/configmaps/etcd-sync-role");
        self.kube.object(&path).map(|map| map["data"]["role"].as_str().unwrap().to_owned())
    }

    /// What the tests wrote.
    pub(crate) async fn dump(&self) -> Dump {
        dump(&self.etcd.client().await).await.filtered(|key| key.starts_with(KEYS.as_bytes()))
    }

    fn described(&self, pair: &Pair) -> serde_json::Value {
        let kubeconfig = pair.path(&format!("{}.kubeconfig", self.name));
        json!({
            "name": self.name,
            "vip": self.vip,
            "other_addresses": [self.vip],
            "nodes": [{ "name": format!("{}-m1", self.name), "address": self.node }],
            "etcd": { "endpoints": self.etcd.endpoints() },
            "kubernetes": { "kubeconfig": kubeconfig },
            "registry": {
                "kind": "built-in", "address": DOMAIN, "user_set": true, "password_set": true,
            },
        })
    }
}

pub(crate) async fn listen(vip: &str, port: u16) -> TcpListener {
    let at: SocketAddr = format!("{vip}:{port}").parse().unwrap();
    TcpListener::bind(at).await.unwrap_or_else(|error| {
        panic!(
            "{at}: {error}; the platform's page is served on port 443: run as root, or allow it \
             with `sysctl net.ipv4.ip_unprivileged_port_start=443`"
        )
    })
}

async fn accept(listener: TcpListener) {
    loop {
        let _ = listener.accept().await;
    }
}

async fn serve_page(listener: TcpListener, tls: TlsAcceptor) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let Ok(mut stream) = tls.accept(stream).await else { continue };
        let mut heard = [0; 4_096];
        // One question, one answer; whoever hangs up before is a probe for the certificate.
        if stream.read(&mut heard).await.is_ok_and(|bytes| bytes > 0) {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage").await;
            let _ = stream.shutdown().await;
        }
    }
}
