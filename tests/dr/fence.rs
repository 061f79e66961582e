//! Once the fence stands, nothing of a mirror's lands, whatever is still on its way.

use std::time::Duration;

use end_to_end::{Direction, Mirror, Proxy, eventually};
use rustix::process::Signal;
use serde_json::Value;

use crate::pair::{KEYS, Pair, settings};
use crate::run::Dr;
use crate::terminal::Terminal;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_was_on_its_way_when_the_fence_was_raised_never_lands() {
    let pair = Pair::start().await;
    pair.write_topology(true, "");
    let dr = Dr::new(&pair);
    let mut client = pair.east.etcd.client().await;
    client.put(format!("{KEYS}a"), "1", None).await.unwrap();
    let proxy = Proxy::start(&pair.west.etcd.endpoints()[0]).await;
    let builder = settings(Mirror::builder(&pair.east.etcd.endpoints(), &[proxy.endpoint()]));
    let mut mirror = builder.start();
    mirror.wait_for_state("following").await;
    // From here on what the mirror sends waits in the proxy.
    proxy.hold(Direction::ToServer);
    // What was being passed on at that moment still passes.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = proxy.bytes(Direction::ToServer);
    for n in 0..20 {
        client.put(format!("{KEYS}late-{n}"), "2", None).await.unwrap();
    }
    // What it has received it sends at once; it has no other way than through the proxy.
    mirror
        .wait_for("all was received, and not applied", |status| {
            let count = |name: &str| status["counters"][name].as_u64();
            count("puts_received") == Some(20) && count("puts_applied") == Some(1)
        })
        .await;
    assert_eq!(proxy.bytes(Direction::ToServer), before, "nothing passes");
    let told = dr.expect(0, &["fence", "--yes", "-o", "json"]).await;
    let fence: Value = serde_json::from_str(&told).unwrap();
    let raised_at = fence["standby_revision"].as_i64().unwrap();
    proxy.release(Direction::ToServer);
    mirror.wait_for_state("fenced").await;
    assert!(proxy.bytes(Direction::ToServer) > before, "what was held has arrived");
    let west = pair.west.dump().await;
    let late: Vec<_> =
        west.keys.iter().filter(|(_, entry)| entry.mod_revision >= raised_at).collect();
    assert!(late.is_empty(), "{late:?}");
    assert!(!west.keys.keys().any(|key| key.starts_with(format!("{KEYS}late").as_bytes())));
    // Raised again it is the same one; a mirror that starts anew says what it is.
    let again = dr.expect(0, &["fence", "--yes", "-o", "json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&again).unwrap(), fence);
    mirror.kill();
    mirror.restart();
    mirror.wait_for_state("fenced").await;
    let once = mirror.verb(&["run", "--once"]);
    assert_eq!(once.status.code(), Some(4), "{once:?}");
    // Taking it back names it; another digest is refused.
    let other = "0".repeat(32);
    dr.expect(4, &["fence", "--release", &other]).await;
    let digest = fence["digest"].as_str().unwrap();
    dr.expect(0, &["fence", "--release", digest]).await;
    mirror.kill();
    mirror.restart();
    let arrived = format!("{KEYS}late-19").into_bytes();
    eventually("what was late arrives after all", Duration::from_secs(30), async || {
        pair.west.dump().await.keys.contains_key(&arrived).then_some(())
    })
    .await;
}

/// The most dangerous question of all can be left, as any other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_ends_the_question_before_the_fence_and_its_word_raises_it() {
    let pair = Pair::start().await;
    pair.write_topology(true, "");
    let dr = Dr::new(&pair);
    for (typed, code) in [(None, 130), (Some("east"), 4), (Some("west"), 0)] {
        let told = dr.expect(1, &["fence", "--show"]).await;
        assert_eq!(told.trim(), "the standby is not promoted");
        let (mut terminal, input) = Terminal::open();
        let questions = || dr.told().matches("Type west to go on: ").count();
        let before = questions();
        let mut run = dr.start_at(input, &["fence"]);
        eventually("it asks", Duration::from_secs(30), async || {
            (questions() > before).then_some(())
        })
        .await;
        match typed {
            Some(word) => terminal.types(word),
            None => run.signal(Signal::INT),
        }
        assert_eq!(run.wait(Duration::from_secs(10)).code(), Some(code), "{}", run.tail(5));
    }
    let fence: Value =
        serde_json::from_str(&dr.expect(0, &["fence", "--show", "-o", "json"]).await).unwrap();
    let about = format!("--topology {}", pair.topology_file().display());
    assert!(fence["take_back"].as_str().unwrap().ends_with(&about), "{fence}");
}
