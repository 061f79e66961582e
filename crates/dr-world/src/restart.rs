//! The control plane's containers, which the kubelet starts from files on the nodes.

use std::time::Duration;

use dr_plan::plan::restart_controllers;
use dr_plan::topology::Cluster;

use crate::Settings;
use crate::ssh::{Ssh, SshError, destination, sudo};

/// How long the manifests stay away; see [`restart_controllers`].
const PAUSE: Duration = Duration::from_secs(30);

/// Restarts API server and controller manager, one node after the other, so that the others serve
/// meanwhile. Nothing is touched unless every node is reached.
///
/// # Errors
///
/// Why not all were restarted, in words.
pub(crate) async fn controllers(cluster: &Cluster, settings: &Settings) -> Result<String, String> {
    let ssh = Ssh::new(settings);
    let told = |node: &str, error| match error {
        SshError::Unreached(why) => format!("{node} was not reached: {why}"),
        SshError::Failed(why) => format!("on {node} it failed: {why}"),
    };
    for node in &cluster.nodes {
        let reached = ssh.run(&destination(cluster, node), &sudo("true"), Duration::ZERO).await;
        reached.map_err(|error| told(&node.name, error))?;
    }
    for node in &cluster.nodes {
        let command = sudo(&restart_controllers());
        let done = ssh.run(&destination(cluster, node), &command, PAUSE).await;
        done.map_err(|error| told(&node.name, error))?;
    }
    Ok(format!("the manifests of {} nodes were taken away and put back", cluster.nodes.len()))
}
