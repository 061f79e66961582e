//! No loop without progress or a pause that grows.

use std::time::Duration;

use etcd_mvcc::FailureClass;

use crate::world::{Broken, Faults, World};

/// Requests of one kind in a second, when nothing succeeds.
const RATE_MAX: usize = 40;

const CLASSES: [FailureClass; 10] = [
    FailureClass::Retry,
    FailureClass::Reauthenticate,
    FailureClass::Resync,
    FailureClass::TooLarge,
    FailureClass::Fatal,
    FailureClass::Blocked,
    FailureClass::NoSpace,
    FailureClass::Corrupt,
    FailureClass::NotEtcd,
    FailureClass::OtherCluster,
];

/// Runs a mirror for which this does not work, on a machine that takes no time, and says which
/// requests it makes too often.
fn too_often(what: &str, mut world: World, broken: Broken) -> Vec<String> {
    world.broken = broken;
    world.pace = 3;
    let end = world.runners[0].now() + Duration::from_secs(90);
    while world.runners[0].now() < end {
        if world.rng.below(1_000) == 0 {
            world.primary_write();
        }
        world.step_runners();
    }
    let begun = world.runners[0].begun();
    let often = begun.into_iter().filter(|(_, count)| *count > RATE_MAX * 30);
    often.map(|(kind, count)| format!("{what}: {} {kind} a second", count / 30)).collect()
}

fn new_world() -> World {
    World::new(1, Faults::NONE)
}

fn following() -> World {
    let mut world = World::new(1, Faults::NONE);
    (0..200).for_each(|_| world.step());
    world.settle();
    world
}

#[test]
fn whatever_fails_again_and_again_is_tried_ever_more_seldom() {
    let mut often = Vec::new();
    for class in CLASSES {
        let some = Some(class);
        let none = Broken::default();
        let cases = [
            ("standings", Broken { standing: some, ..none }),
            ("reads", Broken { reads: some, ..none }),
            ("watches", Broken { watches: some, ..none }),
            ("standby watches", Broken { standby_watches: some, ..none }),
            ("commits", Broken { commits: some, ..none }),
        ];
        for (name, broken) in cases {
            often.extend(too_often(&format!("{name} fail ({class:?})"), new_world(), broken));
            let what = format!("{name} fail ({class:?}) while it follows");
            often.extend(too_often(&what, following(), broken));
        }
    }
    let refused = Broken { refused: true, ..Broken::default() };
    often.extend(too_often("guards fail", new_world(), refused));
    often.extend(too_often("guards fail while it follows", following(), refused));
    assert!(often.is_empty(), "{}", often.join("\n"));
}
