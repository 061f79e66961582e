//! Verbs against clusters that are not there, and signals.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{command, etcd_sync};

/// Nothing listens on these ports: they are reserved.
const NOBODY: [&str; 4] =
    ["--primary-endpoints", "http://127.0.0.1:1", "--standby-endpoints", "http://127.0.0.1:2"];

#[test]
fn verbs_that_reach_nobody_exit_with_3() {
    for verb in [
        &["status"] as &[&str],
        &["pause"],
        &["resume"],
        &["resync", "--accept", "5eed"],
        &["plan"],
    ] {
        etcd_sync(&[verb, &NOBODY].concat()).is_refused(3, "127.0.0.1");
    }
}

#[test]
fn an_address_in_use_is_a_configuration_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran =
        etcd_sync(&[&["run", "--listen", &address, "--log-level", "error"], &NOBODY[..]].concat());
    ran.is_refused(2, &format!("--listen: can't serve on {address}"));
}

fn run(args: &[&str]) -> Child {
    let args = [&["run", "--listen", "127.0.0.1:0"], args, &NOBODY].concat();
    command(&args).stderr(Stdio::piped()).spawn().unwrap()
}

fn wait_for(child: &mut Child, text: &str) -> String {
    let stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.lines().map(Result::unwrap).find(|line| line.contains(text)).unwrap()
}

#[test]
fn a_mirror_without_clusters_waits_and_stops_at_a_signal_with_0() {
    for signal in ["-TERM", "-INT"] {
        let mut child = run(&[]);
        wait_for(&mut child, "serving health");
        let started = Instant::now();
        let id = child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    }
}

#[test]
fn logs_are_json_where_asked_for() {
    let mut child = run(&["--log-format", "json"]);
    let line = wait_for(&mut child, "serving health");
    child.kill().unwrap();
    child.wait().unwrap();
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(json["level"], "INFO");
    assert!(json["address"].as_str().unwrap().starts_with("127.0.0.1:"));
}
