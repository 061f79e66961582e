//! Files on nodes, which no API shows: `ssh` does, as it is set up for whoever runs the plan.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use dr_plan::Answer;
use dr_plan::topology::{Cluster, Node, Topology};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::Settings;
use crate::words::{fails, holds, unknown};

/// How `ssh` ends when it did not get as far as the command.
const SSH_FAILED: i32 = 255;

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
            let to = format!("{}@{}", cluster.ssh_user, node.address);
            let name = format!("{}/{}", cluster.name, node.name);
            let (settings, path) = (settings.clone(), path.to_owned());
            looks.spawn(async move { (name, look(&settings, &to, &path).await) });
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
                if secret && access != SECRET {
                    wrong.push(format!("on {node} it is `{access}`, not `{SECRET}`"));
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

async fn look(settings: &Settings, to: &str, path: &str) -> Seen {
    let limit = settings.time_limit;
    let seconds = limit.as_secs().max(1);
    let mut ssh = Command::new(&settings.ssh);
    // Nobody is there to be asked for a password.
    ssh.args(["-o", "BatchMode=yes", "-o", &format!("ConnectTimeout={seconds}"), "--", to])
        .arg(command(path))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    // The command itself takes a moment after the connection is made.
    match timeout(limit + Duration::from_secs(5), ssh.output()).await {
        Err(_) => Seen::Unreached(format!("no answer for {seconds} s")),
        Ok(Err(error)) => {
            Seen::Unreached(format!("{} can't be run: {error}", settings.ssh.display()))
        }
        Ok(Ok(output)) => {
            let said = String::from_utf8_lossy(&output.stdout);
            let why = || {
                let said = String::from_utf8_lossy(&output.stderr);
                said.lines().last().unwrap_or("it says nothing").trim().to_owned()
            };
            match output.status.code() {
                Some(0) => file(&said).unwrap_or_else(|| Seen::Unreadable("no digest".to_owned())),
                Some(SSH_FAILED) | None => Seen::Unreached(why()),
                Some(_) => Seen::Unreadable(why()),
            }
        }
    }
}

/// Prints digest, then owner and mode. Only root may read a secret.
fn command(path: &str) -> String {
    let path = format!("'{}'", path.replace('\'', r"'\''"));
    format!(
        "s='sudo -n'; [ \"$(id -u)\" -ne 0 ] || s=; \
         $s sha256sum {path} && $s stat -c '%U %a' {path}"
    )
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
