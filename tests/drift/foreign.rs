//! A key in scope that somebody else makes on the standby is nobody else's to delete, whenever it
//! was made.

use end_to_end::{Mirror, assert_equal_in_scope, dump, everything};
use etcd_client::Client;

use crate::support::{
    assert_in_sync, caught_up, check, delete, head, healed, mirror, named, pair, put, repair,
    settled,
};

const WHILE_IT_RAN: &str = "/registry/configmaps/shop/made-while-it-ran";
const WHILE_DOWN: &str = "/registry/configmaps/shop/made-while-it-was-down";
const UNSEEN: &str = "/registry/configmaps/shop/made-unseen";
const OURS: &str = "/registry/configmaps/shop/ours";

/// Keys of others, and when each was written.
struct Foreign<'a> {
    standby: &'a Client,
    keys: Vec<(&'static str, i64)>,
}

impl Foreign<'_> {
    async fn make(&mut self, key: &'static str) {
        self.keys.push((key, put(self.standby, key, "standby's").await));
    }

    /// Each is there as it was made, and the check names them and nothing else. Who made one is known
    /// unless the standby compacted it before anybody had looked.
    async fn assert_left_and_named(&self, mirror: &Mirror, when: &str, known: bool) {
        let standby = dump(self.standby).await;
        for (key, made) in &self.keys {
            let entry = standby.keys.get(key.as_bytes());
            let entry = entry.unwrap_or_else(|| panic!("{key} is gone after {when}"));
            assert_eq!((entry.mod_revision, &*entry.value), (*made, &b"standby's"[..]), "{key}");
        }
        let (_, report) = check(mirror).await;
        assert_eq!(report["verdict"], "drift", "{when}: {report}");
        let told = named(&report);
        assert_eq!(told.len(), self.keys.len(), "{when}: {report}");
        for (key, _) in &self.keys {
            let (kind, class) = &told[*key];
            assert_eq!(kind, "surplus", "{when}: {key}");
            let unknown = !known && class == "unattributed";
            assert!(class == "foreign-write" || unknown, "{when}: {key} is {class}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_others_is_never_deleted_and_always_named() {
    let (primary, standby) = pair().await;
    let (mut from, mut to) = (primary.client().await, standby.client().await);
    let reader = standby.client().await;
    let mut foreign = Foreign { standby: &reader, keys: Vec::new() };
    for number in 0..50 {
        put(&from, &format!("/registry/configmaps/shop/{number:02}"), "primary's").await;
    }
    put(&from, OURS, "primary's").await;
    let mut mirror = mirror(&primary, &standby).start();
    settled(&mut mirror, &primary).await;
    foreign.make(WHILE_IT_RAN).await;
    foreign.assert_left_and_named(&mirror, "it was made", true).await;

    mirror.kill();
    foreign.make(WHILE_DOWN).await;
    mirror.restart();
    settled(&mut mirror, &primary).await;
    foreign.assert_left_and_named(&mirror, "a restart", true).await;

    mirror.kill();
    foreign.make(UNSEEN).await;
    put(&to, "/registry/configmaps/default/local", "1").await;
    to.compact(head(&to).await, None).await.unwrap();
    mirror.restart();
    settled(&mut mirror, &primary).await;
    foreign.assert_left_and_named(&mirror, "the standby compacted", false).await;

    // The primary has compacted what was missed: everything is compared, and stale keys go.
    mirror.kill();
    delete(&from, "/registry/configmaps/shop/07").await;
    put(&from, "/registry/configmaps/shop/08", "primary's next").await;
    put(&from, "/registry/configmaps/shop/09", "primary's next").await;
    from.compact(head(&from).await, None).await.unwrap();
    mirror.restart();
    settled(&mut mirror, &primary).await;
    let status = mirror.status().await.unwrap();
    assert!(status["counters"]["resyncs"].to_string().contains("compacted"), "{status}");
    foreign.assert_left_and_named(&mirror, "a resync", true).await;

    delete(&to, OURS).await;
    healed(&mut mirror, 1).await;
    foreign.assert_left_and_named(&mirror, "a healing", true).await;

    put(&to, OURS, "standby's").await;
    repair(&mirror);
    foreign.assert_left_and_named(&mirror, "a repair", true).await;

    // Their own maker deletes them, and nobody puts them back.
    for (key, _) in &foreign.keys {
        delete(&to, key).await;
    }
    caught_up(&mut mirror, &primary).await;
    assert_in_sync(&mirror).await;
    assert_equal_in_scope(&dump(&from).await, &dump(&to).await, |key| {
        everything(key) && !key.starts_with(b"/registry/configmaps/default/")
    });
    mirror.assert_no_errors(&[]);
}
