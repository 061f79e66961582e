//! What somebody changes on the standby stays unless the mirror is told to write it over.

use crate::support::{
    arrives, assert_in_sync, check, delete, expected, healed, mirror, named, pair, put, settled,
    value,
};

const CHANGED: &str = "/registry/configmaps/shop/changed";
const DELETED: &str = "/registry/configmaps/shop/deleted";

#[tokio::test]
async fn a_change_of_others_stays_and_is_named() {
    let (primary, standby) = pair().await;
    let (from, to) = (primary.client().await, standby.client().await);
    put(&from, CHANGED, "primary's").await;
    put(&from, DELETED, "primary's").await;
    let mut mirror = mirror(&primary, &standby).start();
    settled(&mut mirror, &primary).await;
    // The deletion is the younger one: by the time it is healed, the change would have been.
    put(&to, CHANGED, "standby's").await;
    delete(&to, DELETED).await;
    let status = healed(&mut mirror, 1).await;
    assert_eq!(status["drift"]["healed"], 1, "{status}");
    assert_eq!(value(&to, CHANGED).await.as_deref(), Some(&b"standby's"[..]));
    let (_, report) = check(&mirror).await;
    assert_eq!(named(&report), expected(&[(CHANGED, "different", "foreign-write")]));
    // The primary's next change wins.
    put(&from, CHANGED, "primary's next").await;
    arrives(&to, CHANGED, b"primary's next").await;
    assert_in_sync(&mirror).await;
    mirror.assert_no_errors(&[]);
}

#[tokio::test]
async fn a_change_of_others_is_written_over_where_the_mirror_is_told_to() {
    let (primary, standby) = pair().await;
    let (from, to) = (primary.client().await, standby.client().await);
    put(&from, CHANGED, "primary's").await;
    put(&from, DELETED, "primary's").await;
    let settings = mirror(&primary, &standby).flag("--heal-changes").flag("--heal-deletions=false");
    let mut mirror = settings.start();
    settled(&mut mirror, &primary).await;
    delete(&to, DELETED).await;
    put(&to, CHANGED, "standby's").await;
    put(&to, CHANGED, "standby's again").await;
    let status = healed(&mut mirror, 1).await;
    assert_eq!(status["drift"]["healed"], 1, "{status}");
    assert_eq!(value(&to, CHANGED).await.as_deref(), Some(&b"primary's"[..]));
    let (_, report) = check(&mirror).await;
    assert_eq!(named(&report), expected(&[(DELETED, "missed", "foreign-write")]));
    mirror.assert_no_errors(&[]);
}
