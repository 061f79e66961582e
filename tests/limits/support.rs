//! What several of these tests do.

use std::time::Duration;

use end_to_end::{Etcd, Mirror, assert_equal_in_scope, dump, everything};
use etcd_client::{Client, Txn, TxnOp};

/// Long enough for a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a mirror of every key.
pub(crate) fn mirror(primary: &[String], standby: &Etcd) -> Mirror {
    Mirror::builder(primary, &standby.endpoints()).preset("none").patience(PATIENCE).start()
}

/// Puts `count` keys below `prefix`, some at a time.
pub(crate) async fn fill(client: &mut Client, prefix: &str, count: usize, size: usize) {
    let value = "x".repeat(size);
    let at_once = ((1 << 20) / (size + 100)).clamp(1, 16);
    let keys: Vec<usize> = (0..count).collect();
    for part in keys.chunks(at_once) {
        let put = |n: &usize| TxnOp::put(format!("{prefix}{n:06}"), value.as_str(), None);
        let puts: Vec<_> = part.iter().map(put).collect();
        client.txn(Txn::new().and_then(puts)).await.unwrap();
    }
}

/// The newest revision.
pub(crate) async fn head(etcd: &Etcd) -> i64 {
    etcd.client().await.get("\0", None).await.unwrap().header().unwrap().revision()
}

/// Waits until the standby holds what the primary holds now, and asks whether that is true.
pub(crate) async fn assert_caught_up(mirror: &mut Mirror, primary: &Etcd, standby: &Etcd) {
    mirror.wait_for_checkpoint(head(primary).await).await;
    let primary = dump(&primary.client().await).await;
    let standby = dump(&standby.client().await).await;
    assert_equal_in_scope(&primary, &standby, everything);
}
