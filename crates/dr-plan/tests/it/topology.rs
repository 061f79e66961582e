//! A topology file is read whole, or every mistake in it is told.

use dr_plan::topology::{Answers, ClusterAnswers, Topology};
use proptest::prelude::*;
use serde_json::json;

fn cluster(name: &str, network: u8) -> ClusterAnswers {
    ClusterAnswers {
        name: name.to_owned(),
        vip: format!("10.{network}.0.100"),
        nodes: (1..=3).map(|n| (format!("{name}-m{n}"), format!("10.{network}.0.{n}"))).collect(),
        kubeconfig: format!("{name}/kubeconfig"),
        context: String::new(),
    }
}

pub(crate) fn answers() -> Answers {
    Answers {
        domain: "platform.example.org".to_owned(),
        certificate: "platform.crt".to_owned(),
        primary: cluster("east", 0),
        standby: cluster("west", 1),
        components: ["elasticsearch", "victoriametrics", "cluster-transformer", "devops-eventing"]
            .map(str::to_owned)
            .to_vec(),
    }
}

/// A pair in which everything that a plan may speak of is there.
pub(crate) fn pair() -> Topology {
    let shop = "workload_clusters:\n  - {name: shop, kubernetes: {kubeconfig: shop/kubeconfig}}\n";
    let text = Topology::commented(&answers()).replace("workload_clusters: []\n", shop);
    Topology::parse(&text).unwrap()
}

fn complaints(text: &str) -> Vec<String> {
    Topology::parse(text).unwrap_err().to_string().lines().map(str::to_owned).collect()
}

/// The file of the pair, with something changed, and what is told about it.
fn changed(from: &str, to: &str) -> Vec<String> {
    let text = Topology::commented(&answers());
    assert!(text.contains(from), "{from}");
    complaints(&text.replacen(from, to, 1))
}

#[test]
fn a_commented_file_with_all_answers_is_a_topology() {
    let topology = pair();
    assert_eq!(topology.primary.nodes[2].address, "10.0.0.3");
    assert_eq!(topology.standby.etcd.endpoints[0], "https://10.1.0.1:2379");
    assert_eq!(topology.components.len(), 4);
    assert!(topology.workload_clusters[0].sends_monitoring);
    assert_eq!(topology.swapped().swapped(), topology);
    assert_ne!(topology.swapped().digest(), topology.digest());
}

#[test]
fn a_text_without_anything_in_it_is_missing() {
    for (field, text) in
        [("primary.name", "  name: east"), ("standby.vip", "  vip: \"10.1.0.100\"")]
    {
        let (_, name) = field.split_once('.').unwrap();
        let told = changed(text, &format!("  {name}: \"  \""));
        assert!(
            told.iter().any(|line| line.starts_with(&format!("{field}: is empty; "))),
            "{told:?}"
        );
    }
}

#[test]
fn a_home_that_no_shell_fills_in_is_told() {
    let told = changed("certificate: platform.crt", "certificate: ~/platform.crt");
    assert!(told[0].starts_with("platform.certificate: begins with `~`, "), "{told:?}");
}

#[test]
fn every_placeholder_that_is_left_is_told() {
    let text = Topology::commented(&Answers::default());
    let told = complaints(&text);
    let placeholders = text.lines().filter(|line| line.contains('<')).count();
    let still = told.iter().filter(|line| line.contains("is still the placeholder")).count();
    // One line holds a node's name and address.
    assert_eq!(still, placeholders + 2, "{told:#?}");
}

#[test]
fn all_mistakes_are_told_at_once_each_on_a_line_with_field_and_mend() {
    let text = Topology::commented(&answers())
        .replace("domain: platform.example.org", "domain: 10.0.0.7")
        .replace("10.1.0.100", "10.0.0.100")
        .replace("10.1.0.3", "10.0.0.3")
        .replace("  https_port: 443\n", "  https_prot: 443\n")
        .replace("    password_set: true\n", "")
        .replace("name: west\n", "")
        .replace("elasticsearch", "elasticserch");
    let told = complaints(&text);
    for expected in [
        "platform.https_prot: is no field here; did you mean `https_port`?",
        "standby.name: is missing; give it a name, such as `east`",
        "components: `elasticserch` is no component that a plan knows; did you mean `elasticsearch`?",
        "platform.domain: is an IP address; \
         use a domain: only a name can be pointed at the other cluster",
        "primary.registry.password_set: a built-in registry needs it; \
         install with user and password, then say so here",
        "standby.vip: is the primary's virtual IP too; give each cluster a virtual IP of its own",
        "standby.nodes[2].address: is not unique; primary.nodes[2] has it too: correct one of them",
        "standby.etcd.endpoints[2]: is an endpoint of the primary too; \
         a mirror needs two different clusters",
    ] {
        assert!(told.iter().any(|line| line == expected), "{expected}\n{told:#?}");
    }
}

#[test]
fn one_mistake_is_told_once() {
    for (from, to, told) in [
        ("vip: \"10.1.0.100\"", "vip: \"10.1.0.1\"", "standby.nodes[0].address: is the cluster's"),
        ("vip: \"10.1.0.100\"", "vip: \"10.0.0.2\"", "primary.nodes[1].address: is the standby's"),
        ("address: \"10.1.0.3\"", "address: \"10.0.0.100\"", "standby.nodes[2].address: is the"),
        ("other_addresses: [\"10.0.0.100\"]", "other_addresses: []", "primary.other_addresses: "),
        ("domain: platform", "domain: https://platform", "platform.domain: is no domain"),
        ("https_port: 443", "https_port: 8443", "platform.https_port: is not the port"),
        ("https_port: 443", "https_port: 70000", "platform.https_port: 70000 is no port"),
        ("    cacert: primary/etcd/ca.crt\n", "", "primary.etcd.cacert: is missing"),
        ("    key: standby/etcd/client.key\n", "", "standby.etcd.key: is missing"),
        ("https://10.0.0.1:2379", "10.0.0.1:2379", "primary.etcd.endpoints[0]: is no URL"),
        ("kind: built-in", "kind: internal", "primary.registry.kind: `internal` is no kind"),
        ("kubeconfig: west", "kubeconfig: east", "standby.kubernetes: reaches the primary's API"),
        ("monitor: \"\"", "monitor: etcd-sync-monitor", "mirror.monitor: is no URL"),
        ("monitor: \"\"", "monitor: [a]", "mirror.monitor: is no text"),
        ("rpo_seconds: 30", "rpo_seconds: 0", "objectives.rpo_seconds: nothing happens"),
        ("rpo_seconds: 30", "rpo_seconds: soon", "objectives.rpo_seconds: is no whole number"),
        ("name: west-m2", "name: east-m2", "standby.nodes[1].name: is not unique"),
        ("ssh_user: root", "ssh_user: $(id)", "primary.ssh_user: has a quote, `$`"),
    ] {
        let lines = changed(from, to);
        let of_field: Vec<_> = lines.iter().filter(|line| line.starts_with(told)).collect();
        assert_eq!(of_field.len(), 1, "{told}\n{lines:#?}");
    }
}

#[test]
fn an_address_is_the_same_however_it_is_written() {
    let text = Topology::commented(&answers())
        .replace("10.0.0.100", "fd00::1")
        .replace("10.1.0.100", "fd00:0:0::1")
        .replace("\"10.0.0.3\"", "\"fd00::7\"")
        .replace("\"10.1.0.3\"", "\"fd00:0::7\"");
    let told = complaints(&text);
    for field in ["standby.vip: is the primary's", "standby.nodes[2].address: is not unique"] {
        assert!(told.iter().any(|line| line.starts_with(field)), "{field}: {told:#?}");
    }
}

#[test]
fn a_group_that_is_missing_is_one_mistake() {
    let text = Topology::commented(&answers());
    let start = text.find("\nstandby:").unwrap();
    let end = text.find("\n# The mirror").unwrap();
    let told = complaints(&format!("{}{}", &text[..start], &text[end..]));
    let missing: Vec<_> = told.iter().filter(|line| line.contains("is missing")).collect();
    assert_eq!(missing, ["standby: is missing; describe the cluster that is to take over"]);
}

#[test]
fn what_is_no_topology_is_refused_without_a_panic() {
    for text in ["", "[", "3", "- a", "a: b: c", "\u{0}", "primary: 3", "primary: [3]", "&a [*a]"] {
        assert!(!complaints(text).is_empty(), "{text}");
    }
}

proptest! {
    /// A file that lost lines is read, or each line of what is told has its field and its mend.
    #[test]
    fn a_file_that_lost_lines_is_told_line_by_line(lost in prop::collection::vec(0..90_usize, 1..8)) {
        let text = Topology::commented(&answers());
        let kept = text.lines().enumerate().filter(|(index, _)| !lost.contains(index));
        let kept: Vec<_> = kept.map(|(_, line)| line).collect();
        if let Err(mistakes) = Topology::parse(&kept.join("\n")) {
            prop_assert!(!mistakes.0.is_empty());
            for line in mistakes.to_string().lines() {
                prop_assert!(line.contains(": ") && line.contains("; "), "{}", line);
            }
        }
    }
}

#[test]
fn the_schema_demands_what_the_reader_demands_and_knows_no_other_field() {
    let schema = Topology::schema();
    let mut file = serde_json::to_value(pair()).unwrap();
    for own in ["primary", "standby"] {
        // With TLS, and in a registry that is built in, one field needs another.
        file[own]["registry"]["kind"] = json!("external");
        file[own]["etcd"] = json!({
            "endpoints": [format!("http://{own}:2379")], "cacert": "", "cert": "", "key": "",
        });
    }
    assert!(Topology::parse(&file.to_string()).is_ok(), "{file}");
    let mut objects = vec![(String::new(), &schema)];
    let mut fields = 0;
    while let Some((path, described)) = objects.pop() {
        assert_eq!(described["additionalProperties"], false, "{path}");
        let properties = described["properties"].as_object().unwrap();
        let required = described["required"].as_array().cloned().unwrap_or_default();
        let found = file.pointer(&path).unwrap().as_object().unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), properties.keys().collect::<Vec<_>>());
        for (name, property) in properties {
            let mut without = file.clone();
            without.pointer_mut(&path).unwrap().as_object_mut().unwrap().remove(name);
            let demanded = Topology::parse(&without.to_string()).is_err();
            assert_eq!(demanded, required.contains(&json!(name)), "{path}/{name}");
            fields += 1;
            let (below, property) = match property.get("items") {
                Some(item) => (format!("{path}/{name}/0"), item),
                None => (format!("{path}/{name}"), property),
            };
            let referred = property.get("$ref").and_then(|to| to.as_str()?.strip_prefix('#'));
            let property = referred.map_or(property, |to| schema.pointer(to).unwrap());
            if property.get("properties").is_some() {
                objects.push((below, property));
            }
        }
    }
    assert!(fields > 40, "{fields}");
}
