//! A primary that goes back in time, by a restore or a revert, and its healthy twin that does not.

use etcd_mvcc::{PrimaryRevision, Revision};
use etcd_sim::Rng;
use mirror_engine::{GuardKind, State, Status};

use crate::seeds::Suite;
use crate::world::{Faults, World};

/// A world whose mirror follows at the primary's head.
fn settled(seed: u64) -> World {
    let mut world = World::new(seed, Faults::NONE);
    (0..150).for_each(|_| world.step());
    world.settle();
    world
}

fn guard(status: &Status) -> Option<GuardKind> {
    status.blocked.as_ref().map(|blocked| blocked.guard)
}

/// The history that the mirror is said not to share, or not provably so.
fn is_history(guard: Option<GuardKind>) -> bool {
    matches!(guard, Some(GuardKind::HistoryChanged | GuardKind::HistoryUnproven))
}

fn digest(status: &Status) -> Option<String> {
    let release = &status.blocked.as_ref()?.release;
    Some(release.split("--accept ").nth(1)?.get(..32)?.to_owned())
}

fn compact_at_head(world: &mut World) {
    let at = world.primary.revision();
    let _ = world.primary.compact(at);
}

/// What was mirrored since a copy of the primary was made is lost on the primary, and newer keys
/// come in its place. Returns false if the log goes on from the copy: nothing shows that from the
/// moment on at which it is past the checkpoint, and the checkpoint is compacted.
fn go_back(world: &mut World, rng: &mut Rng) -> bool {
    let snapshot = world.primary.snapshot();
    let before = world.primary_in_scope(world.primary.revision());
    while world.primary_in_scope(world.primary.revision()) == before {
        (0..1 + rng.below(40)).for_each(|_| world.primary_write());
    }
    world.settle();
    let head = world.primary.revision();
    let down = rng.below(2) == 0;
    // A watch that is opened meanwhile would fail: no server restarts that fast.
    while !down && (world.runners[0].commits() > 0 || world.watched().is_none()) {
        world.step_runners();
    }
    if down {
        world.runners.clear();
    }
    let way = rng.below(4);
    match way {
        0 => world.primary.restore(snapshot),
        1 => world.primary.restore_bumped(snapshot, 1_000_000_000),
        2 => world.primary.restore_bumped(snapshot, 1 + rng.below(200) as i64),
        _ => world.primary.revert(snapshot),
    }
    world.runners.iter_mut().for_each(crate::world::Runner::lose_primary);
    world.protect();
    if rng.below(3) > 0 {
        (0..rng.below(30)).for_each(|_| world.primary_write());
    }
    if rng.below(2) == 0 {
        // It overtakes the checkpoint.
        while world.primary.revision() <= head {
            world.primary_write();
        }
    }
    (0..rng.below(3)).for_each(|_| world.primary.elect());
    let shows = way < 3;
    if rng.below(2) == 0 && shows {
        compact_at_head(world);
    }
    if down {
        world.start_process();
    }
    shows
}

#[test]
fn a_primary_that_went_back_costs_the_standby_nothing_until_that_is_accepted() {
    Suite { name: "restores", worlds: 1_000, steps: 0 }.each(|seed| {
        let mut world = settled(seed);
        let mut rng = Rng::new(!seed);
        let mut shows = go_back(&mut world, &mut rng);
        let mut accepts = None;
        for step in 0..3_000 {
            if rng.below(20) == 0 && step < 2_000 {
                world.primary_write();
            }
            // A process that has seen it once remembers.
            shows |= is_history(guard(&world.status()));
            if rng.below(400) == 0 && shows {
                compact_at_head(&mut world);
            }
            world.step_runners();
            accepts = digest(&world.status()).or(accepts);
        }
        let status = world.status();
        assert_eq!(status.state, State::Blocked, "{status:?}");
        assert!(is_history(guard(&status)), "{status:?}");
        if seed % 4 == 0 {
            // What was newer here is given up.
            world.protected.clear();
            world.forget_history();
            let mut accepted = None;
            for _ in 0..20_000 {
                let named = digest(&world.status());
                if named.is_some() && named != accepted {
                    world.accept(named.as_deref().unwrap_or_default());
                    accepted = named;
                }
                world.step_runners();
                if world.status().state == State::Following {
                    return world.settle();
                }
            }
            panic!("it was accepted, and does not go on: {:?}", world.status());
        }
    });
}

#[test]
fn a_healthy_pair_goes_on_by_itself_after_any_outage() {
    Suite { name: "outages", worlds: 500, steps: 0 }.each(|seed| {
        let mut world = settled(seed);
        let mut rng = Rng::new(!seed);
        let tampers = rng.below(3) == 0;
        for _ in 0..3 {
            // Nobody mirrors, and the primary goes on for longer than it keeps.
            world.runners.clear();
            for _ in 0..rng.below(300) {
                world.primary_write();
                match rng.below(30) {
                    0 => world.primary.elect(),
                    1 => compact_at_head(&mut world),
                    2 if tampers => world.tamper(),
                    _ => {}
                }
            }
            if rng.below(3) > 0 {
                compact_at_head(&mut world);
            }
            world.start_process();
            for _ in 0..rng.below(1_500) {
                world.step();
                if rng.below(100) == 0 {
                    world.primary.elect();
                }
                if rng.below(60) == 0 {
                    let back = PrimaryRevision::new(world.primary.revision().get() - 2);
                    let _ = world.primary.compact(back);
                }
                let status = world.status();
                assert!(!is_history(guard(&status)), "{status:?}");
            }
        }
        world.settle();
    });
}
