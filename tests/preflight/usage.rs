//! What it says and how it exits where there is nothing to report.

use std::process::Output;

use crate::support::{pair, preflight};

fn refused(output: &Output, exit: i32, told: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{stderr}");
    assert!(stderr.contains(told), "{told}: {stderr}");
    assert!(output.stdout.is_empty(), "{output:?}");
}

#[tokio::test]
async fn a_side_that_is_away_is_named_and_a_cluster_is_not_its_own_standby() {
    let (primary, mut standby) = pair().await;
    let same = preflight(&primary.endpoints(), &primary.endpoints(), &[]);
    refused(&same, 4, "same cluster");
    standby.kill();
    refused(&preflight(&primary.endpoints(), &standby.endpoints(), &[]), 3, "the standby: ");
}

#[test]
fn a_wrong_gate_and_a_wrong_file_are_told_with_what_mends_them() {
    let nowhere = ["http://127.0.0.1:1".to_owned()];
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("encryption.yaml");
    let path = file.to_str().unwrap();
    refused(&preflight(&nowhere, &nowhere, &["--allow", "owner"]), 2, "'owners'");
    let with_file = || preflight(&nowhere, &nowhere, &["--encryption-config", path]);
    refused(&with_file(), 2, "--encryption-config: can't read");
    for text in ["kind: Secret\n", "[", "resources: 3\n"] {
        std::fs::write(&file, text).unwrap();
        let output = with_file();
        refused(&output, 2, "--encryption-config: ");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}
