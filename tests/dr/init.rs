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
        "east",
        "~/kubeconfig", // no shell reads the file
        "/root/kubeconfig",
        "10.0.0.100", // the primary's
        "10.1.0.100",
        "west-m1 = 10.1.0.1",
        "",
        "",                 // the current context
        "/root/kubeconfig", // of the same file: the other has one that is named
        end_of_input,
    ] {
        terminal.types(line);
    }
    let mut init = Command::new(binaries::etcd_dr());
    init.args(["init", "--standby-name", "west"]).env_remove("ETCD_SYNC_TOPOLOGY");
    init.stdin(Stdio::from(input.try_clone().unwrap())).stderr(Stdio::from(input));
    let made = init.stdout(Stdio::piped()).output().unwrap();
    // The command holds the program's side.
    drop(init);
    let told = terminal.shown();
    assert_eq!(made.status.code(), Some(0), "{told}");

    let file = String::from_utf8(made.stdout).unwrap();
    for written in ["platform.example.org", "/root/kubeconfig", "10.0.0.2", "west", "10.1.0.100"] {
        assert!(file.contains(written), "{written}\n{file}");
    }
    for (prompt, times) in [
        ("Domain of the platform's address: ", 1),
        ("The primary's virtual IP: ", 2),
        ("The primary's next control-plane node, as NAME=IP: ", 4),
        ("The standby's name: ", 0),
        ("The standby's virtual IP: ", 2),
        ("Installed components", 1),
    ] {
        assert_eq!(told.matches(prompt).count(), times, "{prompt}\n{told}");
    }
    for why in [
        "warning: primary.vip: is no IP address; ",
        "warning: write NAME=IP",
        "warning: platform.certificate: is still the placeholder ",
        "warning: primary.kubernetes.kubeconfig: begins with `~`, ",
    ] {
        assert!(told.contains(why), "{why}\n{told}");
    }
    assert!(!file.contains("far east"), "{file}");
}
