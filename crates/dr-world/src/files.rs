//! Files on nodes, which no API shows.

use std::collections::BTreeMap;
use std::time::Duration;

use dr_plan::Answer;
use dr_plan::topology::{Cluster, Node, Topology};
use tokio::task::JoinSet;

use crate::Settings;
use crate::ssh::{Ssh, SshError, destination, sudo};
use crate::words::{fails, holds, unknown};

/// How much of a digest is told: enough to compare by eye.
const DIGEST_CHARS: usize = 12;

/// Who owns a secret file, and what its mode is.
const SECRET: &str = "root 600";

/// What a node says of a file.
enum Seen {
    /// The digest of what is in it; owner and mode.
    File { digest: String, access: String },
    /// The node was reached, and there is no such file, or nobody may read it.
    Unreadable(String),
    /// The node was not reached.
    Unreached(String),
}

/// Compares a file on these nodes, by digest. What is in it never leaves a node.
pub(crate) async fn same(
    topology: &Topology,
    settings: &Settings,
    path: &str,
    nodes: &[String],
    secret: bool,
) -> Answer {
    let mut looks = JoinSet::new();
    for cluster in [&topology.primary, &topology.standby] {
        for node in own_nodes(cluster, nodes) {
            let (ssh, to, path) = (Ssh::new(settings), destination(cluster, node), path.to_owned());
            let name = format!("{}/{}", cluster.name, node.name);
            looks.spawn(async move { (name, look(&ssh, &to, &path).await) });
        }
    }
    let seen: BTreeMap<String, Seen> = looks.join_all().await.into_iter().collect();
    judge(&seen, path, secret)
        .unwrap_or_else(|why| unknown(format!("{why}; {}", by_hand(topology, path, nodes, secret))))
}

/// `Err` with the reason if some node could not be looked at.
fn judge(seen: &BTreeMap<String, Seen>, path: &str, secret: bool) -> Result<Answer, String> {
    let mut digests: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut unreached = Vec::new();
    for (node, seen) in seen {
        match seen {
            Seen::File { digest, access } => {
                digests.entry(digest).or_default().push(node);
                if secret && !is_roots_alone(access) {
                    wrong
                        .push(format!("on {node} it is `{access}`, not root's alone (`{SECRET}`)"));
                }
            }
            Seen::Unreadable(why) => wrong.push(format!("{node} can't read it: {why}")),
            Seen::Unreached(why) => unreached.push(format!("{node} was not reached: {why}")),
        }
    }
    if digests.len() > 1 {
        let listed = digests.iter().map(|(digest, nodes)| {
            let digest: String = digest.chars().take(DIGEST_CHARS).collect();
            format!("{digest}… on {}", nodes.join(", "))
        });
        wrong.insert(0, format!("it differs: {}", listed.collect::<Vec<_>>().join("; ")));
    }
    if !wrong.is_empty() {
        return Ok(fails(format!("{path}: {}", wrong.join("; "))));
    }
    if !unreached.is_empty() {
        return Err(unreached.join("; "));
    }
    let digest: String =
        digests.keys().flat_map(|digest| digest.chars()).take(DIGEST_CHARS).collect();
    Ok(holds(format!("{path} is {digest}… on all {} nodes", seen.len())))
}

async fn look(ssh: &Ssh, to: &str, path: &str) -> Seen {
    match ssh.run(to, &command(path), Duration::ZERO).await {
        Ok(said) => file(&said).unwrap_or_else(|| Seen::Unreadable("no digest".to_owned())),
        Err(SshError::Unreached(why)) => Seen::Unreached(why),
        Err(SshError::Failed(why)) => Seen::Unreadable(why),
    }
}

/// Prints digest, then owner and mode. Only root may read a secret.
fn command(path: &str) -> String {
    let path = path.replace('\'', r"'\''");
    sudo(&format!("sha256sum '{path}' && stat -c '%U %a' '{path}'"))
}

fn is_roots_alone(access: &str) -> bool {
    let Some(("root", mode)) = access.split_once(' ') else { return false };
    u32::from_str_radix(mode, 8).is_ok_and(|mode| mode & 0o077 == 0)
}

fn file(said: &str) -> Option<Seen> {
    let mut lines = said.lines();
    let digest = lines.next()?.split_whitespace().next()?.to_owned();
    let access = lines.next()?.trim().to_owned();
    let is_digest = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then_some(Seen::File { digest, access })
}

fn own_nodes<'a>(cluster: &'a Cluster, nodes: &'a [String]) -> impl Iterator<Item = &'a Node> {
    cluster.nodes.iter().filter(|own| nodes.contains(&own.address))
}

/// Says how to compare a file on these nodes. It prints digests and owners, not what is in it.
fn by_hand(topology: &Topology, path: &str, nodes: &[String], secret: bool) -> String {
    let mut lines = Vec::new();
    for cluster in [&topology.primary, &topology.standby] {
        let own: Vec<&str> = own_nodes(cluster, nodes).map(|node| node.address.as_str()).collect();
        if own.is_empty() {
            continue;
        }
        lines.push(format!(
            "for i in {}; do ssh {}@$i \"sudo sha256sum {path}; sudo stat -c '%U %a' {path}\"; done",
            own.join(" "),
            cluster.ssh_user
        ));
    }
    let also = if secret { format!(", and say `{SECRET}`") } else { String::new() };
    format!(
        "let `ssh` reach every node without a password, or compare by hand: the digests must be \
         the same{also}: {}",
        lines.join("; ")
    )
}
