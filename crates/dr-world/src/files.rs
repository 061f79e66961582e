//! Files on nodes, compared by their digests: what is in them never leaves the node.

use std::collections::BTreeMap;

use dr_plan::Answer;
use dr_plan::topology::Topology;
use tokio::task::JoinSet;

use crate::Settings;
use crate::ssh::{self, Said};
use crate::words::{fails, holds, unknown};

/// How many digits of a digest are shown: enough to tell two apart.
const SHOWN: usize = 16;

/// How a file is on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    /// Its digest, whose it is, and who may read it.
    There { digest: String, owner: String, mode: u32 },
    /// There is none.
    Absent,
    /// Why nobody can tell.
    Untold(String),
}

/// Says whether a file is the same on all these nodes, and root's alone if it is secret.
pub(crate) async fn same(
    topology: &Topology,
    settings: &Settings,
    path: &str,
    nodes: &[String],
    secret: bool,
) -> Answer {
    let mut asked = JoinSet::new();
    for (index, node) in nodes.iter().enumerate() {
        let (node, user) = (node.clone(), user(topology, node).to_owned());
        let (path, settings) = (path.to_owned(), settings.clone());
        asked.spawn(async move {
            let command = look(&path);
            let limit = settings.time_limit;
            let said = ssh::run(&settings.ssh, &user, &node, &command, limit).await;
            (index, node, said.map_or_else(Seen::Untold, |said| read(&said)))
        });
    }
    let mut seen = BTreeMap::new();
    while let Some(joined) = asked.join_next().await {
        if let Ok((index, node, found)) = joined {
            seen.insert(index, (node, found));
        }
    }
    if seen.len() < nodes.len() {
        return unknown(format!("not every node was asked; {}", by_hand(topology, path, nodes)));
    }
    let seen: Vec<_> = seen.into_values().collect();
    judge(&seen, path, secret, || by_hand(topology, path, nodes))
}

/// The command on a node. It prints a digest, an owner and a mode.
fn look(path: &str) -> String {
    format!("LC_ALL=C sudo -n sha256sum {path} && sudo -n stat -c '%U %a' {path}")
}

fn read(said: &Said) -> Seen {
    if !said.done {
        return if said.complaint.contains("No such file or directory") {
            Seen::Absent
        } else {
            Seen::Untold(said.complaint.clone())
        };
    }
    let parsed = || {
        let (first, second) = said.output.split_once('\n')?;
        let digest = first.split_whitespace().next()?;
        let (owner, mode) = second.trim().split_once(' ')?;
        let is_one = digest.len() == 64 && digest.chars().all(|c| c.is_ascii_hexdigit());
        let mode = u32::from_str_radix(mode, 8).ok()?;
        let (digest, owner) = (digest.to_owned(), owner.to_owned());
        is_one.then_some(Seen::There { digest, owner, mode })
    };
    // What came instead is not repeated: nobody knows what it is.
    parsed().unwrap_or_else(|| Seen::Untold("no digest came back".to_owned()))
}

fn judge(
    seen: &[(String, Seen)],
    path: &str,
    secret: bool,
    by_hand: impl Fn() -> String,
) -> Answer {
    let (mut wrong, mut untold) = (Vec::new(), Vec::new());
    let mut digests: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (node, found) in seen {
        match found {
            Seen::Absent => wrong.push(format!("{node} has no {path}")),
            Seen::Untold(why) => untold.push(format!("{node}: {why}")),
            Seen::There { digest, owner, mode } => {
                digests.entry(digest).or_default().push(node);
                if secret && (owner != "root" || mode & 0o077 != 0) {
                    wrong.push(format!("on {node} it is `{owner} {mode:o}`, not root's alone"));
                }
            }
        }
    }
    if digests.len() > 1 {
        let each: Vec<_> = digests.iter().map(|(digest, nodes)| told(digest, nodes)).collect();
        wrong.push(format!("{path} differs: {}", each.join(", ")));
    }
    if !wrong.is_empty() {
        return fails(wrong.join("; "));
    }
    if !untold.is_empty() {
        return unknown(format!("{}; {}", untold.join("; "), by_hand()));
    }
    let each: Vec<_> = digests.iter().map(|(digest, nodes)| told(digest, nodes)).collect();
    let alone = if secret { ", root's alone" } else { "" };
    holds(format!("{path} is the same{alone}: {}", each.join(", ")))
}

fn told(digest: &str, nodes: &[&str]) -> String {
    format!("sha256 {} on {}", digest.get(..SHOWN).unwrap_or(digest), nodes.join(" "))
}

/// The user for `ssh` on a node.
fn user<'a>(topology: &'a Topology, node: &str) -> &'a str {
    let of_standby = topology.standby.nodes.iter().any(|own| own.address == node);
    if of_standby { &topology.standby.ssh_user } else { &topology.primary.ssh_user }
}

/// Says how to compare the file by hand.
fn by_hand(topology: &Topology, path: &str, nodes: &[String]) -> String {
    let mut lines = Vec::new();
    for cluster in [&topology.primary, &topology.standby] {
        let own = cluster.nodes.iter().map(|node| node.address.as_str());
        let own: Vec<&str> = own.filter(|own| nodes.iter().any(|node| node == own)).collect();
        if own.is_empty() {
            continue;
        }
        lines.push(format!(
            "for i in {}; do ssh {}@$i \"sudo sha256sum {path}; sudo stat -c '%U %a' {path}\"; done",
            own.join(" "),
            cluster.ssh_user
        ));
    }
    format!("compare the digests by hand: {}", lines.join("; "))
}
