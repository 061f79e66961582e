//! `etcd-dr init` at a terminal.

use std::process::{Command, Stdio};

use end_to_end::binaries;

use crate::terminal::Terminal;

#[test]
fn what_no_flag_told_is_asked_and_what_can_not_be_meant_is_asked_again() {
    let (mut terminal, input) = Terminal::open();
    let end_of_input = "\u{4}";
    for line in [
        "platform.example.org",
        "", // no certificate yet
        "east",
        "far east", // no address
        "10.0.0.100",
        "east-m1", // without its address
        "east-m1=10.0.0.1",
        "east-m2=10.0.0.2",
        "", // no more nodes
        "east.kubeconfig",
        "10.0.0.100", // the primary's
        "10.1.0.100",
        end_of_input,
    ] {
        terminal.types(line);
    }
    let mut init = Command::new(binaries::etcd_dr());
    init.args(["init", "--standby-name", "west"]).env_remove("ETCD_SYNC_TOPOLOGY");
    let made = init.stdin(Stdio::from(input)).output().unwrap();
    let told = String::from_utf8(made.stderr).unwrap();
    assert_eq!(made.status.code(), Some(0), "{told}");

    let file = String::from_utf8(made.stdout).unwrap();
    for written in ["platform.example.org", "east.kubeconfig", "10.0.0.2", "west", "10.1.0.100"] {
        assert!(file.contains(written), "{written}\n{file}");
    }
    for (prompt, times) in [
        ("Domain of the platform's address: ", 1),
        ("The primary's virtual IP: ", 2),
        ("The primary's next control-plane node, as NAME=IP: ", 4),
        ("The standby's name: ", 0),
        ("The standby's virtual IP: ", 2),
        ("Installed components", 0),
    ] {
        assert_eq!(told.matches(prompt).count(), times, "{prompt}\n{told}");
    }
    for why in [
        "warning: primary.vip: is no IP address; ",
        "warning: write NAME=IP\n",
        "warning: platform.certificate: is still the placeholder ",
        "warning: standby.kubernetes.kubeconfig: is still the placeholder ",
    ] {
        assert!(told.contains(why), "{why}\n{told}");
    }
    assert!(!file.contains("far east"), "{file}");
}
