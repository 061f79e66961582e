//! A value that leaves no room for the checkpoint travels without one.

use etcd_mvcc::Key;

use crate::world::{Faults, World};

/// A world whose mirror has written a value alone, and has written no checkpoint since.
fn written_alone(seed: u64) -> (World, &'static str) {
    let mut world = World::new(seed, Faults::NONE);
    (0..100).for_each(|_| world.step());
    world.settle();
    let key = "/d/large";
    world.primary.put(key, "x".repeat(2_400).as_str()).unwrap();
    while world.standby.get(key.as_bytes()).is_none() {
        world.step_runners();
    }
    let written = world.standby.revision();
    assert!(world.checkpoint().unwrap().1 < written, "it went with the checkpoint");
    (world, key)
}

/// The process ends, and all that others could learn the write's author from is compacted.
fn forget(world: &mut World) {
    let at = world.standby.revision();
    world.standby.compact(at).unwrap();
    world.start_process();
    world.runners.remove(0);
}

#[test]
fn it_is_known_as_ours_after_a_crash_and_a_compaction() {
    for seed in 1..40 {
        let (mut world, key) = written_alone(seed);
        forget(&mut world);
        // A diff meets a key that the primary does not have: whose is it?
        world.primary.delete(key).unwrap();
        let at = world.primary.revision();
        world.primary.compact(at).unwrap();
        world.settle();
        assert!(world.standby.get(key.as_bytes()).is_none(), "seed {seed}: {key} stays for ever");
    }
}

#[test]
fn what_a_stranger_makes_of_it_is_the_strangers() {
    for seed in 1..40 {
        let (mut world, key) = written_alone(seed);
        world.primary.delete(key).unwrap();
        world.tamper_delete(&Key::from(key));
        world.tamper_put(&Key::from(key), "theirs");
        forget(&mut world);
        let at = world.primary.revision();
        world.primary.compact(at).unwrap();
        world.settle();
        assert!(world.standby.get(key.as_bytes()).is_some(), "seed {seed}: {key} was another's");
    }
}
