//! A failback, with the hands that it needs.

use std::time::Duration;

use end_to_end::process::Process;
use end_to_end::{Mirror, eventually};

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

    /// Runs to the end, unattended.
    pub(crate) async fn run(&mut self, pair: &mut Pair) {
        let mut run = self.dr.start(&FAILBACK);
        let ended = self.by_hand(pair, &mut run).await;
        assert_eq!(ended, Some(0), "{}", run.tail(40));
        self.dr.assert_completed();
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
            // What a kubelet does once the manifests are back.
            "restart-controllers" => self.old(pair).restart_controllers(),
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
