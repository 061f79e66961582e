//! What `etcdctl make-mirror` can do, under the names that it has there.

use std::process::{Command, Output};

use end_to_end::binaries::etcd_sync;
use end_to_end::{MirrorBuilder, dump};

use crate::pair::{Pair, head, value};

/// Returns the standby's keys and values, without the mirror's own.
async fn standby_keys(pair: &Pair) -> Vec<(String, String)> {
    let standby = dump(&pair.standby.client().await).await.filtered(end_to_end::everything);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    standby.keys.iter().map(|(key, entry)| (text(key), text(&entry.value))).collect()
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn flags(builder: MirrorBuilder, flags: &[&str]) -> MirrorBuilder {
    flags.iter().fold(builder, |builder, flag| builder.connection_flag(*flag))
}

/// Keys around a prefix, on both sides; then the same changes while the mirror runs.
async fn mirrored_with(given: &[&str]) -> Vec<(String, String)> {
    let pair = Pair::start().await;
    let mut primary = pair.primary.client().await;
    for (key, value) in [("/a", "0"), ("/a/1", "1"), ("/a/2", "2"), ("/a0", "3"), ("/b/1", "4")] {
        primary.put(key, value, None).await.unwrap();
    }
    pair.standby.client().await.put("/local", "mine", None).await.unwrap();
    let mut mirror = flags(pair.mirror(), given).start();
    mirror.wait_for_state("following").await;
    primary.put("/b/3", "out", None).await.unwrap();
    primary.put("/a/3", "5", None).await.unwrap();
    primary.put("/a/2", "6", None).await.unwrap();
    primary.delete("/a/1", None).await.unwrap();
    mirror.wait_for_checkpoint(head(&primary).await).await;
    mirror.assert_no_errors(&[]);
    standby_keys(&pair).await
}

#[tokio::test]
async fn without_a_prefix_every_key_is_mirrored() {
    let expected = [
        ("/a", "0"),
        ("/a/2", "6"),
        ("/a/3", "5"),
        ("/a0", "3"),
        ("/b/1", "4"),
        ("/b/3", "out"),
        ("/local", "mine"),
    ];
    assert_eq!(mirrored_with(&[]).await, pairs(&expected));
}

#[tokio::test]
async fn with_a_prefix_nothing_else_is_mirrored() {
    let expected = [("/a/2", "6"), ("/a/3", "5"), ("/local", "mine")];
    assert_eq!(mirrored_with(&["--prefix", "/a/"]).await, pairs(&expected));
}

#[tokio::test]
async fn a_dest_prefix_replaces_the_prefix() {
    let found = mirrored_with(&["--prefix", "/a/", "--dest-prefix", "/dr/x-"]).await;
    assert_eq!(found, pairs(&[("/dr/x-2", "6"), ("/dr/x-3", "5"), ("/local", "mine")]));
}

#[tokio::test]
async fn without_a_dest_prefix_the_prefix_is_stripped() {
    let found = mirrored_with(&["--prefix", "/a/", "--no-dest-prefix"]).await;
    assert_eq!(found, pairs(&[("/local", "mine"), ("2", "6"), ("3", "5")]));
}

/// Five revisions, of which those from the third on are asked for.
async fn mirrored_from_the_third(given: &[&str]) -> Vec<(String, String)> {
    let pair = Pair::start().await;
    let mut primary = pair.primary.client().await;
    let mut revisions = Vec::new();
    for (key, value) in [("/a/1", "1"), ("/a/2", "2"), ("/a/3", "3"), ("/b/3", "3"), ("/a/1", "4")]
    {
        let put = primary.put(key, value, None).await.unwrap();
        revisions.push(put.header().unwrap().revision());
    }
    let third = revisions[2].to_string();
    let mut mirror = flags(pair.mirror(), &["--rev", &third]).flag("--coalesce").flag("never");
    mirror = flags(mirror, given);
    let mut mirror = mirror.start();
    mirror.wait_for_checkpoint(head(&primary).await).await;
    // It goes on from where it is, not from the revision once more.
    primary.delete("/a/3", None).await.unwrap();
    mirror.wait_for_checkpoint(head(&primary).await).await;
    assert!(mirror.terminate().success());
    mirror.restart();
    mirror.wait_for_state("following").await;
    primary.put("/a/5", "5", None).await.unwrap();
    mirror.wait_for_checkpoint(head(&primary).await).await;
    let status = mirror.status().await.unwrap();
    assert_eq!(status["counters"]["resyncs"].as_array().map(Vec::len), Some(0), "{status}");
    standby_keys(&pair).await
}

#[tokio::test]
async fn from_a_revision_on_only_later_changes_arrive() {
    let expected = [("/a/1", "4"), ("/a/5", "5"), ("/b/3", "3")];
    assert_eq!(mirrored_from_the_third(&[]).await, pairs(&expected));
}

#[tokio::test]
async fn a_revision_leaves_the_prefix_in_force() {
    let found = mirrored_from_the_third(&["--prefix", "/a/"]).await;
    assert_eq!(found, pairs(&[("/a/1", "4"), ("/a/5", "5")]));
    let found = mirrored_from_the_third(&["--prefix", "/a/", "--dest-prefix", "/z/"]).await;
    assert_eq!(found, pairs(&[("/z/1", "4"), ("/z/5", "5")]));
}

fn run_with(given: &[&str]) -> Output {
    // Nobody listens on port 1: it must not come to a connection.
    let endpoints = ["--primary-endpoints", "http://127.0.0.1:1", "--standby-endpoints"];
    let mut command = Command::new(etcd_sync());
    command.arg("run").args(endpoints).arg("http://127.0.0.1:1").args(["--preset", "none"]);
    command.args(["--listen", "off"]).args(given).env("NO_COLOR", "1").output().unwrap()
}

fn assert_refused_with_one_line(given: &[&str], words: &[&str]) {
    let output = run_with(given);
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{given:?}: {complaint}");
    assert_eq!(complaint.trim_end().lines().count(), 1, "{given:?}: {complaint}");
    for word in words {
        assert!(complaint.contains(word), "{given:?}: no {word:?} in {complaint}");
    }
    assert!(output.stdout.is_empty(), "{given:?}");
}

#[test]
fn both_ways_to_spell_the_destination_are_refused() {
    let both = ["--prefix", "/a/", "--dest-prefix", "/b/", "--no-dest-prefix"];
    assert_refused_with_one_line(&both, &["--dest-prefix", "--no-dest-prefix"]);
}

#[test]
fn a_rewrite_wants_exactly_one_prefix() {
    assert_refused_with_one_line(&["--dest-prefix", "/b/"], &["dest_prefix", "prefix"]);
    let two = ["--prefix", "/a/", "--prefix", "/b/", "--no-dest-prefix"];
    assert_refused_with_one_line(&two, &["no_dest_prefix", "2"]);
}

#[test]
fn revisions_count_from_one() {
    assert_refused_with_one_line(&["--rev", "0"], &["--rev"]);
}

#[tokio::test]
async fn a_value_may_be_read_by_the_standby_as_soon_as_the_checkpoint_says_so() {
    let pair = Pair::start().await;
    let mut primary = pair.primary.client().await;
    let mut mirror = pair.mirror().start();
    mirror.wait_for_state("following").await;
    let standby = pair.standby.client().await;
    for number in 0..20 {
        primary.put("/a", number.to_string(), None).await.unwrap();
        mirror.wait_for_checkpoint(head(&primary).await).await;
        assert_eq!(value(&standby, "/a").await, Some(number.to_string().into_bytes()));
    }
}
