//! A topology file to fill in, which explains itself.

use std::fmt::Write as _;

use super::answers::{Answers, ClusterAnswers};
use super::{Component, Mirror, Objectives, Topology, defaults};

impl Topology {
    /// Writes a topology file with a comment on every field.
    ///
    /// What was not answered is a placeholder in angle brackets. [`Topology::parse`] names each one
    /// that is left, so that a file is never half filled in without anybody's noticing.
    #[must_use]
    pub fn commented(answers: &Answers) -> String {
        let mut text = platform(answers);
        let certain = |role, note, own: &ClusterAnswers| cluster(role, note, own, &answers.domain);
        text += &certain("primary", "The cluster that serves the platform now.", &answers.primary);
        text += &certain("standby", "The cluster that is to take over.", &answers.standby);
        text += &rest(&answers.components);
        text
    }
}

fn or(answer: &str, placeholder: &str) -> String {
    scalar(if answer.is_empty() { placeholder } else { answer })
}

/// A text as YAML reads it back: as it is, or in quotes where it would be read as something else.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "./_-@<>".contains(c);
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic() || "/<".contains(c));
    let is_value = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        .contains(&text.to_ascii_lowercase().as_str());
    if is_word && !is_value && text.chars().all(plain) {
        return text.to_owned();
    }
    quoted(text)
}

/// In quotes, as JSON and YAML have them.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn platform(answers: &Answers) -> String {
    format!(
        "# Two clusters, the platform that they serve, and the mirror between them.
# `etcd-dr` makes its plans from this file. It holds names and paths, no secrets.

platform:
  # The domain of the platform's address. A domain, since an IP can't be pointed elsewhere.
  domain: {domain}
  # The certificate for that domain, the same on both clusters; its names are the domain and both
  # virtual IPs. A path on the machine where etcd-dr runs.
  certificate: {certificate}
  # The ports of the platform's address. A pair needs these two.
  http_port: {http_port}
  https_port: {https_port}
  # The configuration of encryption at rest, on every control-plane node of both clusters.
  encryption_config: {encryption_config}
",
        domain = or(&answers.domain, "<DOMAIN>"),
        certificate = or(&answers.certificate, "<CERTIFICATE-FILE>"),
        http_port = defaults::http_port(),
        https_port = defaults::https_port(),
        encryption_config = defaults::encryption_config(),
    )
}

fn cluster(role: &str, note: &str, answers: &ClusterAnswers, domain: &str) -> String {
    let vip = quoted(if answers.vip.is_empty() { "<VIP>" } else { &answers.vip });
    let mut text = format!(
        "
# {note}
{role}:
  # Typed by hand to confirm what can't be undone.
  name: {name}
  # Its own virtual IP, served by a load balancer that you provide.
  vip: {vip}
  # Whether the load balancer forwards port 2379, as plain TCP, to etcd.
  etcd_through_vip: false
  # The platform's other addresses, as set at installation; its own virtual IP is one of them.
  other_addresses: [{vip}]
  # The user for ssh on its nodes.
  ssh_user: {ssh_user}
  # Every control-plane node. Names that tell which cluster a node belongs to spare confusion.
  nodes:
",
        name = or(&answers.name, "<NAME>"),
        ssh_user = defaults::ssh_user(),
    );
    let unknown = [("<NODE-NAME>".to_owned(), "<NODE-ADDRESS>".to_owned())];
    let nodes: &[_] = if answers.nodes.is_empty() { &unknown } else { &answers.nodes };
    for (name, address) in nodes {
        // Writing to a String does not fail.
        let (name, address) = (scalar(name), quoted(address));
        let _ = writeln!(text, "    - {{name: {name}, address: {address}}}");
    }
    let endpoints: Vec<String> = answers
        .nodes
        .iter()
        .map(
            |(_, address)| {
                if address.contains(':') { format!("[{address}]") } else { address.clone() }
            },
        )
        .map(|host| quoted(&format!("https://{host}:2379")))
        .collect();
    let endpoints =
        if endpoints.is_empty() { "\"<ETCD-URL>\"".to_owned() } else { endpoints.join(", ") };
    text += &format!(
        "  # Its etcd: URLs of the members, and files for TLS on the machine where etcd-dr runs.
  etcd:
    endpoints: [{endpoints}]
    cacert: {role}/etcd/ca.crt
    cert: {role}/etcd/client.crt
    key: {role}/etcd/client.key
  # Its API.
  kubernetes:
    kubeconfig: {kubeconfig}
    # The current context of that file if empty.
    context: {context}
  # Where its container images come from: built-in (deployed by the platform) or external.
  registry:
    kind: built-in
    # For a built-in one, the platform's domain.
    address: {address}
    # Whether user and password were set at installation; the password itself stays out.
    user_set: true
    password_set: true
",
        kubeconfig = or(&answers.kubeconfig, "<KUBECONFIG-FILE>"),
        context = or(&answers.context, ""),
        address = or(domain, "<DOMAIN>"),
    );
    text
}

fn rest(components: &[String]) -> String {
    let Mirror { name, namespace, monitor } = Mirror::default();
    let Objectives { rpo_seconds, rto_seconds } = Objectives::default();
    let known = Component::ALL.map(Component::as_str).join(", ");
    let components = components.join(", ");
    format!(
        "
# The mirror. It runs in the standby cluster.
mirror:
  name: {name}
  namespace: {namespace}
  # Where its monitor answers, http://HOST:PORT; etcd-dr compares by itself if empty.
  monitor: \"{monitor}\"

# What is installed and has to be cared for: {known}.
components: [{components}]

# Clusters that the platform manages, such as
#   - {{name: shop, kubernetes: {{kubeconfig: shop.kubeconfig}}, sends_monitoring: true}}
workload_clusters: []

# What was promised: seconds of writes that may be lost, and seconds that the platform may be away.
objectives:
  rpo_seconds: {rpo_seconds}
  rto_seconds: {rto_seconds}
"
    )
}
