//! What is being deleted is not called back to life; what comes after it is.

use end_to_end::{Etcd, assert_equal_in_scope, dump, everything};
use etcd_client::Client;

use crate::object::{Object, object};
use crate::support::{
    arrives, assert_in_sync, caught_up, check, delete, delete_all, expected, healed, mirror, named,
    pair, put, settled, value,
};

const NAMESPACE: &str = "/registry/namespaces/shop";
const CONTENT: &str = "/registry/example.io/things/shop/";

/// A key that is deleted along with the others: once it is back, the others had their turn.
const WITNESS: &str = "/registry/configmaps/elsewhere/witness";

fn namespace() -> Object {
    object("Namespace", "shop")
}

#[tokio::test]
async fn an_object_that_waits_for_its_finalizers_is_not_called_back_to_life() {
    let (primary, standby) = pair().await;
    let (from, to) = (primary.client().await, standby.client().await);
    let (going, staying) = (format!("{CONTENT}going"), format!("{CONTENT}staying"));
    put(&from, &going, object("Thing", "going").ending().stored()).await;
    put(&from, &staying, object("Thing", "staying").stored()).await;
    let mut mirror = mirror(&primary, &standby).start();
    settled(&mut mirror, &primary).await;
    // The standby's controllers remove the finalizer sooner than the primary's.
    delete(&to, &going).await;
    delete(&to, &staying).await;
    let status = healed(&mut mirror, 1).await;
    assert_eq!(status["drift"]["healed"], 1, "{status}");
    assert_eq!(status["drift"]["refused"], 0, "{status}");
    assert_eq!(value(&to, &going).await, None);
    let (_, report) = check(&mirror).await;
    assert_eq!(named(&report), expected(&[(&going, "missed", "terminating")]));
    delete(&from, &going).await;
    caught_up(&mut mirror, &primary).await;
    assert_in_sync(&mirror).await;
    mirror.assert_no_errors(&[]);
}

#[tokio::test]
async fn nothing_in_a_namespace_that_ends_is_called_back_to_life() {
    let (primary, standby) = pair().await;
    let (from, to) = (primary.client().await, standby.client().await);
    put(&from, NAMESPACE, namespace().ending().stored()).await;
    put(&from, WITNESS, "1").await;
    for number in 0..20 {
        let name = format!("{number:02}");
        put(&from, &format!("{CONTENT}{name}"), object("Thing", &name).stored()).await;
    }
    let mut mirror = mirror(&primary, &standby).start();
    settled(&mut mirror, &primary).await;
    delete_all(&to, CONTENT).await;
    delete(&to, NAMESPACE).await;
    delete(&to, WITNESS).await;
    let status = healed(&mut mirror, 1).await;
    assert_eq!(status["drift"]["healed"], 1, "{status}");
    assert_eq!(status["drift"]["refused"], 0, "{status}");
    let (_, report) = check(&mirror).await;
    assert_eq!(report["missed"], 21, "{report}");
    // The primary's own controller gets there in the end.
    delete_all(&from, CONTENT).await;
    delete(&from, NAMESPACE).await;
    caught_up(&mut mirror, &primary).await;
    assert_in_sync(&mirror).await;
    mirror.assert_no_errors(&[]);
}

/// What the standby's namespace controller does once it was told of a namespace that ends: it deletes
/// the content of whatever bears that name by then.
async fn empty_by_name(standby: &Client) {
    delete_all(standby, CONTENT).await;
}

fn thing(number: u32, life: &str) -> String {
    object("Thing", &format!("{number:02}")).uid(&format!("{number}-{life}")).stored()
}

async fn fill(client: &Client, life: &str) {
    for number in 0..20 {
        put(client, &format!("{CONTENT}{number:02}"), thing(number, life)).await;
    }
}

/// The namespace and its content go, and come again under other uids.
async fn make_anew(primary: &Client) {
    delete_all(primary, CONTENT).await;
    delete(primary, NAMESPACE).await;
    put(primary, NAMESPACE, namespace().uid("second").stored()).await;
    fill(primary, "second").await;
}

/// A namespace is deleted on the primary and made anew, and the standby's controller is at it: before
/// the next life begins, or too late.
async fn deleted_and_made_anew(primary: &Etcd, standby: &Etcd, late: bool) {
    let (from, to) = (primary.client().await, standby.client().await);
    put(&from, NAMESPACE, namespace().uid("first").stored()).await;
    fill(&from, "first").await;
    let mut mirror = mirror(primary, standby).start();
    settled(&mut mirror, primary).await;
    let ending = namespace().uid("first").ending().stored();
    put(&from, NAMESPACE, ending.clone()).await;
    arrives(&to, NAMESPACE, ending.as_bytes()).await;
    if late {
        make_anew(&from).await;
        arrives(&to, &format!("{CONTENT}19"), thing(19, "second").as_bytes()).await;
        empty_by_name(&to).await;
    } else {
        empty_by_name(&to).await;
        // It takes the namespace's last finalizer, and the namespace goes.
        delete(&to, NAMESPACE).await;
        make_anew(&from).await;
    }
    caught_up(&mut mirror, primary).await;
    if late {
        healed(&mut mirror, 20).await;
    }
    assert_equal_in_scope(&dump(&from).await, &dump(&to).await, everything);
    assert_in_sync(&mirror).await;
    mirror.assert_no_errors(&[]);
}

#[tokio::test]
async fn a_namespace_that_is_made_anew_is_whole_although_the_standby_emptied_it_first() {
    let (primary, standby) = pair().await;
    deleted_and_made_anew(&primary, &standby, false).await;
}

#[tokio::test]
async fn a_namespace_that_is_made_anew_is_whole_although_the_standby_empties_it_by_name() {
    let (primary, standby) = pair().await;
    deleted_and_made_anew(&primary, &standby, true).await;
}
