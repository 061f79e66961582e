//! `--max-txn-ops` and `--max-request-bytes` of either side, as nobody has told the mirror.

use end_to_end::Etcd;

use crate::support::{assert_caught_up, fill, head, mirror};

async fn started(primary: Option<&str>, standby: Option<&str>) -> (Etcd, Etcd) {
    let (mut far, mut near) = (Etcd::builder(), Etcd::builder().standby());
    if let Some(flag) = primary {
        far = far.flag(flag);
    }
    if let Some(flag) = standby {
        near = near.flag(flag);
    }
    tokio::join!(far.start(), near.start())
}

/// Copies 2,000 small keys and follows 600 changes. Returns the standby's revisions that it took to
/// copy.
async fn copy_and_follow(primary: Option<&str>, standby: Option<&str>) -> i64 {
    let (far, near) = started(primary, standby).await;
    let mut client = far.client().await;
    fill(&mut client, "/registry/things/", 2_000, 100).await;
    let mut mirror = mirror(&far.endpoints(), &near);
    assert_caught_up(&mut mirror, &far, &near).await;
    let copied = head(&near).await;
    mirror.kill();
    // A gap that only a comparison closes: it fetches single keys of the primary.
    fill(&mut client, "/registry/things/", 600, 101).await;
    let newest = head(&far).await;
    client.compact(newest, None).await.unwrap();
    mirror.restart();
    assert_caught_up(&mut mirror, &far, &near).await;
    fill(&mut client, "/registry/later/", 100, 10).await;
    assert_caught_up(&mut mirror, &far, &near).await;
    mirror.assert_no_errors(&[]);
    copied
}

#[tokio::test]
async fn a_limit_of_operations_on_either_side_is_learned() {
    let plain = copy_and_follow(None, None).await;
    for limit in ["--max-txn-ops=64", "--max-txn-ops=16"] {
        let (standby, primary) =
            tokio::join!(copy_and_follow(None, Some(limit)), copy_and_follow(Some(limit), None));
        // With 16, 243 operations are all that fits at any depth.
        let more = if limit.ends_with("16") { 2_000 / 220 + 4 } else { plain / 5 };
        assert!(standby <= plain + more, "{limit}: {standby} revisions, {plain} without");
        assert!(primary <= plain + 3, "{limit}: {primary} revisions, {plain} without");
    }
}

#[tokio::test]
async fn a_limit_of_bytes_on_the_standby_is_learned() {
    for (limit, bytes) in
        [("--max-request-bytes=65536", 64 << 10), ("--max-request-bytes=10485760", 1 << 20)]
    {
        let (far, near) = started(None, Some(limit)).await;
        fill(&mut far.client().await, "/registry/things/", 1_000, 4_000).await;
        let mut mirror = mirror(&far.endpoints(), &near);
        assert_caught_up(&mut mirror, &far, &near).await;
        let used = head(&near).await;
        // What the start takes beside the data does not depend on the limit.
        let needed = 1_000 * 4_100 / bytes + 9;
        assert!(used <= needed * 6 / 5, "{limit}: {used} revisions for {needed}");
        fill(&mut far.client().await, "/registry/later/", 10, 4_000).await;
        assert_caught_up(&mut mirror, &far, &near).await;
    }
}
