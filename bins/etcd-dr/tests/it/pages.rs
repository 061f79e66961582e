//! From `init` to runbook and report.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dr_plan::Timestamp;
use dr_plan::journal::{Event, Journal, Opening};
use dr_plan::plan::{Instruction, Kind, Plan, PlanName};
use dr_plan::topology::Topology;
use mirror_config::FileConfig;

const ANSWERS: [&str; 22] = [
    "init",
    "--domain",
    "platform.example.org",
    "--certificate",
    "platform.crt",
    "--primary-name",
    "east",
    "--primary-vip",
    "10.0.0.100",
    "--primary-node",
    "east-m1=10.0.0.1",
    "--primary-kubeconfig",
    "east.kubeconfig",
    "--standby-name",
    "west",
    "--standby-vip",
    "10.1.0.100",
    "--standby-node",
    "west-m1=10.1.0.1",
    "--standby-kubeconfig",
    "west.kubeconfig",
    "--component=elasticsearch",
];

/// Runs the binary with no environment that could speak for a flag.
fn etcd_dr(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_etcd-dr")).args(args).env_clear().output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A topology file of `init`, whole.
fn topology(folder: &Path) -> PathBuf {
    let made = etcd_dr(&ANSWERS);
    assert_eq!((made.status.code(), stderr(&made).as_str()), (Some(0), ""));
    let file = folder.join("topology.yaml");
    std::fs::write(&file, made.stdout).unwrap();
    file
}

fn with_topology(folder: &Path, args: &[&str]) -> Output {
    let file = topology(folder);
    let args: Vec<_> = args.iter().copied().chain(["--topology", file.to_str().unwrap()]).collect();
    etcd_dr(&args)
}

#[test]
fn init_names_what_is_left_to_fill_in() {
    let made = etcd_dr(&["init", "--domain", "platform.example.org"]);
    assert_eq!(made.status.code(), Some(0));
    assert!(stdout(&made).contains("  domain: platform.example.org\n"));
    let left = stderr(&made);
    assert!(left.contains("warning: primary.name: is still the placeholder <NAME>; fill it in\n"));
    assert!(!left.contains("platform.domain"), "{left}");
}

#[test]
fn init_refuses_an_answer_that_can_not_be_meant_and_writes_the_others_as_they_are() {
    let made = etcd_dr(&["init", "--primary-vip", "east", "--standby-vip", "10.1.0.100"]);
    assert_eq!((made.status.code(), stdout(&made).as_str()), (Some(2), ""));
    let told = stderr(&made);
    assert!(told.starts_with("error: primary.vip: is no IP address; "), "{told}");
    assert!(!told.contains("placeholder"), "{told}");

    // In YAML these would be a mapping, a comment, a number and a truth.
    let names = ["a: b", "east #1", "007", "true"];
    for name in names {
        let made = etcd_dr(&["init", "--primary-name", "e", "--certificate", name]);
        assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
        assert!(stdout(&made).contains(&format!("  certificate: \"{name}\"\n")), "{name}");
        assert!(!stderr(&made).contains("certificate"), "{}", stderr(&made));
    }
}

#[test]
fn the_schema_is_printed_for_editors() {
    let printed = etcd_dr(&["init", "--schema"]);
    assert_eq!((printed.status.code(), stderr(&printed).as_str()), (Some(0), ""));
    let schema: serde_json::Value = serde_json::from_str(&stdout(&printed)).unwrap();
    assert_eq!(schema["properties"]["platform"]["$ref"], "#/$defs/Platform");
}

#[test]
fn every_mistake_of_a_topology_is_a_line_and_the_code_is_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = topology(folder.path());
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("domain: platform", "domian: platform").replace("10.1.0.100", "east");
    std::fs::write(&file, text).unwrap();
    let refused = etcd_dr(&["runbook", "--topology", file.to_str().unwrap()]);
    assert_eq!((refused.status.code(), stdout(&refused).as_str()), (Some(2), ""));
    let told = stderr(&refused);
    for part in [
        "topology.yaml: platform.domian: is no field here; did you mean `domain`?",
        "topology.yaml: platform.domain: is missing; ",
        "topology.yaml: standby.vip: is no IP address; ",
    ] {
        assert!(told.lines().any(|line| line.contains(part)), "{part}\n{told}");
    }
    assert!(told.lines().all(|line| line.starts_with("error: ")), "{told}");
}

#[test]
fn a_topology_that_is_not_there_is_one_line() {
    let refused = etcd_dr(&["runbook", "--topology", "/nowhere/topology.yaml"]);
    assert_eq!(refused.status.code(), Some(2));
    let told = stderr(&refused);
    assert!(told.starts_with("error: --topology: can't read /nowhere/topology.yaml ("), "{told}");
    assert_eq!(told.lines().count(), 1);
}

#[test]
fn a_runbook_is_printed_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let print = |args: &[&str]| {
        let printed = with_topology(folder.path(), args);
        assert_eq!(printed.status.code(), Some(0), "{}", stderr(&printed));
        stdout(&printed)
    };
    let one = print(&["runbook", "failover"]);
    assert!(
        one.starts_with("# failover: ") && one.contains("point platform.example.org at 10.1.0.100")
    );
    let all = print(&["runbook"]);
    assert_eq!(all.lines().filter(|line| line.starts_with("# ")).count(), PlanName::ALL.len());
    assert!(print(&["runbook", "-o", "html"]).starts_with("<!doctype html>"));
    let json: serde_json::Value =
        serde_json::from_str(&print(&["runbook", "check", "-o", "json"])).unwrap();
    assert_eq!(json["name"], "check");
    let json: serde_json::Value = serde_json::from_str(&print(&["runbook", "-o", "json"])).unwrap();
    assert_eq!(json.as_array().unwrap().len(), PlanName::ALL.len());
}

#[test]
fn an_unknown_plan_is_refused_with_the_known_ones() {
    let refused = etcd_dr(&["runbook", "fialover"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("failover"));
}

#[test]
fn the_settings_that_a_plan_tells_are_those_that_the_mirror_reads() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(topology(folder.path())).unwrap();
    let plan = Plan::new(PlanName::Enable, &Topology::parse(&text).unwrap());
    let step = plan.steps().find(|step| step.id == "install-mirror").unwrap();
    let Kind::ByHand(instructions) = &step.kind else { panic!() };
    let settings = instructions.iter().find_map(|instruction| {
        let Instruction::Type(lines) = instruction else { return None };
        lines.starts_with("mirror_name: ").then_some(lines)
    });
    let config = FileConfig::parse(settings.unwrap()).unwrap();
    assert_eq!(config.mirror_name.as_deref(), Some("default"));
}

fn journal(folder: &Path) -> PathBuf {
    let mut journal = Journal::default();
    let opening = Opening {
        plan: PlanName::Failover,
        plan_digest: "a".repeat(64),
        topology_digest: "b".repeat(64),
    };
    let at = |second: u64| Timestamp::from_ms(1_790_000_000_000 + second * 1000);
    let text =
        journal.append(at(0), Event::Opened(opening)) + &journal.append(at(90), Event::Completed);
    let file = folder.join("journal.jsonl");
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn a_report_comes_from_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let file = journal(folder.path());
    let took = "The failover begun at 2026-09-21T14:13:20Z took 1 min 30 s";
    // It lies beside the topology file, or is named.
    for args in [vec!["report"], vec!["report", "--journal", file.to_str().unwrap()]] {
        let printed = with_topology(folder.path(), &args);
        assert_eq!(printed.status.code(), Some(0), "{}", stderr(&printed));
        assert!(stdout(&printed).contains(took), "{}", stdout(&printed));
    }
    std::fs::remove_file(&file).unwrap();
    let printed = with_topology(folder.path(), &["report"]);
    assert!(stdout(&printed).contains("no change of roles yet"), "{}", stdout(&printed));
    let args = ["report", "--journal", file.to_str().unwrap()];
    let refused = with_topology(folder.path(), &args);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
}

#[test]
fn a_journal_that_was_changed_is_refused_and_the_line_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = journal(folder.path());
    let text = std::fs::read_to_string(&file).unwrap().replace("failover", "failback");
    std::fs::write(&file, text).unwrap();
    let refused = with_topology(folder.path(), &["report", "--journal", file.to_str().unwrap()]);
    assert_eq!((refused.status.code(), stdout(&refused).as_str()), (Some(3), ""));
    assert!(stderr(&refused).ends_with("journal.jsonl: line 1 was changed after it was written\n"));
}
