//! What will have no owner on the standby is kept off it, and comes when its owner does.

use std::io::Write as _;
use std::time::Duration;

use end_to_end::{Mirror, dump, eventually};

use crate::objects::{CONFIG_MAP, JOB, Object, PART, SECRET};
use crate::world::{World, held_back};

/// The keys that the mirror says it holds back, once there are so many.
async fn held(world: &World, mirror: &mut Mirror, count: usize) -> Vec<String> {
    let status = mirror
        .wait_for(&format!("{count} held back"), |status| status["held_back"]["count"] == count)
        .await;
    let standby = dump(&world.standby.client().await).await;
    held_back(&status, &standby).into_iter().collect()
}

/// The records of what is held back, as whoever takes over finds them.
async fn records(world: &World) -> Vec<String> {
    let standby = dump(&world.standby.client().await).await;
    let keys = standby.keys.keys().map(|key| key.escape_ascii().to_string());
    keys.filter_map(|key| Some(key.split_once("/withheld/")?.1.to_owned())).collect()
}

#[tokio::test]
async fn orphans_are_held_back_until_their_owner_comes() {
    let world = World::start().await;
    let owner = Object::new(PART, "team", "owner");
    let orphan = Object::new(CONFIG_MAP, "team", "orphan").owned_by(&owner);
    let below = Object::new(SECRET, "team", "below").owned_by(&orphan);
    let other = Object::new(CONFIG_MAP, "team", "other");
    world.put(&[orphan.clone(), below.clone(), other.clone()]).await;
    let begin = world.standby_head().await;
    let mut mirror = world.mirror().start();
    mirror.wait_for_state("following").await;
    let both = [orphan.key(), below.key()];
    assert_eq!(held(&world, &mut mirror, 2).await, both);
    assert_eq!(records(&world).await, both);
    assert!(world.standby_has(&other).await);
    assert!(!world.standby_has(&orphan).await && !world.standby_has(&below).await);
    // The records outlive the process, and what is new and owned by the same is held back as well.
    mirror.kill();
    let late = Object::new(CONFIG_MAP, "team", "late").owned_by(&owner);
    world.put(std::slice::from_ref(&late)).await;
    mirror.restart();
    assert_eq!(held(&world, &mut mirror, 3).await, [late.key(), orphan.key(), below.key()]);
    // It comes, and with it all that waited for it.
    world.put(&[owner]).await;
    eventually("the whole line is there", Duration::from_secs(30), async || {
        let mut there = true;
        for object in [&orphan, &below, &late] {
            there &= world.standby_has(object).await;
        }
        there.then_some(())
    })
    .await;
    assert_eq!(held(&world, &mut mirror, 0).await, Vec::<String>::new());
    assert_eq!(world.assert_equal(&mut mirror).await, 0);
    eventually("the records go", Duration::from_secs(30), async || {
        records(&world).await.is_empty().then_some(())
    })
    .await;
    world.verdict(begin).await.assert_in_order(3);
    mirror.assert_no_errors(&[]);
}

#[tokio::test]
async fn what_an_orphan_owns_is_one_too_whatever_becomes_of_it() {
    let world = World::start().await;
    let owner = Object::new(PART, "team", "owner");
    let orphan = Object::new(CONFIG_MAP, "team", "orphan").owned_by(&owner);
    let below = Object::new(SECRET, "team", "below").owned_by(&orphan);
    world.put(&[orphan.clone(), below.clone()]).await;
    let mut mirror = world.mirror().start();
    mirror.wait_for_state("following").await;
    assert_eq!(held(&world, &mut mirror, 2).await, [orphan.key(), below.key()]);
    // It is written anew, and is there no more than before.
    world.put(&[orphan.clone().of_bytes(10)]).await;
    world.assert_equal(&mut mirror).await;
    assert_eq!(held(&world, &mut mirror, 2).await, [orphan.key(), below.key()]);
    // What comes below the last of the line waits as well, also for who takes over meanwhile.
    let last = Object::new(PART, "team", "last").owned_by(&below);
    world.put(std::slice::from_ref(&last)).await;
    world.assert_equal(&mut mirror).await;
    assert_eq!(held(&world, &mut mirror, 3).await, [orphan.key(), last.key(), below.key()]);
    eventually("its record is written", Duration::from_secs(30), async || {
        (records(&world).await.len() == 3).then_some(())
    })
    .await;
    mirror.kill();
    mirror.restart();
    let very_last = Object::new(CONFIG_MAP, "team", "very-last").owned_by(&last);
    world.put(&[very_last]).await;
    world.assert_equal(&mut mirror).await;
    held(&world, &mut mirror, 4).await;
    let begin = world.standby_head().await;
    // Once the first of the line lets go, all of it comes, whatever its keys.
    world.put(&[Object { owners: Vec::new(), ..orphan }]).await;
    held(&world, &mut mirror, 0).await;
    assert_eq!(world.assert_equal(&mut mirror).await, 0);
    world.verdict(begin).await.assert_in_order(3);
    mirror.assert_no_errors(&[]);
}

#[tokio::test]
async fn who_is_owned_by_what_stays_local_is_held_back_until_it_lets_go() {
    let world = World::start().await;
    // One stays local by the preset, the other by a rule.
    let by_preset = Object::new(JOB, "team", "job");
    let by_rule = Object::new(PART, "team", "local");
    let of_job = Object::new(CONFIG_MAP, "team", "of-job").owned_by(&by_preset);
    let of_part = Object::new(CONFIG_MAP, "team", "of-part").owned_by(&by_rule);
    let shared = Object::new(PART, "team", "shared");
    let of_both = Object::new(CONFIG_MAP, "team", "of-both").owned_by(&by_preset).owned_by(&shared);
    let objects = [by_preset, by_rule, of_job.clone(), of_part.clone(), of_both.clone(), shared];
    world.put(&objects).await;
    let mut rules = tempfile::NamedTempFile::new().unwrap();
    writeln!(rules, "- {{action: local, resource: parts.example.io/parts, name: local}}").unwrap();
    let mirror = world.mirror().connection_flag("--rules").connection_flag(rules.path());
    let mut mirror = mirror.start();
    mirror.wait_for_state("following").await;
    assert_eq!(held(&world, &mut mirror, 2).await, [of_job.key(), of_part.key()]);
    // One owner is enough.
    assert!(world.standby_has(&of_both).await);
    let free = [of_job, of_part].map(|object| Object { owners: Vec::new(), ..object });
    world.put(&free).await;
    for object in &free {
        eventually("it is there", Duration::from_secs(30), async || {
            world.standby_has(object).await.then_some(())
        })
        .await;
    }
    assert_eq!(held(&world, &mut mirror, 0).await, Vec::<String>::new());
    mirror.assert_no_errors(&[]);
}
