//! How the clusters are read: once, pinned, bounded; and what is said when they can't be.

use std::sync::atomic::{AtomicBool, Ordering};

use etcd_mvcc::{
    ClusterId, Entry, Failure, Head, Key, Page, PageRequest, Position, PrimaryRevision, ReadHead,
    ReadRange, Revision as _,
};
use etcd_sim::{Fault, SimPrimary, SimStandby};
use futures::executor::block_on;
use keyspace_filter::{Scope, ScopeSpec};
use mirror_preflight::{Gate, PreflightError, PreflightReport, PreflightSettings, preflight};

use crate::world::{World, object, sealed};

#[test]
fn however_much_is_found_only_some_is_shown_and_the_number_is_exact() {
    let mut world = World::new();
    world.settings.shown_max = 3;
    for n in 0..50 {
        let owner = format!("gone-{}", n % 7);
        let value = object(&format!("s{n}"), &[("Thing", "t", &owner)]);
        world.on_primary(&format!("/registry/configmaps/web/c{n:02}"), &value);
        let value = sealed("aescbc", &format!("key{n}"), "x");
        world.on_primary(&format!("/registry/secrets/web/s{n:02}"), &value);
    }
    for gate in [Gate::Owners, Gate::EncryptionKeys] {
        let gate = world.gate(gate);
        assert_eq!((gate.count, gate.shown.len()), (50, 3), "{gate:?}");
    }
}

#[test]
fn a_cluster_is_not_compared_with_itself() {
    let world = World::new();
    let same = SimStandby::new(ClusterId::new(1));
    let scope = Scope::compile(ScopeSpec::default()).unwrap();
    let settings = PreflightSettings::default();
    let outcome = block_on(preflight(&world.primary, &same, &scope, &settings));
    assert!(matches!(outcome, Err(PreflightError::SameCluster(_))), "{outcome:?}");
}

#[test]
fn a_side_that_does_not_answer_is_named() {
    let world = World::new();
    let scope = Scope::compile(ScopeSpec::default()).unwrap();
    let ask = || block_on(preflight(&world.primary, &world.standby, &scope, &world.settings));
    world.primary.inject(Fault::ReadFails);
    assert!(matches!(ask(), Err(PreflightError::Primary(_))));
    world.standby.set_away(true);
    assert!(matches!(ask(), Err(PreflightError::Standby(_))));
    world.standby.set_away(false);
    assert!(ask().is_ok());
}

/// A primary that something happens to before each page.
struct Restless<F> {
    inner: SimPrimary,
    before: F,
}

impl<F: Fn(&SimPrimary) + Send + Sync> ReadHead for Restless<F> {
    type Revision = PrimaryRevision;

    async fn head(&self) -> Result<Head<PrimaryRevision>, Failure> {
        self.inner.head().await
    }

    async fn position(&self) -> Result<Position<PrimaryRevision>, Failure> {
        self.inner.position().await
    }

    fn repin(&self) {
        self.inner.repin();
    }
}

impl<F: Fn(&SimPrimary) + Send + Sync> ReadRange for Restless<F> {
    type Revision = PrimaryRevision;

    async fn read_page(
        &self,
        request: PageRequest<PrimaryRevision>,
    ) -> Result<Page<PrimaryRevision>, Failure> {
        (self.before)(&self.inner);
        self.inner.read_page(request).await
    }

    async fn read_keys(
        &self,
        keys: &[Key],
        at: Option<PrimaryRevision>,
    ) -> Result<Vec<Option<Entry<PrimaryRevision>>>, Failure> {
        self.inner.read_keys(keys, at).await
    }
}

fn ask(
    world: &World,
    before: impl Fn(&SimPrimary) + Send + Sync,
) -> Result<PreflightReport, PreflightError> {
    let scope = Scope::compile(ScopeSpec::default()).unwrap();
    let primary = Restless { inner: world.primary.clone(), before };
    block_on(preflight(&primary, &world.standby, &scope, &world.settings))
}

fn write_and_compact(primary: &SimPrimary) {
    primary.with(|etcd| {
        let head = etcd.put("/registry/configmaps/web/late", object("l", &[]).as_str()).unwrap();
        etcd.compact(head).unwrap();
    });
}

#[test]
fn what_is_written_while_it_reads_is_not_seen() {
    let world = World::new();
    world.on_primary("/registry/configmaps/web/c", &object("c", &[]));
    let head = world.primary.with(|etcd| etcd.revision());
    let report = ask(&world, |primary| {
        primary
            .with(|etcd| etcd.put("/registry/configmaps/web/late", object("l", &[]).as_str()))
            .unwrap();
    });
    let report = report.unwrap();
    assert_eq!((report.keys, report.primary_revision), (1, head.get()));
}

#[test]
fn a_compaction_is_met_with_another_revision_however_often_it_comes() {
    let world = World::new();
    world.on_primary("/registry/configmaps/web/c", &object("c", &[]));
    let compacted = AtomicBool::new(false);
    let report = ask(&world, |primary| {
        if !compacted.swap(true, Ordering::Relaxed) {
            write_and_compact(primary);
        }
    });
    assert_eq!(report.unwrap().keys, 2);
    assert_eq!(ask(&world, write_and_compact).unwrap().keys, 2);
}
