use etcd_mvcc::{Commit, CommitTxn, Expect, FailureClass, Guard, Key, KeyRange, Op, PageRequest};
use etcd_mvcc::{ReadHead, ReadRange, Revision as _, StandbyRevision, Txn, Write};

use crate::etcd::{Etcd, OWN, put, txn, value};

#[tokio::test]
async fn thousands_of_operations_are_one_revision() {
    let etcd = Etcd::start(&[]).await;
    let standby = etcd.standby();
    let before = standby.head().await.unwrap().revision;
    let writes = (0..5_000).map(|n| put(&format!("/registry/{n:05}"), "x").into()).collect();
    let Commit::Done(done) = standby.commit(txn(writes)).await.unwrap() else { panic!("refused") };
    assert_eq!(done.revision, before.next());
    let writes = (0..5_000)
        .map(|n| Write::from(Op::Delete { key: Key::from(format!("/registry/{n:05}")) }))
        .collect();
    let Commit::Done(done) = standby.commit(txn(writes)).await.unwrap() else { panic!("refused") };
    assert_eq!(done.revision, before.next().next());
    let range = KeyRange::prefix(b"/registry/");
    let request = PageRequest { range, at: None, limit: 1, keys_only: true };
    assert_eq!(standby.read_page(request).await.unwrap().count, 0);
}

#[tokio::test]
async fn a_guard_that_does_not_hold_refuses_everything() {
    let etcd = Etcd::start(&[]).await;
    let standby = etcd.standby();
    let mut first = txn(vec![put("/registry/a", "1").into()]);
    first.own.push(put(&format!("{OWN}checkpoint"), "1"));
    let Commit::Done(done) = standby.commit(first.clone()).await.unwrap() else {
        panic!("refused")
    };
    assert_eq!(standby.commit(first).await.unwrap(), Commit::Refused);
    let checkpoint = Key::from(format!("{OWN}checkpoint"));
    let next = Txn {
        guard: Guard(vec![(checkpoint, Expect::ModifiedAt(done.revision))]),
        ..txn(vec![put("/registry/a", "2").into()])
    };
    assert!(matches!(standby.commit(next).await.unwrap(), Commit::Done(_)));
    assert_eq!(value(&standby, "/registry/a").await.as_deref(), Some("2"));
}

#[tokio::test]
async fn an_unmet_expectation_skips_that_write_alone() {
    let etcd = Etcd::start(&[]).await;
    let standby = etcd.standby();
    let writes = (0..300).map(|n| put(&format!("/registry/{n}"), "1").into()).collect();
    let Commit::Done(done) = standby.commit(txn(writes)).await.unwrap() else { panic!("refused") };
    let writes = (0..300)
        .map(|n| Write {
            op: put(&format!("/registry/{n}"), "2"),
            expect: match n {
                7 => Some(Expect::Absent),
                250 => Some(Expect::ModifiedAt(StandbyRevision::new(1))),
                _ if n % 2 == 0 => Some(Expect::ModifiedAt(done.revision)),
                _ => None,
            },
        })
        .collect();
    let Commit::Done(done) = standby.commit(txn(writes)).await.unwrap() else { panic!("refused") };
    assert_eq!(done.skipped, [7, 250]);
    assert_eq!(value(&standby, "/registry/7").await.as_deref(), Some("1"));
    assert_eq!(value(&standby, "/registry/8").await.as_deref(), Some("2"));
}

#[tokio::test]
async fn what_is_out_of_scope_is_never_sent() {
    let etcd = Etcd::start(&[]).await;
    let standby = etcd.standby();
    let before = standby.head().await.unwrap();
    let own = || put(&format!("{OWN}checkpoint"), "1");
    for wrong in [
        txn(vec![put("/elsewhere", "1").into()]),
        txn(vec![own().into()]),
        txn(vec![put(&format!("{OWN}parked/elsewhere"), "1").into()]),
        txn(vec![put("/etcd-sync/other/parked/registry/a", "1").into()]),
        Txn { own: vec![put("/registry/a", "1")], ..txn(Vec::new()) },
        Txn { guard: Guard::default(), ..txn(vec![put("/registry/a", "1").into()]) },
    ] {
        let failure = standby.commit(wrong).await.unwrap_err();
        assert_eq!((failure.class, failure.outcome_unknown), (FailureClass::Fatal, false));
    }
    assert_eq!(standby.head().await.unwrap(), before);
}

#[tokio::test]
async fn what_is_parked_is_written_as_the_rest_is() {
    let etcd = Etcd::start(&[]).await;
    let standby = etcd.standby();
    let place = format!("{OWN}parked/registry/a");
    let done = standby.commit(txn(vec![put(&place, "1").into()])).await.unwrap();
    assert!(matches!(done, Commit::Done(_)));
    assert_eq!(value(&standby, &place).await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_request_up_to_the_byte_limit_is_taken_and_one_beyond_it_is_too_large() {
    let etcd = Etcd::start(&[]).await;
    let standby = etcd.standby();
    let sized = |bytes| txn(vec![put("/registry/a", &"x".repeat(bytes)).into()]);
    let around = standby.request_bytes(&sized(1 << 20)) - (1 << 20);
    let fits = sized(etcd_link::REQUEST_BYTES_MAX - around);
    assert_eq!(standby.request_bytes(&fits), etcd_link::REQUEST_BYTES_MAX);
    assert!(matches!(standby.commit(fits).await, Ok(Commit::Done(_))));
    for bytes in [3 << 19, 3 << 20] {
        let failure = standby.commit(sized(bytes)).await.unwrap_err();
        assert_eq!((failure.class, failure.outcome_unknown), (FailureClass::TooLarge, false));
    }
}

/// The write that crosses the quota is answered with an error and applied all the same.
#[tokio::test]
async fn out_of_space_is_told_with_an_unknown_outcome() {
    let etcd = Etcd::start(&["--quota-backend-bytes", "4194304"]).await;
    let standby = etcd.standby();
    let big = "x".repeat(400_000);
    let mut refused = None;
    // The server learns how large it is when it commits to disk, every 100 ms.
    for n in 0..400 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        let write = put(&format!("/registry/{n}"), &big).into();
        if let Err(failure) = standby.commit(txn(vec![write])).await {
            refused = Some(failure);
            break;
        }
    }
    let failure = refused.expect("the quota is reached");
    assert_eq!((failure.class, failure.outcome_unknown), (FailureClass::NoSpace, true));
    let keys = [Key::from("/registry/0"), Key::from("/registry/1")];
    assert_eq!(standby.read_keys(&keys, None).await.unwrap().iter().flatten().count(), 2);
}
