//! A plan as a page: for the night on which nothing else works.
//!
//! Both forms say the same, with every value filled in. The HTML page needs nothing else, and
//! prints well.

mod html;
mod inline;
mod markdown;

pub use html::html;
pub use markdown::markdown;

pub(crate) use html::{escaped, page};

use crate::plan::{Kind, Step};
use crate::topology::Topology;

/// What is at hand, as a table: what it is, in the primary, in the standby.
fn facts(topology: &Topology) -> Vec<[String; 3]> {
    let (primary, standby) = (&topology.primary, &topology.standby);
    let of = |what: &str, a: String, b: String| [what.to_owned(), a, b];
    let nodes = |cluster: &crate::topology::Cluster| {
        let nodes = cluster.nodes.iter().map(|node| format!("{} ({})", node.name, node.address));
        nodes.collect::<Vec<_>>().join(", ")
    };
    vec![
        of("cluster", primary.name.clone(), standby.name.clone()),
        of("virtual IP", primary.vip.clone(), standby.vip.clone()),
        of("control plane", nodes(primary), nodes(standby)),
        of("etcd", primary.etcd.endpoints.join(", "), standby.etcd.endpoints.join(", ")),
        of("kubectl", primary.kubernetes.kubectl(), standby.kubernetes.kubectl()),
    ]
}

/// Who does a step.
fn who(step: &Step) -> &'static str {
    match step.kind {
        Kind::Automatic(_) => "done by etcd-dr",
        Kind::ByHand(_) => "done by hand",
        Kind::Watched => "waited for",
    }
}

/// A time limit in words.
fn limit(step: &Step) -> String {
    match step.seconds_max {
        seconds if seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}
