//! What a mirror's records tell a check: pairs, and why a key differs.

use consistency_checker::{
    Check, CheckSettings, Class, Classifier, Finding, Landmarks, NotPinned, Outcome, PinSource,
    Pins, Progress, Verdict, View,
};
use etcd_mvcc::{ClusterId, PrimaryRevision, Revision, StandbyRevision};
use etcd_sim::{Mutation, SimPrimary, SimStandby};
use keyspace_filter::{Preset, Scope, ScopeHash, ScopeSpec};
use mirror_audit::{MirrorEvidence, MirrorPins, pair_at};
use mirror_engine::{Accounted, Checkpoint, CopyPosition, HeldBack, OwnKeys, Phase};

const NAME: &str = "m";

fn scope() -> Scope {
    Scope::compile(ScopeSpec { preset: Preset::None, ..ScopeSpec::default() }).unwrap()
}

fn identity() -> (ClusterId, ScopeHash) {
    (ClusterId::new(1), scope().hash())
}

/// An object as an API server stores it: more of its metadata in `more`.
fn object(uid: &str, more: &str) -> String {
    format!(r#"{{"apiVersion":"example.io/v1","kind":"Thing","metadata":{{"uid":"{uid}"{more}}}}}"#)
}

fn owned_by(uid: &str) -> String {
    let owner = format!(
        r#"{{"apiVersion":"example.io/v1","kind":"Gateway","name":"owner","uid":"{uid}"}}"#
    );
    format!(r#","ownerReferences":[{owner}]"#)
}

const DELETING: &str = r#","deletionTimestamp":"2026-01-01T00:00:00Z""#;

/// A primary, and a standby whose history a test writes by hand.
struct World {
    primary: SimPrimary,
    standby: SimStandby,
    own: OwnKeys,
}

impl World {
    fn new() -> Self {
        Self {
            primary: SimPrimary::new(ClusterId::new(1)),
            standby: SimStandby::new(ClusterId::new(2)),
            own: OwnKeys::new(NAME),
        }
    }

    fn record(&self, phase: Phase) -> Checkpoint {
        Checkpoint {
            cluster: ClusterId::new(1),
            revision: self.primary.with(|etcd| etcd.revision()),
            scope: scope().hash().to_string(),
            phase,
            accounted: Accounted {
                through: self.standby.with(|etcd| etcd.revision()),
                ..Accounted::default()
            },
            ..Checkpoint::default()
        }
    }

    fn on_primary(&self, key: &str, value: &str) {
        self.primary.with(|etcd| etcd.put(key, value)).unwrap();
    }

    /// The mirror writes these, with a checkpoint of the primary's head.
    fn mirror_writes(&self, phase: Phase, mut writes: Vec<Mutation>) {
        let record = self.record(phase);
        writes.push(Mutation::put(self.own.checkpoint.clone(), record.encode()));
        self.standby.with(|etcd| etcd.write(&writes)).unwrap();
    }

    /// The mirror brings a key over as it ought to.
    fn mirrored(&self, key: &str, value: &str) {
        self.on_primary(key, value);
        self.mirror_writes(Phase::Whole, vec![Mutation::put(key, value)]);
    }

    /// Somebody else writes on the standby.
    fn others_put(&self, key: &str, value: &str) {
        self.standby.with(|etcd| etcd.put(key, value)).unwrap();
    }

    fn others_delete(&self, key: &str) {
        self.standby.with(|etcd| etcd.delete(key)).unwrap();
    }

    /// The mirror stands still and writes its checkpoint once more, so that there is a pair.
    fn settle(&self) {
        self.mirror_writes(Phase::Whole, Vec::new());
    }

    async fn pin(&self) -> Result<Pins, NotPinned> {
        MirrorPins::new(&self.standby, NAME, identity(), || None).pin().await
    }

    async fn check(&self, pins: &impl PinSource, is_pair: bool) -> Outcome {
        let view = View::new(scope());
        let check = Check {
            primary: &self.primary,
            standby: &self.standby,
            view: &view,
            pins,
            settings: &CheckSettings::default(),
            landmarks: &Landmarks::default(),
        };
        let mut outcome = check.run(&Progress::default()).await;
        let at = outcome.spans[0].pins.standby;
        let evidence = MirrorEvidence::new(&self.standby, NAME, at, is_pair).await.unwrap();
        let scope = scope();
        let classifier = Classifier {
            standby: &self.standby,
            evidence: &evidence,
            grammar: scope.grammar(),
            readable: &outcome.envelopes,
        };
        for finding in &mut outcome.findings {
            classifier.classify(finding).await;
        }
        outcome
    }

    /// The classes found at the newest pair, by key.
    async fn classes(&self) -> Vec<(String, Class)> {
        let pins = MirrorPins::new(&self.standby, NAME, identity(), || None);
        named(&self.check(&pins, true).await.findings)
    }

    /// The classes found between both heads, by key.
    async fn classes_at_heads(&self) -> Vec<(String, Class)> {
        named(&self.check(&Heads(self), false).await.findings)
    }
}

fn named(findings: &[Finding]) -> Vec<(String, Class)> {
    findings.iter().map(|finding| (finding.key.to_string(), finding.class)).collect()
}

struct Heads<'a>(&'a World);

impl PinSource for Heads<'_> {
    async fn pin(&self) -> Result<Pins, NotPinned> {
        Ok(Pins {
            primary: self.0.primary.with(|etcd| etcd.revision()),
            standby: self.0.standby.with(|etcd| etcd.revision()),
        })
    }
}

const KEY: &str = "/registry/example.io/things/ns/a";
const OWNER: &str = "/registry/example.io/gateways/ns/owner";

fn all_of(class: Class) -> Vec<(String, Class)> {
    vec![(KEY.to_owned(), class)]
}

#[tokio::test(start_paused = true)]
async fn only_a_whole_checkpoint_of_the_same_scope_is_a_pair() {
    let world = World::new();
    let undecided = async || match world.pin().await {
        Err(NotPinned::Undecided(reason)) => reason,
        other => panic!("{other:?}"),
    };
    assert!(undecided().await.contains("no mirror of this name"));
    world.mirror_writes(Phase::Copying(CopyPosition::default()), Vec::new());
    assert!(undecided().await.contains("copying"));
    world.mirror_writes(Phase::Torn { revision: PrimaryRevision::new(9) }, Vec::new());
    assert!(undecided().await.contains("torn"));
    world.mirrored(KEY, "1");
    let pins = world.pin().await.unwrap();
    assert_eq!(pins.primary, world.primary.with(|etcd| etcd.revision()));
    assert_eq!(pins.standby, world.standby.with(|etcd| etcd.revision()));
    let another = Scope::compile(ScopeSpec::default()).unwrap().hash();
    for (identity, word) in
        [((ClusterId::new(1), another), "scope"), ((ClusterId::new(7), identity().1), "cluster")]
    {
        let other = MirrorPins::new(&world.standby, NAME, identity, || None).pin().await;
        assert!(matches!(other, Err(NotPinned::Undecided(reason)) if reason.contains(word)));
    }
    let refusal = || Some("blocked: why".to_owned());
    let blocked = MirrorPins::new(&world.standby, NAME, identity(), refusal);
    assert_eq!(blocked.pin().await, Err(NotPinned::Undecided("blocked: why".to_owned())));
}

#[tokio::test]
async fn a_pair_of_the_past_is_found_as_long_as_the_history_goes_back() {
    let world = World::new();
    let mut pairs = Vec::new();
    for number in 0..40 {
        world.mirrored(KEY, &number.to_string());
        pairs.push(world.pin().await.unwrap());
        // Revisions that are no checkpoint's, on both sides.
        world.on_primary("/elsewhere", "1");
        world.others_put("/elsewhere", "1");
    }
    let newest = world.standby.with(|etcd| etcd.revision());
    for pins in &pairs {
        assert_eq!(pair_at(&world.standby, NAME, pins.primary, newest).await, Ok(*pins));
    }
    let between = pair_at(&world.standby, NAME, pairs[7].primary.next(), newest).await;
    let next = format!("next one is of {}", pairs[8].primary);
    assert!(
        matches!(&between, Err(NotPinned::Undecided(why)) if why.contains(&next)),
        "{between:?}"
    );
    let beyond = pair_at(&world.standby, NAME, PrimaryRevision::new(1_000), newest).await;
    assert!(matches!(beyond, Err(NotPinned::Undecided(why)) if why.contains("not reached")));
    world.standby.with(|etcd| etcd.compact(pairs[20].standby)).unwrap();
    assert_eq!(pair_at(&world.standby, NAME, pairs[30].primary, newest).await, Ok(pairs[30]));
    assert!(pair_at(&world.standby, NAME, pairs[10].primary, newest).await.is_err());
}

#[tokio::test]
async fn what_the_mirror_brings_over_is_in_sync() {
    let world = World::new();
    world.mirrored(KEY, "1");
    world.mirrored(OWNER, "2");
    let pins = MirrorPins::new(&world.standby, NAME, identity(), || None);
    let outcome = world.check(&pins, true).await;
    assert_eq!(outcome.verdict, Verdict::InSync);
    assert_eq!(outcome.verified(), Some(world.primary.with(|etcd| etcd.revision())));
}

#[tokio::test]
async fn writes_deletions_and_keys_of_others_are_foreign() {
    let world = World::new();
    world.mirrored(KEY, "1");
    world.others_put(KEY, "2");
    world.settle();
    assert_eq!(world.classes().await, all_of(Class::ForeignWrite));

    let world = World::new();
    world.mirrored(KEY, "1");
    world.mirrored("/registry/b", "1");
    world.others_delete(KEY);
    world.mirrored("/registry/c", "1");
    assert_eq!(world.classes().await, all_of(Class::ForeignWrite));

    let world = World::new();
    world.mirrored("/registry/b", "1");
    world.others_put(KEY, "1");
    world.settle();
    assert_eq!(world.classes().await, all_of(Class::ForeignWrite));
}

#[tokio::test]
async fn what_the_ledger_names_is_foreign_however_old_it_is() {
    let world = World::new();
    world.others_put(KEY, "1");
    let entry = Mutation::put(world.own.ledger(&KEY.into()), "1");
    world.mirror_writes(Phase::Whole, vec![entry]);
    world.settle();
    let head = world.standby.with(|etcd| etcd.revision());
    world.standby.with(|etcd| etcd.compact(head)).unwrap();
    assert_eq!(world.classes().await, all_of(Class::ForeignWrite));
}

#[tokio::test]
async fn an_object_whose_owner_is_absent_was_collected_most_likely() {
    for (owner_there, class) in [(false, Class::Collected), (true, Class::ForeignWrite)] {
        let world = World::new();
        if owner_there {
            world.mirrored(OWNER, &object("owner-uid", ""));
        }
        world.mirrored(KEY, &object("u", &owned_by("owner-uid")));
        world.others_delete(KEY);
        world.settle();
        assert_eq!(world.classes().await, all_of(class));
    }
}

#[tokio::test]
async fn an_owner_of_another_life_is_no_owner() {
    let world = World::new();
    world.mirrored(OWNER, &object("another-uid", ""));
    world.mirrored(KEY, &object("u", &owned_by("owner-uid")));
    world.others_delete(KEY);
    world.settle();
    assert_eq!(world.classes().await, all_of(Class::Collected));
}

#[tokio::test]
async fn what_is_collected_while_a_copy_runs_is_not_the_engines_fault() {
    let world = World::new();
    let value = object("u", &owned_by("owner-uid"));
    world.on_primary(KEY, &value);
    let copying = Phase::Copying(CopyPosition::default());
    world.mirror_writes(copying, vec![Mutation::put(KEY, value.as_str())]);
    world.others_delete(KEY);
    world.settle();
    assert_eq!(world.classes().await, all_of(Class::Collected));
}

#[tokio::test]
async fn what_is_being_deleted_is_told_apart() {
    let world = World::new();
    world.mirrored(KEY, &object("u", DELETING));
    world.others_delete(KEY);
    world.settle();
    assert_eq!(world.classes().await, all_of(Class::Terminating));

    let world = World::new();
    world.mirrored(KEY, &object("u", ""));
    world.others_put(KEY, &object("u", DELETING));
    world.settle();
    assert_eq!(world.classes().await, all_of(Class::Terminating));
}

#[tokio::test]
async fn encrypted_values_are_told_apart_by_what_they_say_of_their_key() {
    let world = World::new();
    world.mirrored(KEY, "k8s:enc:aescbc:v1:key1:aaaa");
    world.others_put(KEY, "k8s:enc:aescbc:v1:key1:bbbb");
    world.settle();
    assert_eq!(world.classes().await, all_of(Class::Reencrypted));

    for (local, class) in [("key1", Class::UnreadableKey), ("key2", Class::ForeignWrite)] {
        let world = World::new();
        let value = format!("k8s:enc:aescbc:v1:{local}:cccc");
        world.mirrored("/registry/secrets/ns/local", &value);
        world.mirrored(KEY, "k8s:enc:aescbc:v1:key2:aaaa");
        world.others_delete(KEY);
        world.settle();
        assert_eq!(world.classes().await, all_of(class), "with a value under {local}");
    }
}

#[tokio::test]
async fn what_the_mirror_did_wrong_is_a_defect() {
    // Another value than the primary's.
    let world = World::new();
    world.on_primary(KEY, "1");
    world.mirror_writes(Phase::Whole, vec![Mutation::put(KEY, "2")]);
    assert_eq!(world.classes().await, all_of(Class::EngineDefect));
    // A checkpoint that moves past a change without bringing it.
    let world = World::new();
    world.mirrored("/registry/b", "1");
    world.on_primary(KEY, "1");
    world.settle();
    assert_eq!(world.classes().await, all_of(Class::EngineDefect));
    // An update that was not brought.
    let world = World::new();
    world.mirrored(KEY, "1");
    world.on_primary(KEY, "2");
    world.settle();
    assert_eq!(world.classes().await, all_of(Class::EngineDefect));
    // A deletion that the primary never made.
    let world = World::new();
    world.mirrored(KEY, "1");
    world.mirror_writes(Phase::Whole, vec![Mutation::delete(KEY)]);
    assert_eq!(world.classes().await, all_of(Class::EngineDefect));
    // A deletion that was not brought.
    let world = World::new();
    world.mirrored(KEY, "1");
    world.primary.with(|etcd| etcd.delete(KEY)).unwrap();
    world.settle();
    assert_eq!(world.classes().await, all_of(Class::EngineDefect));
}

#[tokio::test]
async fn without_a_pair_what_has_not_arrived_is_no_defect() {
    let world = World::new();
    world.mirrored("/registry/deleted", "1");
    world.mirrored("/registry/updated", "1");
    world.primary.with(|etcd| etcd.delete("/registry/deleted")).unwrap();
    world.on_primary("/registry/updated", "2");
    world.on_primary("/registry/new", "1");
    let expected = [
        ("/registry/deleted", Class::Stale),
        ("/registry/new", Class::NotMirroredYet),
        ("/registry/updated", Class::NotMirroredYet),
    ];
    let expected: Vec<_> = expected.map(|(key, class)| (key.to_owned(), class)).to_vec();
    assert_eq!(world.classes_at_heads().await, expected);
}

#[tokio::test]
async fn where_the_history_is_gone_nobody_is_blamed() {
    let world = World::new();
    world.mirrored(KEY, "1");
    world.others_delete(KEY);
    world.settle();
    let head = world.standby.with(|etcd| etcd.revision());
    world.standby.with(|etcd| etcd.compact(head)).unwrap();
    assert_eq!(world.classes().await, all_of(Class::Unattributed));

    let world = World::new();
    world.mirrored(KEY, "1");
    world.others_put(KEY, "2");
    world.settle();
    world.settle();
    let head = world.standby.with(|etcd| etcd.revision());
    world.standby.with(|etcd| etcd.compact(StandbyRevision::new(head.get()))).unwrap();
    assert_eq!(world.classes().await, all_of(Class::Unattributed));
}

const DEPLOYMENT: &str = "/registry/deployments/shop/web";

/// A Deployment, of which its controller reports `ready`.
fn deployment(generation: u32, ready: u32) -> String {
    format!(
        r#"{{"kind":"Deployment","metadata":{{"uid":"u","generation":{generation}}},"status":{{"readyReplicas":{ready}}}}}"#
    )
}

#[tokio::test]
async fn what_a_controller_of_the_standby_reports_is_rewritten_and_a_new_spec_is_not() {
    for (generation, class) in [(1, Class::Rewritten), (2, Class::ForeignWrite)] {
        let world = World::new();
        world.mirrored(DEPLOYMENT, &deployment(1, 3));
        world.others_put(DEPLOYMENT, &deployment(generation, 0));
        world.settle();
        assert_eq!(world.classes().await, [(DEPLOYMENT.to_owned(), class)]);
    }
}

#[tokio::test]
async fn what_was_rewritten_stays_so_when_the_standby_has_forgotten_by_whom() {
    for (generation, class) in [(1, Class::Rewritten), (2, Class::Unattributed)] {
        let world = World::new();
        world.mirrored(DEPLOYMENT, &deployment(1, 3));
        world.others_put(DEPLOYMENT, &deployment(generation, 0));
        world.settle();
        world.settle();
        let head = world.standby.with(|etcd| etcd.revision());
        world.standby.with(|etcd| etcd.compact(head)).unwrap();
        assert_eq!(world.classes().await, [(DEPLOYMENT.to_owned(), class)]);
    }
}

#[tokio::test]
async fn what_the_mirror_wrote_last_is_its_own_defect_whatever_the_kind() {
    let world = World::new();
    world.mirrored(DEPLOYMENT, &deployment(1, 3));
    world.mirror_writes(Phase::Whole, vec![Mutation::put(DEPLOYMENT, &*deployment(1, 0))]);
    assert_eq!(world.classes().await, [(DEPLOYMENT.to_owned(), Class::EngineDefect)]);
}

#[tokio::test]
async fn what_the_mirror_has_said_that_it_keeps_off_is_held_back() {
    for (why, word) in [
        (HeldBack::Claim, "claimed"),
        (HeldBack::Owners { uid: None, owners: [7].into() }, "owner"),
    ] {
        let world = World::new();
        world.on_primary(KEY, "1");
        let record = world.own.withheld(&KEY.into());
        world.mirror_writes(Phase::Whole, vec![Mutation::put(record, why.encode())]);
        let pins = MirrorPins::new(&world.standby, NAME, identity(), || None);
        let outcome = world.check(&pins, true).await;
        assert_eq!(named(&outcome.findings), all_of(Class::HeldBack));
        assert!(outcome.findings[0].note.contains(word), "{}", outcome.findings[0].note);
        // So is what the standby has there of its own.
        world.others_put(KEY, "2");
        assert_eq!(world.classes().await, all_of(Class::HeldBack));
    }
}
