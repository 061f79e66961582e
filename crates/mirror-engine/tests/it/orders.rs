//! Orders as an operator gives them: through the standby's etcd, to a mirror that runs.

use etcd_mvcc::{
    ClusterId, Committed, Head, Page, Position, PrimaryRevision, Revision, StandbyRevision,
};
use etcd_sim::SimEtcd;
use keyspace_filter::{Preset, Scope, ScopeSpec};
use mirror_engine::orders::{Order, OrderError, give, order_repair, read_state};
use mirror_engine::planner::{Effect, Input, Planner, Standing};
use mirror_engine::{
    Control, Ended, Mirror, OwnKeys, RepairDigest, RepairFinding, RepairKind, RepairKinds,
    RepairOutcome, RepairRecord, Settings, State, repair_plan,
};
use tokio_util::sync::CancellationToken;

fn scope() -> Scope {
    let spec =
        ScopeSpec { preset: Preset::None, prefixes: vec!["/d/".into()], ..ScopeSpec::default() };
    Scope::compile(spec).unwrap()
}

fn digest() -> RepairDigest {
    "0123456789abcdef0123456789abcdef".parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_running_mirror_carries_out_what_was_planned_and_says_so() {
    let primary = SimEtcd::<PrimaryRevision>::new(ClusterId::new(1));
    let standby = SimEtcd::<StandbyRevision>::new(ClusterId::new(2));
    for name in 0..50 {
        primary.with(|etcd| etcd.put(format!("/d/{name:02}"), "v")).unwrap();
    }
    let (mirror, mut status) =
        Mirror::new(primary.clone(), standby.clone(), scope(), Settings::default());
    let stop = CancellationToken::new();
    let running = tokio::spawn(mirror.run(stop.clone()));
    status.wait_for(|status| status.state == State::Following).await.unwrap();
    standby.with(|etcd| etcd.delete("/d/07")).unwrap();
    standby.with(|etcd| etcd.put("/d/zz", "theirs")).unwrap();

    let kinds = RepairKinds::named(&[RepairKind::Missed, RepairKind::Surplus]);
    let mut shown = Vec::new();
    let scope = scope();
    let plan = repair_plan(&primary, &standby, &scope, "default", kinds, |finding| {
        if let RepairFinding::Differs(found) = finding {
            shown.push((found.key.to_string(), found.kind));
        }
    });
    let plan = plan.await.unwrap();
    let expected = [("/d/07", RepairKind::Missed), ("/d/zz", RepairKind::Surplus)];
    assert_eq!(shown, expected.map(|(key, kind)| (key.to_owned(), kind)));

    let order = order_repair(&standby, "default", kinds, plan.digest).await.unwrap();
    let answered = status.wait_for(|status| {
        let record = status.last_repair.as_ref();
        record.is_some_and(|record| record.order == order && record.outcome.is_final())
    });
    let said = answered.await.unwrap().last_repair.clone().unwrap();
    assert_eq!(said.outcome, RepairOutcome::Done, "{said:?}");
    let stored = read_state(&standby, "default").await.unwrap();
    assert_eq!(stored.repair_waiting(), None);
    assert_eq!(stored.repair, Some(said));
    let key = |key: &[u8]| standby.with(|etcd| etcd.get(key).map(|entry| entry.value.clone()));
    assert_eq!((key(b"/d/07"), key(b"/d/zz")), (Some("v".into()), None));
    stop.cancel();
    assert_eq!(running.await.unwrap(), Ended::Stopped);
}

#[tokio::test]
async fn every_order_to_repair_has_an_id_of_its_own() {
    let standby = SimEtcd::<StandbyRevision>::new(ClusterId::new(2));
    let kinds = RepairKinds::default();
    let order = async || order_repair(&standby, "m", kinds, digest()).await.unwrap();
    assert_eq!((order().await, order().await), (1, 2));
    let waiting = read_state(&standby, "m").await.unwrap().repair_waiting().unwrap();
    assert_eq!((waiting.id, waiting.kinds, waiting.digest), (2, kinds, digest()));

    // The mirror has answered it, and somebody has removed the control record.
    let own = OwnKeys::new("m");
    let record = RepairRecord {
        order: 2,
        digest: digest(),
        kinds,
        outcome: RepairOutcome::Refused,
        reason: String::new(),
        found: None,
        revision: PrimaryRevision::default(),
        standby_revision: StandbyRevision::default(),
        planned: mirror_engine::RepairCounts::default(),
        written: mirror_engine::RepairCounts::default(),
        skipped: 0,
    };
    standby.with(|etcd| etcd.put(own.repair.clone(), record.encode())).unwrap();
    assert_eq!(read_state(&standby, "m").await.unwrap().repair_waiting(), None);
    standby.with(|etcd| etcd.delete(own.control.clone())).unwrap();
    assert_eq!(order().await, 3);
}

#[tokio::test]
async fn a_mirror_that_stands_still_takes_no_order_to_repair_and_keeps_the_one_it_has() {
    let standby = SimEtcd::<StandbyRevision>::new(ClusterId::new(2));
    let kinds = RepairKinds::default();
    order_repair(&standby, "m", kinds, digest()).await.unwrap();
    give(&standby, "m", Order::Pause).await.unwrap();
    let refused = order_repair(&standby, "m", kinds, digest()).await;
    assert!(matches!(refused, Err(OrderError::StandsStill)), "{refused:?}");
    give(&standby, "m", Order::Resume).await.unwrap();
    let stored = read_state(&standby, "m").await.unwrap();
    assert_eq!(stored.repair_waiting().map(|order| order.id), Some(1));
}

#[tokio::test]
async fn a_repair_record_that_can_not_be_read_stops_no_pause() {
    let standby = SimEtcd::<StandbyRevision>::new(ClusterId::new(2));
    let own = OwnKeys::new("m");
    standby.with(|etcd| etcd.put(own.repair.clone(), "{")).unwrap();
    give(&standby, "m", Order::Pause).await.unwrap();
    give(&standby, "m", Order::Resume).await.unwrap();
    let refused = order_repair(&standby, "m", RepairKinds::default(), digest()).await;
    assert!(matches!(refused, Err(OrderError::Record(_))), "{refused:?}");
    let control = standby.with(|etcd| etcd.get(own.control.as_bytes()).cloned()).unwrap();
    assert_eq!(Control::decode(&control.value).unwrap().repair, None);
}

/// A mirror that claims while another one enrols would else know nothing of what that entered.
#[test]
fn a_mirror_that_enrols_reads_the_ledger_again_under_its_own_epoch() {
    let mut planner = Planner::new(scope(), Settings { name: "m".into(), ..Settings::default() });
    let effects = |planner: &mut Planner| {
        std::iter::from_fn(|| planner.poll_effect())
            .filter(|effect| *effect != Effect::Forget)
            .collect::<Vec<_>>()
    };
    let empty = || {
        let at = StandbyRevision::new(5);
        Input::LedgerPage(Ok(Page { entries: Vec::new(), at, more: false, count: 0 }))
    };
    assert_eq!(effects(&mut planner), [Effect::ReadStanding]);
    let standing = Standing {
        primary: Position {
            head: Head { cluster: ClusterId::new(1), revision: PrimaryRevision::new(9) },
            raft: None,
            db: None,
        },
        history: None,
        same: None,
        standby: Head { cluster: ClusterId::new(2), revision: StandbyRevision::new(5) },
        epoch: None,
        checkpoint: None,
        control: None,
        repair: None,
    };
    let handle = |planner: &mut Planner, input| {
        planner.handle(std::time::Duration::ZERO, input);
        effects(planner)
    };
    let read = handle(&mut planner, Input::Standing(Box::new(standing)));
    assert!(matches!(read.as_slice(), [Effect::ReadLedger(_)]), "{read:?}");
    let more = handle(&mut planner, empty());
    assert!(matches!(more.as_slice(), [Effect::ReadLedger(_)]), "{more:?}");
    let claim = handle(&mut planner, empty());
    assert!(matches!(claim.as_slice(), [Effect::Commit(_)]), "{claim:?}");
    let claimed = Committed { revision: StandbyRevision::new(7), skipped: Vec::new() };
    let again = handle(&mut planner, Input::Committed(claimed));
    assert_eq!(again, read);
    assert_eq!(handle(&mut planner, empty()), more);
    let work = handle(&mut planner, empty());
    assert!(work.iter().any(|effect| matches!(effect, Effect::WatchStandby { .. })), "{work:?}");
}
