//! Another cluster answers on some of the connections.

use etcd_mvcc::FailureClass;
use mirror_engine::{GuardKind, State};

use crate::seeds::Suite;
use crate::world::{Broken, Faults, World};

#[test]
fn what_another_cluster_answers_now_and_then_does_no_harm() {
    let suite = Suite { name: "foreign answers", worlds: 1_000, steps: 1_500 };
    suite.run(World::new, Faults { alien: 30, ..Faults::ALL });
}

#[test]
fn while_another_cluster_answers_nothing_is_written_and_then_it_goes_on() {
    Suite { name: "foreign cluster", worlds: 300, steps: 0 }.each(|seed| {
        let mut world = World::new(seed, Faults::NONE);
        (0..100).for_each(|_| world.step());
        world.settle();
        while world.runners[0].commits() > 0 {
            world.step_runners();
        }
        let other = Some(FailureClass::OtherCluster);
        world.broken = Broken {
            standing: other,
            reads: other,
            watches: other,
            standby_watches: other,
            commits: other,
            refused: false,
        };
        let (landed, revision) = (world.landed, world.standby.revision());
        for _ in 0..1_000 {
            if world.rng.below(50) == 0 {
                world.primary_write();
            }
            world.step_runners();
        }
        let status = world.status();
        let guard = status.blocked.as_ref().map(|blocked| blocked.guard);
        let named = [Some(GuardKind::ClusterChanged), Some(GuardKind::StandbyChanged)];
        assert!(status.state == State::Blocked && named.contains(&guard), "{status:?}");
        assert_eq!((world.landed, world.standby.revision()), (landed, revision));
        world.broken = Broken::default();
        world.settle();
    });
}
