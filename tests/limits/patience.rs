//! A server that hangs up on those who ask for signs of life too often.

use std::time::Duration;

use end_to_end::{Etcd, Mirror};

use crate::support::{assert_caught_up, fill};

#[tokio::test]
async fn a_server_with_less_patience_is_asked_less_often() {
    let flag = "--grpc-keepalive-min-time=60s";
    let (primary, standby) =
        tokio::join!(Etcd::builder().flag(flag).start(), Etcd::start_standby());
    let mut client = primary.client().await;
    fill(&mut client, "/registry/things/", 10, 10).await;
    let mut mirror = Mirror::builder(&primary.endpoints(), &standby.endpoints())
        .preset("none")
        .patience(Duration::from_secs(60))
        .flag("--keepalive-interval=1s")
        .start();
    assert_caught_up(&mut mirror, &primary, &standby).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    fill(&mut client, "/registry/things/", 20, 10).await;
    assert_caught_up(&mut mirror, &primary, &standby).await;
    let status = mirror.status().await.unwrap();
    // After 1, 2 and 4 s of silence it is hung up on; without learning, every 4 s.
    let epoch = status["epoch"].as_i64().unwrap();
    let log = mirror.process().output();
    println!("epoch {epoch}\n{log}");
    assert!(epoch <= 4, "{epoch} epochs");
    assert!(log.contains("--keepalive-interval") && log.contains("--grpc-keepalive-min-time"));
}
