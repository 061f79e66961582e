//! What somebody has said so far about a pair that is not yet described.

/// Answers to the questions of `etcd-dr init`. What is empty becomes a placeholder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// The domain of the platform's address.
    pub domain: String,
    /// The file with the domain's certificate.
    pub certificate: String,
    /// The cluster that serves the platform.
    pub primary: ClusterAnswers,
    /// The cluster that is to take over.
    pub standby: ClusterAnswers,
    /// Words of the installed components.
    pub components: Vec<String>,
}

/// Answers about one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterAnswers {
    /// Its name.
    pub name: String,
    /// Its virtual IP.
    pub vip: String,
    /// Name and address of its control-plane nodes.
    pub nodes: Vec<(String, String)>,
    /// Its kubeconfig file.
    pub kubeconfig: String,
    /// The context in that; the current one if empty.
    pub context: String,
}
