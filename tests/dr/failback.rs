//! A failback, with the hands that it needs.

use std::time::Duration;

use end_to_end::process::Process;
use end_to_end::{Mirror, eventually};
use serde_json::Value;

use crate::hands::Hands;
use crate::pair::{Cluster, Pair, settings};
use crate::run::{Dr, PATIENCE};

pub(crate) const FAILBACK: [&str; 3] = ["failback", "--yes", "--attest=review-writes"];

/// A failback of one of the two clusters.
pub(crate) struct Failback {
    dr: Dr,
    hands: Hands,
    east_is_old: bool,
    /// The mirror that it has started.
    pub(crate) mirror: Option<Mirror>,
}

impl Failback {
    /// East is the old primary.
    pub(crate) fn of_east(dr: &Dr) -> Self {
        Self { dr: dr.clone(), hands: Hands::new(dr.journal()), east_is_old: true, mirror: None }
    }

    /// West is.
    pub(crate) fn of_west(dr: &Dr) -> Self {
        Self { east_is_old: false, ..Self::of_east(dr) }
    }

    const fn old<'p>(&self, pair: &'p mut Pair) -> &'p mut Cluster {
        if self.east_is_old { &mut pair.east } else { &mut pair.west }
    }

    /// Runs to the end. What the first check finds is this; then a person, who has reviewed them,
    /// lets the surplus keys go.
    pub(crate) async fn run(&mut self, pair: &mut Pair, found: &str) {
        self.until_checked(pair, found).await;
        self.let_surplus_go();
        let mut run = self.dr.start(&FAILBACK);
        let ended = self.by_hand(pair, &mut run).await;
        assert_eq!(ended, Some(0), "{}", run.tail(40));
        self.dr.assert_completed();
    }

    /// What the mirror has too many is reviewed, and goes.
    pub(crate) fn let_surplus_go(&self) {
        let mirror = self.mirror.as_ref().unwrap();
        let repair = ["repair", "-o", "json", "--kind", "surplus"];
        let plan: Value = serde_json::from_slice(&mirror.verb(&repair).stdout).unwrap();
        let digest = plan["digest"].as_str().unwrap();
        let order = ["--execute", "--wait", "60s", "--accept", digest];
        let done = mirror.verb(&[&repair[..], &order].concat());
        assert!(done.status.success(), "{done:?}");
    }

    /// Runs until the first check has found this.
    pub(crate) async fn until_checked(&mut self, pair: &mut Pair, found: &str) {
        // API servers and controller manager are files on nodes: a person restarts them.
        let told = self.stops(pair).await;
        assert!(told.contains("step restart-controllers: failed"), "{told}");
        self.old(pair).restart_controllers();
        let told = self.stops(pair).await;
        assert!(told.contains(found), "{told}");
    }

    /// Runs until a person is needed who can't be seen; returns what was told.
    async fn stops(&mut self, pair: &mut Pair) -> String {
        let mut run = self.dr.start(&FAILBACK);
        let ended = self.by_hand(pair, &mut run).await;
        assert_eq!(ended, Some(1), "{}", run.tail(40));
        run.tail(12)
    }

    async fn by_hand(&mut self, pair: &mut Pair, run: &mut Process) -> Option<i32> {
        loop {
            let step = tokio::select! {
                step = self.hands.next() => step,
                ended = eventually("it ends", PATIENCE, async || run.ended()) => {
                    return ended.code();
                }
            };
            self.lend(pair, &step).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Does what a step asks of a person.
    pub(crate) async fn lend(&mut self, pair: &mut Pair, step: &str) {
        match step {
            "serve-vip" => {
                let old = self.old(pair);
                old.stop_vip().await;
                old.serve_vip().await;
            }
            "lift-revision" => self.old(pair).etcd.lift_revision(2_000_000_000_000).await,
            "install-mirror" => {
                let (new, old) = if self.east_is_old {
                    (&pair.west, &pair.east)
                } else {
                    (&pair.east, &pair.west)
                };
                let between = Mirror::builder(&new.etcd.endpoints(), &old.etcd.endpoints());
                let mut started = settings(between).start();
                started.wait_for_state("following").await;
                old.show_mirror_pod();
                old.show_mirror_log(&started.process().output());
                self.mirror = Some(started);
            }
            _ => {}
        }
    }
}
