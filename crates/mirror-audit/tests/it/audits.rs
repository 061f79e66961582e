//! Whole audits, and what keeps them from an answer.

use consistency_checker::{Progress, View};
use etcd_mvcc::{ClusterId, PrimaryRevision, Revision as _};
use etcd_sim::{Mutation, SimPrimary, SimStandby};
use keyspace_filter::{Preset, Scope, ScopeSpec};
use mirror_audit::{AuditSettings, Auditor};
use mirror_engine::{Checkpoint, OwnKeys, RepairKinds, Witness};
use monitor_api::{CheckReport, CheckVerdict};

fn scope() -> Scope {
    Scope::compile(ScopeSpec { preset: Preset::None, ..ScopeSpec::default() }).unwrap()
}

/// A pair of which the last change is witnessed, as a mirror leaves it.
fn pair() -> (SimPrimary, SimStandby) {
    let (primary, standby) =
        (SimPrimary::new(ClusterId::new(1)), SimStandby::new(ClusterId::new(2)));
    primary.with(|etcd| etcd.put("/a", "1")).unwrap();
    mirror(&primary, &standby, "/b", "2");
    (primary, standby)
}

/// A change of the primary, brought over as a mirror does.
fn mirror(primary: &SimPrimary, standby: &SimStandby, key: &str, value: &str) {
    let revision = primary.with(|etcd| etcd.put(key, value)).unwrap();
    let entry = primary.with(|etcd| etcd.get(key.as_bytes()).cloned()).unwrap();
    let witness = Witness {
        created: None,
        key: entry.key.clone(),
        modified: revision,
        fingerprint: Some(entry.value.fingerprint()),
    };
    let record = Checkpoint {
        cluster: ClusterId::new(1),
        revision,
        scope: scope().hash().to_string(),
        witnesses: vec![witness],
        ..Checkpoint::default()
    };
    let held = primary.with(|etcd| etcd.truth_at(&etcd_mvcc::KeyRange::all(), revision));
    let mut writes: Vec<Mutation> =
        held.into_iter().map(|entry| Mutation::put(entry.key, entry.value)).collect();
    writes.push(Mutation::put(OwnKeys::new("m").checkpoint, record.encode()));
    standby.with(|etcd| etcd.write(&writes)).unwrap();
}

async fn audit(primary: &SimPrimary, standby: &SimStandby) -> CheckReport {
    let view = View::new(scope());
    let auditor =
        Auditor::new(primary.clone(), standby.clone(), view, "m", AuditSettings::default());
    Box::pin(auditor.at_newest_pair(|| None, &Progress::default())).await
}

#[tokio::test(start_paused = true)]
async fn what_was_mirrored_is_in_sync_and_what_others_did_is_drift() {
    let (primary, standby) = pair();
    let report = audit(&primary, &standby).await;
    assert_eq!(report.verdict(), CheckVerdict::InSync, "{report:?}");
    assert_eq!(report.verified_revision(), Some(primary.with(|etcd| etcd.revision()).get()));
    standby.with(|etcd| etcd.delete("/a")).unwrap();
    let report = audit(&primary, &standby).await;
    assert_eq!((report.verdict(), report.found().missed), (CheckVerdict::Drift, 1));
}

#[tokio::test(start_paused = true)]
async fn a_primary_of_another_history_is_no_drift() {
    let (primary, standby) = pair();
    let older = primary.with(|etcd| etcd.snapshot());
    mirror(&primary, &standby, "/c", "3");
    // Restored from an older copy, and further than before since.
    primary.with(|etcd| etcd.restore(older));
    for value in ["4", "5", "6"] {
        primary.with(|etcd| etcd.put("/d", value)).unwrap();
    }
    let report = audit(&primary, &standby).await;
    assert_eq!(report.verdict(), CheckVerdict::Inconclusive, "{report:?}");
    assert!(report.reason().contains("history"), "{}", report.reason());
    assert!(report.found().classes.is_empty(), "nobody is blamed: {report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_state_of_the_past_is_audited_at_its_own_pair() {
    let (primary, standby) = pair();
    let old = primary.with(|etcd| etcd.revision());
    standby.with(|etcd| etcd.put("/a", "changed by others")).unwrap();
    mirror(&primary, &standby, "/c", "3");
    let view = View::new(scope());
    let auditor =
        Auditor::new(primary.clone(), standby.clone(), view, "m", AuditSettings::default());
    let report = Box::pin(auditor.at_revision(old, &Progress::default())).await;
    assert_eq!(report.verdict(), CheckVerdict::InSync, "{report:?}");
    let never = PrimaryRevision::new(1_000);
    let report = Box::pin(auditor.at_revision(never, &Progress::default())).await;
    assert_eq!(report.verdict(), CheckVerdict::Inconclusive);
}

#[tokio::test(start_paused = true)]
async fn a_plan_names_every_key_and_why_it_differs() {
    let (primary, standby) = pair();
    standby.with(|etcd| etcd.delete("/a")).unwrap();
    standby.with(|etcd| etcd.put("/b", "changed by others")).unwrap();
    let view = View::new(scope());
    let auditor =
        Auditor::new(primary.clone(), standby.clone(), view, "m", AuditSettings::default());
    let plan = Box::pin(auditor.repair_plan(RepairKinds::default())).await.unwrap();
    let named: Vec<_> =
        plan.keys.iter().map(|key| (key.key.as_str(), key.class.as_str())).collect();
    assert_eq!(named, [("/a", "foreign-write"), ("/b", "foreign-write")]);
    assert_eq!((plan.counts.missed, plan.counts.different), (1, 1));
    assert!(plan.next_steps[0].ends_with(&plan.digest), "{:?}", plan.next_steps);
}
