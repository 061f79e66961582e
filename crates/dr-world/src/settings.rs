//! How long to wait, and whom to ask for names.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How the world is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long one request may take, connecting included.
    pub time_limit: Duration,
    /// How often a cluster is asked before it is called unreachable.
    pub attempts: u32,
    /// The pause between two of those attempts.
    pub pause: Duration,
    /// The port of the API on virtual IPs and nodes, besides the one that a kubeconfig names.
    pub api_port: u16,
    /// The name servers that are asked; those of `resolv_conf` if empty.
    pub name_servers: Vec<SocketAddr>,
    /// The file that names this machine's name servers.
    pub resolv_conf: PathBuf,
    /// The program that reaches nodes; looked for in `PATH` if it is a bare name.
    pub ssh: PathBuf,
}

impl Default for Settings {
    /// Ten seconds: a lost packet is sent again three times within them. Three attempts, a second
    /// apart: a load balancer that just took a node out is not yet a cluster that is gone.
    fn default() -> Self {
        Self {
            time_limit: Duration::from_secs(10),
            attempts: 3,
            pause: Duration::from_secs(1),
            api_port: 6443,
            name_servers: Vec::new(),
            resolv_conf: "/etc/resolv.conf".into(),
            ssh: "ssh".into(),
        }
    }
}
