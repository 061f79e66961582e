//! Keeps docs/configuration.md true: its table is made from the flags and the schema.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use mirror_config::FileConfig;
use serde_json::Value;

use crate::cli;

/// Flags that say how to run a verb; they have no field.
const WITHOUT_FIELD: [&str; 3] = ["config", "once", "output"];
/// Fields that are too much for a flag.
const WITHOUT_FLAG: [&str; 1] = ["scope.rules"];
/// Between these lines stands what this module makes.
const BEGIN: &str = "<!-- made from the command line: begin -->\n";
const END: &str = "<!-- made from the command line: end -->";

/// The field of the file that says the same as a flag.
fn field(flag: &str) -> String {
    let name = flag.replace('-', "_");
    match name.as_str() {
        "prefix" => "scope.prefixes".to_owned(),
        "exclude_prefix" => "scope.exclude_prefixes".to_owned(),
        "exclude_namespace" => "scope.exclude_namespaces".to_owned(),
        "include_namespace" => "scope.include_namespaces".to_owned(),
        "rules" => "scope.rules_file".to_owned(),
        "allow" => "guard.allow".to_owned(),
        "assume_distinct_clusters" => "guard.assume_distinct_clusters".to_owned(),
        "preset" | "dest_prefix" | "no_dest_prefix" | "etcd_prefix" => format!("scope.{name}"),
        "request_timeout" | "keepalive_interval" | "max_txn_ops" => format!("connection.{name}"),
        "coalesce" | "max_request_bytes" | "order" => format!("apply.{name}"),
        _ => ["primary", "standby", "guard", "heal", "leader", "log"]
            .into_iter()
            .find_map(|group| {
                let rest = name.strip_prefix(group)?.strip_prefix('_')?;
                Some(format!("{group}.{rest}"))
            })
            .unwrap_or(name),
    }
}

/// Every field of the file, with its group.
fn fields() -> BTreeSet<String> {
    let schema = FileConfig::schema();
    let mut fields = BTreeSet::new();
    for (name, described) in schema["properties"].as_object().unwrap() {
        let reference = described.get("$ref").and_then(Value::as_str);
        let group = reference.and_then(|path| schema.pointer(path.strip_prefix('#')?));
        match group.and_then(|group| group.get("properties")?.as_object()) {
            Some(inner) => fields.extend(inner.keys().map(|inner| format!("{name}.{inner}"))),
            None => fields.extend([name.clone()]),
        }
    }
    fields
}

fn flags() -> Vec<clap::Arg> {
    let mut grammar = cli::grammar();
    grammar.build();
    let run = grammar.find_subcommand("run").unwrap();
    let wanted = |arg: &&clap::Arg| arg.get_long().is_some_and(|long| long != "help");
    run.get_arguments().filter(wanted).cloned().collect()
}

fn table() -> String {
    let mut text = String::from("| flag | file | what, and its default |\n|---|---|---|\n");
    for flag in flags() {
        let long = flag.get_long().unwrap();
        let field = if WITHOUT_FIELD.contains(&long) {
            String::new()
        } else {
            format!("`{}`", field(long))
        };
        let help = flag.get_help().unwrap().to_string().replace('\n', " ").replace('|', "\\|");
        writeln!(text, "| `--{long}` | {field} | {help} |").unwrap();
    }
    text
}

#[test]
fn every_flag_is_a_field_and_every_field_a_flag() {
    let from_flags: BTreeSet<String> = flags()
        .iter()
        .filter_map(|flag| flag.get_long())
        .filter(|long| !WITHOUT_FIELD.contains(long))
        .map(field)
        .chain(WITHOUT_FLAG.map(str::to_owned))
        .collect();
    assert_eq!(from_flags, fields());
}

/// `UPDATE=1 cargo test -p etcd-sync documented` writes the table anew.
#[test]
fn the_documented_table_is_the_command_line() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    let table = table();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(found, table, "UPDATE=1 cargo test -p etcd-sync documented");
    }
}

/// The example in the documentation is a file that can be read.
#[test]
fn the_documented_example_is_accepted() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let example = text.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    FileConfig::parse(example).unwrap();
}

/// The configuration in the manifest is one that can be read, and so are the manifest's flags.
#[test]
fn the_documented_manifest_holds_a_configuration_that_is_accepted() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/deploy.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let manifest = text.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifest).unwrap();
    let config = documents[0]["data"]["etcd-sync.yaml"].as_str().unwrap();
    FileConfig::parse(config).unwrap();
    let template = &documents[1]["spec"]["template"];
    assert_eq!(template["metadata"]["labels"], documents[2]["spec"]["selector"]);
    let args = template["spec"]["containers"][0]["args"].as_array().unwrap();
    let args = args.iter().map(|arg| arg.as_str().unwrap());
    cli::grammar().try_get_matches_from(std::iter::once("etcd-sync").chain(args)).unwrap();
}
