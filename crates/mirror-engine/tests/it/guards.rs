//! Guards: the primary's history changes, and the mirror stops before it does harm.

use etcd_mvcc::{KeyRange, Revision};
use mirror_engine::{GuardKind, State};

use crate::world::{Faults, PREFIX, World};

/// A world whose mirror follows at the primary's head.
fn settled(seed: u64) -> World {
    let mut world = World::new(seed, Faults::NONE);
    (0..200).for_each(|_| world.step());
    world.settle();
    world
}

fn mirrored_keys(world: &World) -> usize {
    world.standby.truth_at(&KeyRange::prefix(PREFIX), world.standby.revision()).len()
}

#[test]
fn a_primary_restored_from_an_older_copy_blocks_even_when_it_has_overtaken_the_checkpoint() {
    for seed in 1..40 {
        for overtakes in [false, true] {
            let mut world = settled(seed);
            let snapshot = world.primary.snapshot();
            (0..5).for_each(|_| world.primary_write());
            world.settle();
            let (checkpoint, _) = world.checkpoint().unwrap();
            let keys = mirrored_keys(&world);

            world.primary.restore(snapshot);
            while overtakes && world.primary.revision() <= checkpoint.revision.next() {
                world.primary_write();
            }
            world.start_process();
            world.runners.remove(0);
            let blocked = world.run_until(|status| status.state == State::Blocked);
            let blocked = blocked.blocked.unwrap();
            assert_eq!(blocked.guard, GuardKind::HistoryChanged, "seed {seed}: {blocked:?}");
            assert_eq!(mirrored_keys(&world), keys, "seed {seed}: a key is gone");
        }
    }
}

#[test]
fn a_primary_that_goes_back_while_it_is_followed_blocks() {
    for seed in 1..40 {
        let mut world = settled(seed);
        let snapshot = world.primary.snapshot();
        (0..5).for_each(|_| world.primary_write());
        world.settle();
        world.primary.restore(snapshot);
        let blocked = world.run_until(|status| status.state == State::Blocked).blocked.unwrap();
        assert_eq!(blocked.guard, GuardKind::HistoryChanged, "seed {seed}: {blocked:?}");
    }
}

/// What the watch delivers may overtake the answer to how far the primary is.
#[test]
fn a_head_that_was_asked_for_before_the_checkpoint_moved_on_is_no_primary_that_went_back() {
    for seed in 1..200 {
        let mut world = World::new(seed, Faults::NONE);
        for step in 0..600 {
            world.step();
            let reason = world.status().reason;
            assert_ne!(reason, "the primary is not where it was", "seed {seed}, step {step}");
        }
    }
}

#[test]
fn the_digest_that_the_status_names_releases_the_mirror_and_no_other_does() {
    for seed in 1..20 {
        let mut world = settled(seed);
        world.primary.wipe();
        (0..3).for_each(|_| world.primary_write());
        world.start_process();
        world.runners.remove(0);
        let named = |release: &str| {
            let digest = release.split("--accept ").nth(1)?.get(..32)?;
            Some(digest.to_owned())
        };
        let status = world.run_until(|status| {
            status.blocked.as_ref().is_some_and(|blocked| named(&blocked.release).is_some())
        });
        let digest = named(&status.blocked.unwrap().release).unwrap();

        world.accept("00000000000000000000000000000000");
        let refused = world.run_until(|status| {
            status
                .blocked
                .as_ref()
                .is_some_and(|blocked| blocked.release.contains("is not this one"))
        });
        assert_eq!(refused.state, State::Blocked);

        world.forget_history();
        world.accept(&digest);
        world.settle();
    }
}

#[test]
fn a_value_that_the_standby_can_not_read_is_not_written_and_blocks_until_it_is_replaced() {
    for seed in 1..20 {
        let mut world = settled(seed);
        world.judge = Some(std::sync::Arc::new(|key, value| match value.expose() {
            b"sealed" => Err(format!("{key} is sealed")),
            _ => Ok(()),
        }));
        world.start_process();
        world.runners.remove(0);
        world.run_until(|status| status.state == State::Following);
        let key = "/d/sealed";
        world.primary.put(key, "sealed").unwrap();
        world.primary.put("/d/after", "open").unwrap();
        let status = world.run_until(|status| status.state == State::Blocked);
        let blocked = status.blocked.unwrap();
        assert_eq!(blocked.guard, GuardKind::EncryptionKey, "seed {seed}: {blocked:?}");
        // It looks again and again, and does not seem to follow in between.
        for _ in 0..2_000 {
            world.step_runners();
            let state = world.status().state;
            assert!(state == State::Blocked, "seed {seed}: {state}");
        }
        assert!(world.standby.get(key.as_bytes()).is_none(), "seed {seed}");
        // What is in its way is gone before the key comes.
        match seed % 2 {
            0 => assert!(world.primary.delete(key).is_ok()),
            _ => assert!(world.primary.put(key, "open").is_ok()),
        }
        world.run_until(|status| status.state == State::Following && status.blocked.is_none());
        let revision = world.primary.revision();
        world.run_until(|status| status.checkpoint == revision);
    }
}
