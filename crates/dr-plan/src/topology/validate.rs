//! What can't be meant, found without a network.
//!
//! A field that is empty has been told by the reader already, and is left alone here.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::cluster::{Cluster, EtcdAccess, Registry, RegistryKind};
use super::mistake::{EMPTY, Mistake};
use super::{Mirror, Platform, Topology, WorkloadCluster};

/// Adds everything that is wrong.
pub(super) fn validate(topology: &Topology, mistakes: &mut Vec<Mistake>) {
    let mut wrong = |field: String, wrong: &str, mend: String| {
        mistakes.push(Mistake::new(field, wrong, mend));
    };
    platform(&topology.platform, &mut wrong);
    for (role, own) in [("primary", &topology.primary), ("standby", &topology.standby)] {
        cluster(role, own, &topology.platform.domain, &mut wrong);
    }
    pair(&topology.primary, &topology.standby, &mut wrong);
    mirror(&topology.mirror, &mut wrong);
    workloads(&topology.workload_clusters, &mut wrong);
    for (name, seconds) in [
        ("rpo_seconds", topology.objectives.rpo_seconds),
        ("rto_seconds", topology.objectives.rto_seconds),
    ] {
        if seconds == 0 {
            let mend = "write what was promised".to_owned();
            wrong(format!("objectives.{name}"), "nothing happens in no time", mend);
        }
    }
}

fn platform(platform: &Platform, wrong: &mut impl FnMut(String, &str, String)) {
    let field = || "platform.domain".to_owned();
    if platform.domain.parse::<IpAddr>().is_ok() {
        let mend = "use a domain: only a name can be pointed at the other cluster".to_owned();
        wrong(field(), "is an IP address", mend);
    } else if !platform.domain.is_empty() && !host_name(&platform.domain) {
        let mend = "write the bare domain, without scheme, port or path".to_owned();
        wrong(field(), "is no domain", mend);
    }
    for (name, port, expected) in
        [("http_port", platform.http_port, 80), ("https_port", platform.https_port, 443)]
    {
        if port != expected {
            let mend = format!("install both clusters with port {expected}");
            wrong(format!("platform.{name}"), "is not the port that a pair needs", mend);
        }
    }
}

fn cluster(
    role: &str,
    cluster: &Cluster,
    domain: &str,
    wrong: &mut impl FnMut(String, &str, String),
) {
    let at = |name: &str| format!("{role}.{name}");
    if !cluster.name.is_empty() && !label(&cluster.name) {
        let mend = "use small letters, digits and `-`".to_owned();
        wrong(at("name"), "is no name", mend);
    }
    if !cluster.vip.is_empty() {
        if cluster.vip.parse::<IpAddr>().is_err() {
            let mend = "write the virtual IP that the load balancer serves".to_owned();
            wrong(at("vip"), "is no IP address", mend);
        }
        if !cluster.other_addresses.contains(&cluster.vip) {
            let mend = format!("add {} to the platform's other addresses", cluster.vip);
            wrong(at("other_addresses"), "lacks the cluster's own virtual IP", mend);
        }
    }
    if cluster.nodes.is_empty() {
        wrong(at("nodes"), EMPTY, "list every control-plane node".to_owned());
    }
    for (index, node) in cluster.nodes.iter().enumerate() {
        let field = || format!("{role}.nodes[{index}].address");
        if !node.address.is_empty() && node.address.parse::<IpAddr>().is_err() {
            wrong(field(), "is no IP address", "write the node's IP address".to_owned());
        }
        if same_address(&node.address, &cluster.vip) {
            let mend = "the virtual IP belongs to the load balancer alone".to_owned();
            wrong(field(), "is the cluster's virtual IP", mend);
        }
    }
    etcd(role, &cluster.etcd, wrong);
    registry(role, &cluster.registry, domain, wrong);
}

fn etcd(role: &str, etcd: &EtcdAccess, wrong: &mut impl FnMut(String, &str, String)) {
    let at = |name: &str| format!("{role}.etcd.{name}");
    if etcd.endpoints.is_empty() {
        let mend = "list the URLs of its members, such as https://10.0.0.1:2379".to_owned();
        wrong(at("endpoints"), EMPTY, mend);
    }
    for (index, endpoint) in etcd.endpoints.iter().enumerate() {
        if !etcd_url(endpoint) {
            let mend = "write https://HOST:PORT".to_owned();
            wrong(format!("{role}.etcd.endpoints[{index}]"), "is no URL of an etcd member", mend);
        }
    }
    let tls = etcd.endpoints.iter().any(|endpoint| endpoint.starts_with("https://"));
    if tls && etcd.cacert.is_empty() {
        let mend = "name the file with the authority of etcd's certificates".to_owned();
        wrong(at("cacert"), "is missing", mend);
    }
    if etcd.cert.is_empty() != etcd.key.is_empty() {
        let missing = if etcd.cert.is_empty() { "cert" } else { "key" };
        let mend = "name both the client's certificate and its key".to_owned();
        wrong(at(missing), "is missing", mend);
    }
}

fn registry(
    role: &str,
    registry: &Registry,
    domain: &str,
    wrong: &mut impl FnMut(String, &str, String),
) {
    if registry.kind != RegistryKind::BuiltIn || registry.address.is_empty() {
        return;
    }
    let at = |name: &str| format!("{role}.registry.{name}");
    if registry.address != domain && !domain.is_empty() {
        let mend = format!("install with {domain} as the registry's address");
        wrong(at("address"), "is not the platform's domain", mend);
    }
    for (name, set) in [("user_set", registry.user_set), ("password_set", registry.password_set)] {
        if !set {
            let mend = "install with user and password, then say so here".to_owned();
            wrong(at(name), "a built-in registry needs it", mend);
        }
    }
}

/// What must be equal on both sides, and what must not.
fn pair(primary: &Cluster, standby: &Cluster, wrong: &mut impl FnMut(String, &str, String)) {
    let twice = |a: &str, b: &str| !a.is_empty() && a == b;
    if twice(&primary.name, &standby.name) {
        wrong("standby.name".into(), "is the primary's name too", "name them apart".into());
    }
    if same_address(&primary.vip, &standby.vip) {
        let mend = "give each cluster a virtual IP of its own".to_owned();
        wrong("standby.vip".into(), "is the primary's virtual IP too", mend);
    }
    for (role, cluster, other_role, other) in
        [("primary", primary, "standby", standby), ("standby", standby, "primary", primary)]
    {
        for (index, node) in cluster.nodes.iter().enumerate() {
            if same_address(&node.address, &other.vip) {
                let is = format!("is the {other_role}'s virtual IP");
                let mend = "the virtual IP belongs to the load balancer alone".to_owned();
                wrong(format!("{role}.nodes[{index}].address"), &is, mend);
            }
        }
    }
    let mut addresses = BTreeMap::new();
    let mut names = BTreeMap::new();
    for (role, cluster) in [("primary", primary), ("standby", standby)] {
        for (index, node) in cluster.nodes.iter().enumerate() {
            let field = format!("{role}.nodes[{index}]");
            for (seen, what, value) in [
                (&mut addresses, "address", &written(&node.address)),
                (&mut names, "name", &node.name),
            ] {
                if value.is_empty() {
                    continue;
                }
                if let Some(first) = seen.insert(value.clone(), field.clone()) {
                    let mend = format!("{first} has it too: correct one of them");
                    wrong(format!("{field}.{what}"), "is not unique", mend);
                }
            }
        }
    }
    for (index, endpoint) in standby.etcd.endpoints.iter().enumerate() {
        if primary.etcd.endpoints.contains(endpoint) {
            let mend = "a mirror needs two different clusters".to_owned();
            let field = format!("standby.etcd.endpoints[{index}]");
            wrong(field, "is an endpoint of the primary too", mend);
        }
    }
    if primary.kubernetes == standby.kubernetes && !primary.kubernetes.kubeconfig.is_empty() {
        let mend = "name another file or another context".to_owned();
        wrong("standby.kubernetes".into(), "reaches the primary's API", mend);
    }
    for (name, same) in [
        ("kind", primary.registry.kind == standby.registry.kind),
        ("address", primary.registry.address == standby.registry.address),
    ] {
        if !same && !primary.registry.address.is_empty() && !standby.registry.address.is_empty() {
            let mend = "install both clusters with the same image registry settings".to_owned();
            wrong(format!("standby.registry.{name}"), "differs from the primary's", mend);
        }
    }
}

/// An address as everybody writes it; what is none stays as it is.
fn written(address: &str) -> String {
    address.parse::<IpAddr>().map_or_else(|_| address.to_owned(), |address| address.to_string())
}

fn same_address(one: &str, other: &str) -> bool {
    !one.is_empty() && written(one) == written(other)
}

fn mirror(mirror: &Mirror, wrong: &mut impl FnMut(String, &str, String)) {
    for (name, value) in [("name", &mirror.name), ("namespace", &mirror.namespace)] {
        if !label(value) {
            let mend = "use small letters, digits and `-`".to_owned();
            wrong(format!("mirror.{name}"), "is no name", mend);
        }
    }
    let monitor = &mirror.monitor;
    if !monitor.is_empty() && !monitor.starts_with("http://") && !monitor.starts_with("https://") {
        let mend = "write http://HOST:PORT, or leave it out".to_owned();
        wrong("mirror.monitor".into(), "is no URL", mend);
    }
}

fn workloads(clusters: &[WorkloadCluster], wrong: &mut impl FnMut(String, &str, String)) {
    let mut seen = BTreeMap::new();
    for (index, cluster) in clusters.iter().enumerate() {
        let field = format!("workload_clusters[{index}].name");
        if cluster.name.is_empty() {
            continue;
        }
        if !label(&cluster.name) {
            let mend = "use small letters, digits and `-`".to_owned();
            wrong(field.clone(), "is no name", mend);
        }
        if let Some(first) = seen.insert(cluster.name.clone(), field.clone()) {
            wrong(field, "is not unique", format!("{first} has it too"));
        }
    }
}

/// One label of a DNS name.
fn label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty()
        && text.len() <= 63
        && text.chars().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn host_name(text: &str) -> bool {
    text.len() <= 253 && text.contains('.') && text.to_ascii_lowercase().split('.').all(label)
}

fn etcd_url(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return false;
    };
    let Some((host, port)) = rest.rsplit_once(':') else { return false };
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_is_one = match literal {
        Some(literal) => literal.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            host.parse::<std::net::Ipv4Addr>().is_ok()
                || host.to_ascii_lowercase().split('.').all(label)
        }
    };
    host_is_one && port.parse::<u16>().is_ok_and(|port| port > 0)
}
