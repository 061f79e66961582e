//! The world: a primary that lives, a standby that is written, mirrors that come and go.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::judge::Looks;
use crate::kubernetes::Objects;
use crate::operator::{Operator, Tampered};
use etcd_mvcc::{
    Batch, ClusterId, Commit, Committed, Failure, FailureClass, Group, Head, Key, KeyRange, Op,
    PrimaryRevision, Revision, StandbyRevision, Txn, Value,
};
use etcd_sim::{ModelEtcd, Mutation, Rng};
use keyspace_filter::{Preset, Scope, ScopeSpec};
use mirror_engine::planner::{Effect, Input, OrdersRead, Peer, Planner, Standing};
use mirror_engine::{
    Checkpoint, Coalesce, DeleteFuse, Epoch, Heal, JudgeValue, OwnKeys, Settings, State, Status,
    TxnLimits,
};

pub(crate) const PREFIX: &[u8] = b"/d/";
const REQUEST_BYTES: usize = 3_000;

/// One mirror process.
pub(crate) struct Runner {
    pub(crate) planner: Planner,
    now: Duration,
    /// Effects that have been begun and not been answered.
    pending: Vec<Effect>,
    watch: Option<(KeyRange, PrimaryRevision)>,
    standby_watch: Option<(KeyRange, StandbyRevision)>,
    /// What the primary's head was when it was last asked for; the answer is on its way.
    asked: Option<(Duration, Head<PrimaryRevision>)>,
    looks: Looks,
}

impl Runner {
    fn new(
        scope: &Scope,
        owner: String,
        coalesce: Coalesce,
        heals: bool,
        judge_value: Option<JudgeValue>,
    ) -> Self {
        let heal = Heal { deletions: heals, changes: heals, limit: 3 };
        let settings = Settings {
            name: "m".into(),
            owner,
            coalesce,
            txn: TxnLimits { ops: 4, bytes: 400, request_bytes: REQUEST_BYTES },
            walk: etcd_mvcc::WalkLimits { page_bytes: 200, page_keys: 3 },
            backlog_bytes: 600,
            catch_up_revisions: 30,
            fuse: DeleteFuse { keys: 1_000, percent: 100 },
            heal,
            judge_value,
            ..Settings::default()
        };
        Self {
            planner: Planner::new(scope.clone(), settings),
            now: Duration::ZERO,
            pending: Vec::new(),
            watch: None,
            standby_watch: None,
            asked: None,
            looks: Looks::default(),
        }
    }

    fn handle(&mut self, input: Input) {
        self.planner.handle(self.now, input);
    }
}

/// How the world misbehaves, in chances of a thousand at each step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    /// The primary is written to: no fault, but what keeps a mirror busy.
    pub(crate) load: u16,
    pub(crate) read_fails: u16,
    pub(crate) reply_lost: u16,
    pub(crate) request_lost: u16,
    pub(crate) request_delayed: u16,
    pub(crate) watch_lost: u16,
    pub(crate) watch_repeats: u16,
    pub(crate) crash: u16,
    pub(crate) zombie: u16,
    pub(crate) compact_primary: u16,
    pub(crate) compact_standby: u16,
    pub(crate) foreign_write: u16,
    /// Somebody else alters, deletes or makes keys that the primary may have.
    pub(crate) tamper: u16,
    /// An operator orders a repair.
    pub(crate) repair: u16,
    /// The mirror puts back what others delete and change.
    pub(crate) heals: bool,
    /// An operator tells the mirror to stand still, or to go on.
    pub(crate) pause: u16,
}

impl Faults {
    pub(crate) const NONE: Self = Self {
        load: 200,
        read_fails: 0,
        reply_lost: 0,
        request_lost: 0,
        request_delayed: 0,
        watch_lost: 0,
        watch_repeats: 0,
        crash: 0,
        zombie: 0,
        compact_primary: 0,
        compact_standby: 0,
        foreign_write: 0,
        tamper: 0,
        repair: 0,
        heals: false,
        pause: 0,
    };

    pub(crate) const ALL: Self = Self {
        load: 200,
        read_fails: 15,
        reply_lost: 25,
        request_lost: 15,
        request_delayed: 25,
        watch_lost: 15,
        watch_repeats: 15,
        crash: 4,
        zombie: 4,
        compact_primary: 12,
        compact_standby: 4,
        foreign_write: 30,
        tamper: 10,
        repair: 8,
        heals: true,
        pause: 2,
    };

    /// All of it, on a primary so quiet that repairs come to something.
    pub(crate) const REPAIRS: Self = Self {
        load: 15,
        read_fails: 3,
        reply_lost: 25,
        request_lost: 10,
        request_delayed: 25,
        watch_lost: 2,
        watch_repeats: 5,
        crash: 3,
        zombie: 3,
        compact_primary: 4,
        compact_standby: 3,
        foreign_write: 3,
        tamper: 20,
        repair: 8,
        heals: false,
        pause: 2,
    };
}

pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) primary: ModelEtcd<PrimaryRevision>,
    pub(crate) standby: ModelEtcd<StandbyRevision>,
    pub(crate) scope: Scope,
    pub(crate) own: OwnKeys,
    pub(crate) runners: Vec<Runner>,
    /// Transactions that were sent, not answered, and may still land.
    delayed: VecDeque<(Txn, u64)>,
    processes: u64,
    pub(crate) faults: Faults,
    coalesce: Coalesce,
    /// Keys that only others ever wrote on the standby, in scope and out of it.
    pub(crate) foreign: BTreeMap<Key, StandbyRevision>,
    pub(crate) tampered: Tampered,
    /// What the primary holds are Kubernetes objects, and the judge looks at their owners.
    pub(crate) objects: Option<Objects>,
    pub(crate) operator: Operator,
    /// What the standby can take, for the processes that are started from now on.
    pub(crate) judge: Option<JudgeValue>,
    last_whole: Option<PrimaryRevision>,
    /// Whether what happens is written down.
    pub(crate) tracing: bool,
    pub(crate) trace: Vec<String>,
    /// The stored checkpoint, decoded.
    decoded: RefCell<Option<(Checkpoint, StandbyRevision)>>,
}

impl World {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        let spec = ScopeSpec {
            preset: Preset::None,
            prefixes: vec!["/d/".into()],
            exclude_prefixes: vec!["/d/out/".into()],
            ..ScopeSpec::default()
        };
        Self::of(seed, faults, spec, None)
    }

    pub(crate) fn of(seed: u64, faults: Faults, spec: ScopeSpec, objects: Option<Objects>) -> Self {
        let mut rng = Rng::new(seed);
        let coalesce =
            [Coalesce::Lagging, Coalesce::Always, Coalesce::Never][rng.below(3) as usize];
        let mut world = Self {
            primary: ModelEtcd::new(ClusterId::new(1)).with_request_bytes_max(1 << 20),
            standby: ModelEtcd::new(ClusterId::new(2)).with_request_bytes_max(REQUEST_BYTES),
            rng,
            scope: Scope::compile(spec).unwrap(),
            own: OwnKeys::new("m"),
            runners: Vec::new(),
            delayed: VecDeque::new(),
            processes: 0,
            faults,
            coalesce,
            foreign: BTreeMap::new(),
            tampered: Tampered::default(),
            objects,
            operator: Operator::default(),
            judge: None,
            last_whole: None,
            tracing: false,
            trace: Vec::new(),
            decoded: RefCell::default(),
        };
        for _ in 0..world.rng.below(30) {
            world.primary_write();
        }
        for _ in 0..world.rng.below(4) {
            world.foreign_write();
        }
        world.start_process();
        world
    }

    pub(crate) fn start_process(&mut self) {
        self.processes += 1;
        let owner = format!("process-{}", self.processes);
        self.note(|| format!("start {owner}"));
        self.runners.push(Runner::new(
            &self.scope,
            owner,
            self.coalesce,
            self.faults.heals,
            self.judge.clone(),
        ));
    }

    /// What the keys in scope begin with.
    pub(crate) fn prefix(&self) -> &'static [u8] {
        if self.objects.is_some() { b"/registry/" } else { PREFIX }
    }

    pub(crate) fn primary_write(&mut self) {
        if self.objects.is_some() {
            return self.write_object();
        }
        let wide = self.rng.chance(30);
        let count = if wide { 40 } else { 1 + self.rng.below(3) };
        let mut keys = BTreeMap::new();
        for _ in 0..count {
            let name = self.rng.below(if wide { 60 } else { 20 });
            let place = ["/d/", "/d/", "/d/", "/d/out/", "/e/"][self.rng.below(5) as usize];
            keys.insert(format!("{place}{name:02}"), self.rng.below(3) == 0);
        }
        let large = self.rng.chance(10);
        let mutations: Vec<_> = keys
            .into_iter()
            .map(|(key, delete)| match delete {
                true => Mutation::delete(Key::from(key)),
                false => {
                    let n = self.rng.below(1_000_000);
                    let len = if large { 1_200 } else { 90 };
                    let value = if wide { format!("{n:090}") } else { format!("{n:0len$}") };
                    Mutation::put(Key::from(key), Value::from(value.as_str()))
                }
            })
            .collect();
        for mutation in &mutations {
            if let Mutation::Put { key, .. } = mutation {
                let place = self.placed(key);
                self.tampered.primary_wrote(&place);
            }
        }
        self.primary.write(&mutations).unwrap();
    }

    /// Somebody else writes keys on the standby that the primary never has.
    fn foreign_write(&mut self) {
        let mut places = match &self.objects {
            Some(_) => vec!["/registry/configmaps/theirs/z", "/registry/pods/theirs/z", "/f/"],
            None => vec!["/d/z", "/d/out/", "/f/"],
        };
        places.extend(self.own_places());
        let place = places[self.rng.below(places.len() as u64) as usize];
        let key = Key::from(format!("{place}{}", self.rng.below(4)));
        if self.rng.below(4) == 0 {
            self.standby.delete(key.clone()).unwrap();
            self.foreign.remove(&key);
        } else {
            let revision = self.standby.put(key.clone(), "theirs").unwrap();
            self.foreign.insert(key, revision);
        }
    }

    /// Lets one thing happen.
    pub(crate) fn step(&mut self) {
        let faults = self.faults;
        if self.rng.chance(faults.load) {
            self.primary_write();
        } else if self.rng.chance(faults.foreign_write) {
            self.foreign_write();
        }
        if self.rng.chance(faults.tamper) {
            self.tamper();
        }
        if self.rng.chance(faults.repair) {
            self.order_some_repair();
        }
        if self.rng.chance(faults.pause) {
            self.pause_or_resume();
        }
        if self.rng.chance(faults.compact_primary) {
            let revision = self.primary.revision();
            let back = self.rng.below(3) as i64;
            let at = PrimaryRevision::new((revision.get() - back).max(1));
            let _ = self.primary.compact(at);
            self.note(|| format!("primary compacted at {at}"));
        }
        if self.rng.chance(faults.compact_standby) {
            let at = self.standby.revision();
            let _ = self.standby.compact(at);
            self.note(|| format!("standby compacted at {at}"));
        }
        if !self.delayed.is_empty() && self.rng.chance(100) {
            let at = self.rng.below(self.delayed.len() as u64) as usize;
            let (txn, epoch) = self.delayed.remove(at).unwrap();
            let _ = self.land(&txn, epoch, "late");
        }
        if self.rng.chance(faults.crash) {
            let at = self.rng.below(self.runners.len() as u64) as usize;
            let runner = self.runners.remove(at);
            self.abandon(&runner.pending, runner.planner.status().epoch);
            self.note(|| "crash".into());
        }
        if self.runners.is_empty() || self.rng.chance(faults.zombie) {
            // The other one goes on, and does not know that it has been replaced.
            self.start_process();
            if self.runners.len() > 3 {
                self.runners.remove(0);
            }
        }
        let at = self.rng.below(self.runners.len() as u64) as usize;
        let mut runner = self.runners.remove(at);
        self.step_runner(&mut runner);
        self.runners.insert(at, runner);
    }

    /// A transaction that was on its way may land later, or never.
    fn abandon(&mut self, pending: &[Effect], epoch: u64) {
        for effect in pending {
            if let Effect::Commit(txn) = effect
                && self.rng.below(2) == 0
            {
                let epoch = self.epoch_of(txn, epoch);
                self.delayed.push_back((txn.clone(), epoch));
            }
        }
    }

    /// The epoch that a transaction is sent under: the one that it claims, else the one held.
    fn epoch_of(&self, txn: &Txn, held: u64) -> u64 {
        let claim = txn.own.iter().find_map(|op| match op {
            Op::Put { key, value } if *key == self.own.epoch => Some(value),
            _ => None,
        });
        claim.map_or(held, |value| Epoch::decode(value).unwrap().number)
    }

    fn step_runner(&mut self, runner: &mut Runner) {
        runner.now += Duration::from_millis(self.rng.below(400));
        while let Some(effect) = runner.planner.poll_effect() {
            match effect {
                Effect::Forget => {
                    let pending = std::mem::take(&mut runner.pending);
                    self.abandon(&pending, runner.planner.status().epoch);
                    runner.watch = None;
                    runner.standby_watch = None;
                }
                Effect::Watch { range, from } | Effect::Rewatch { range, from } => {
                    runner.watch = Some((range, from));
                }
                Effect::WatchStandby { range, from } | Effect::RewatchStandby { range, from } => {
                    runner.standby_watch = Some((range, from));
                }
                effect => runner.pending.push(effect),
            }
        }
        match self.rng.below(12) {
            0 => runner.handle(Input::Tick),
            // As it is with a real one, much may happen before the answer is there.
            1 => match runner.asked.take() {
                None => runner.asked = Some((runner.now, self.primary.head())),
                Some((asked_at, head)) => {
                    runner.handle(Input::PrimaryHead { asked_at, head: Ok(head) });
                }
            },
            2 => {
                let get = |key: &Key| self.standby.get(key.as_bytes()).cloned();
                let (epoch, control) = (get(&self.own.epoch), get(&self.own.control));
                let read = OrdersRead { head: self.standby.head(), epoch, control };
                runner.handle(Input::Orders { asked_at: runner.now, answer: Ok(read) });
            }
            3 | 4 => self.step_watch(runner),
            5 => self.step_standby_watch(runner),
            _ if !runner.pending.is_empty() => {
                let at = self.rng.below(runner.pending.len() as u64) as usize;
                let effect = runner.pending.remove(at);
                self.answer(runner, effect);
            }
            _ => {}
        }
    }

    fn step_watch(&mut self, runner: &mut Runner) {
        let Some((range, from)) = runner.watch.clone() else { return };
        if !runner.planner.wants_changes() {
            return;
        }
        if self.rng.chance(self.faults.watch_lost) {
            runner.watch = None;
            let failure = Failure::new(FailureClass::Retry, "the watch was lost");
            return runner.handle(Input::WatchEnded(failure));
        }
        match self.primary.first_events_since(&range, from, 1 + self.rng.below(4) as usize) {
            Ok(mut groups) => {
                if self.rng.chance(self.faults.watch_repeats) && from.get() > 3 {
                    let back = PrimaryRevision::new(from.get() - 2);
                    let count = groups.len() + 2;
                    if let Ok(again) = self.primary.first_events_since(&range, back, count) {
                        groups = again;
                    }
                }
                let Some(position) = groups.last().map(|group: &Group<_>| group.revision) else {
                    return;
                };
                runner.watch = Some((range, position.next().max(from)));
                runner.handle(Input::Changed(Batch { groups, position }));
            }
            Err(failure) => {
                runner.watch = None;
                runner.handle(Input::WatchEnded(failure));
            }
        }
    }

    fn step_standby_watch(&mut self, runner: &mut Runner) {
        let Some((range, from)) = runner.standby_watch.clone() else { return };
        match self.standby.first_events_since(&range, from, 1 + self.rng.below(6) as usize) {
            Ok(groups) => {
                let Some(position) = groups.last().map(|group: &Group<_>| group.revision) else {
                    return;
                };
                runner.standby_watch = Some((range, position.next()));
                runner.handle(Input::StandbyChanged(Batch { groups, position }));
            }
            Err(failure) => {
                runner.standby_watch = None;
                runner.handle(Input::StandbyWatchEnded(failure));
            }
        }
    }

    fn answer(&mut self, runner: &mut Runner, effect: Effect) {
        let fails = self.rng.chance(self.faults.read_fails);
        let failed = || Failure::new(FailureClass::Retry, "no answer");
        let input = match effect {
            Effect::ReadStanding if fails => Input::StandingFailed(Peer::Primary, failed()),
            Effect::ReadStanding => {
                runner.looks.started(self.checkpoint().map(|(checkpoint, _)| checkpoint));
                let get = |key: &Key| self.standby.get(key.as_bytes()).cloned();
                Input::Standing(Box::new(Standing {
                    primary: self.primary.position(),
                    standby: self.standby.head(),
                    epoch: get(&self.own.epoch),
                    checkpoint: get(&self.own.checkpoint),
                    control: get(&self.own.control),
                    repair: get(&self.own.repair),
                    history: get(&self.own.history),
                    same: None,
                }))
            }
            Effect::ReadWitnesses { .. } if fails => Input::Witnesses(Err(failed())),
            Effect::ReadWitnesses { keys, at } => {
                Input::Witnesses(self.primary.read_keys(&keys, at))
            }
            Effect::ReadLedger(request) => Input::LedgerPage(self.standby.read_page(&request)),
            Effect::ReadPrimary(_) if fails => Input::PrimaryPage(Err(failed())),
            Effect::ReadPrimary(request) => Input::PrimaryPage(self.primary.read_page(&request)),
            Effect::ReadStandby(_) if fails => Input::StandbyPage(Err(failed())),
            Effect::ReadStandby(request) => {
                let page = self.standby.read_page(&request);
                runner.looks.looked(&request, &page);
                Input::StandbyPage(page)
            }
            Effect::FetchPrimary { keys, at } => Input::Fetched(self.primary.read_keys(&keys, at)),
            Effect::Commit(txn) => return self.answer_commit(runner, txn),
            Effect::Wait(pause) => {
                runner.now += pause;
                Input::Waited
            }
            Effect::End(ended) => panic!("the planner ended: {ended:?}"),
            Effect::Preflight => Input::Preflighted(Ok(mirror_engine::Preflighted::Clear)),
            Effect::Watch { .. }
            | Effect::Rewatch { .. }
            | Effect::WatchStandby { .. }
            | Effect::RewatchStandby { .. }
            | Effect::Forget => return,
        };
        runner.handle(input);
    }

    fn answer_commit(&mut self, runner: &mut Runner, txn: Txn) {
        let epoch = self.epoch_of(&txn, runner.planner.status().epoch);
        let faults = self.faults;
        let work = self.work(&runner.looks, &txn);
        self.judge_sent(work, &runner.looks, &txn);
        if self.rng.chance(faults.request_lost) {
            return runner.handle(Input::CommitFailed(Failure::unknown("lost on the way")));
        }
        if self.rng.chance(faults.request_delayed) {
            self.delayed.push_back((txn, epoch));
            return runner.handle(Input::CommitFailed(Failure::unknown("no answer in time")));
        }
        let landed = self.land(&txn, epoch, "");
        if self.rng.chance(faults.reply_lost) {
            return runner.handle(Input::CommitFailed(Failure::unknown("the answer was lost")));
        }
        runner.looks.answered(&self.own, work, &txn, &landed);
        runner.handle(match landed {
            Ok(Commit::Done(committed)) => Input::Committed(committed),
            Ok(Commit::Refused) => Input::Refused,
            Err(failure) => Input::CommitFailed(failure),
        });
    }

    /// The standby applies a transaction; then the judge looks.
    fn land(&mut self, txn: &Txn, epoch: u64, how: &str) -> Result<Commit, Failure> {
        let newest = self.stored_epoch();
        let before = self.standby.revision();
        let found = self.found(txn);
        let landed = self.standby.commit(txn);
        if let Ok(Commit::Done(committed)) = &landed {
            Self::invariant_expectations_are_met(txn, &committed.skipped, &found);
            if self.tracing {
                let keys: Vec<_> =
                    txn.writes.iter().map(|write| write.op.key().to_string()).collect();
                let checkpoint = self.checkpoint();
                self.trace.push(format!(
                    "epoch {epoch} {how} made {}: {} {:?}",
                    committed.revision,
                    keys.join(" "),
                    checkpoint.as_ref().map(|(c, _)| (c.revision, &c.phase, &c.accounted))
                ));
            }
            if committed.revision > before {
                invariant_only_the_newest_epoch_writes(epoch, newest);
            }
            self.judge(txn, committed);
        }
        landed
    }

    fn judge(&mut self, txn: &Txn, committed: &Committed) {
        invariant_only_keys_in_scope_are_written(&self.scope, txn);
        let happened = |(index, _): &(usize, _)| !committed.skipped.contains(index);
        let writes: Vec<_> =
            txn.writes.iter().enumerate().filter(happened).map(|(_, write)| &write.op).collect();
        self.judge_repair(txn, &writes);
        self.invariant_a_resync_deletes_no_strangers(txn, &writes);
        for op in &writes {
            self.tampered.mirror_wrote(op.key());
        }
        self.invariant_others_keys_are_untouched();
        self.invariant_owners_go_first(txn, &writes);
        if txn.own.iter().any(|op| *op.key() == self.own.checkpoint) {
            self.invariant_a_whole_checkpoint_is_a_pair();
        }
    }

    fn stored_epoch(&self) -> u64 {
        let entry = self.standby.get(self.own.epoch.as_bytes());
        entry.map_or(0, |entry| Epoch::decode(&entry.value).unwrap().number)
    }

    pub(crate) fn checkpoint(&self) -> Option<(Checkpoint, StandbyRevision)> {
        let entry = self.standby.get(self.own.checkpoint.as_bytes())?;
        let mut decoded = self.decoded.borrow_mut();
        if decoded.as_ref().is_none_or(|(_, at)| *at != entry.modified) {
            *decoded = Some((Checkpoint::decode(&entry.value).unwrap(), entry.modified));
        }
        decoded.clone()
    }

    /// Writes down what happens, for whoever looks for the cause of a failure.
    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if self.tracing {
            self.trace.push(line());
        }
    }

    /// I1, I2, I3, I4: what a whole checkpoint says is so, and it never goes back.
    fn invariant_a_whole_checkpoint_is_a_pair(&mut self) {
        let Some((checkpoint, written_at)) = self.checkpoint() else { return };
        if !checkpoint.is_whole() {
            return;
        }
        let primary = self.mirrored(self.primary_in_scope(checkpoint.revision));
        let standby = self.mirrored(self.standby_in_scope(written_at));
        if standby != primary {
            for key in standby.keys().filter(|key| !primary.contains_key(*key)) {
                let entry =
                    self.standby.get(key.as_bytes()).map(|entry| (entry.created, entry.modified));
                eprintln!("{key} is surplus: {entry:?}, {:?}", checkpoint.accounted);
            }
        }
        assert_eq!(standby, primary, "at the pair ({}, {written_at})", checkpoint.revision);
        self.invariant_newer_values_replace_strangers(&checkpoint, written_at);
        if let Some(last) = self.last_whole {
            assert!(checkpoint.revision >= last, "from {last} back to {}", checkpoint.revision);
        }
        self.last_whole = Some(checkpoint.revision);
    }

    /// What the mirror answers for, of what lies in scope.
    fn mirrored(&self, mut entries: BTreeMap<Key, Value>) -> BTreeMap<Key, Value> {
        entries.retain(|key, _| {
            let held_back = self.objects.is_some() && self.is_held_back(key);
            !held_back && !self.foreign.contains_key(key) && !self.tampered.holds(key)
        });
        entries
    }

    /// I7: of what others made, only a repair that names surplus deletes anything.
    fn invariant_a_resync_deletes_no_strangers(&self, txn: &Txn, writes: &[&Op]) {
        let copies = self.checkpoint().is_some_and(|(checkpoint, _)| {
            matches!(checkpoint.phase, mirror_engine::Phase::Copying(_))
        });
        let records = txn.own.iter().any(|op| *op.key() == self.own.checkpoint);
        for op in writes.iter().filter(|_| copies && records) {
            let deletes = matches!(op, Op::Delete { .. });
            assert!(!(deletes && self.tampered.is_strange(op.key())), "{} is another's", op.key());
        }
    }

    /// I6, I7: what others wrote is as they wrote it.
    fn invariant_others_keys_are_untouched(&self) {
        for (key, revision) in &self.foreign {
            let entry = self.standby.get(key.as_bytes());
            assert_eq!(entry.map(|entry| entry.modified), Some(*revision), "{key} is another's");
        }
    }

    /// Lets the mirrors run, without load or faults, until one says what is wanted.
    pub(crate) fn run_until(&mut self, wanted: impl Fn(&Status) -> bool) -> Status {
        for _ in 0..20_000 {
            let mut runner = self.runners.remove(0);
            self.step_runner(&mut runner);
            let status = runner.planner.status();
            self.runners.push(runner);
            if wanted(&status) {
                return status;
            }
        }
        panic!("it did not come to that: {:?}", self.runners[0].planner.status());
    }

    /// Lets a mirror do one thing, and nothing else happen.
    pub(crate) fn step_runners(&mut self) {
        let mut runner = self.runners.remove(0);
        self.step_runner(&mut runner);
        self.runners.push(runner);
    }

    /// The next revision that the first mirror's watch delivers.
    pub(crate) fn watched(&self) -> Option<PrimaryRevision> {
        self.runners[0].watch.as_ref().map(|(_, next)| *next)
    }

    /// What the first mirror says of itself.
    pub(crate) fn status(&self) -> Status {
        self.runners[0].planner.status()
    }

    /// The operator accepts a plan.
    pub(crate) fn accept(&mut self, digest: &str) {
        let accept = Some(digest.to_owned());
        self.change_control(|control| control.accept = accept);
    }

    /// What was promised of the old history does not bind the new one.
    pub(crate) fn forget_history(&mut self) {
        self.last_whole = None;
    }

    /// Ends the faults and the load, and waits until a mirror follows at the primary's head.
    pub(crate) fn settle(&mut self) {
        self.faults = Faults { heals: self.faults.heals, ..Faults::NONE };
        self.resume();
        self.start_process();
        let last = self.runners.pop().unwrap();
        self.runners = vec![last];
        for _ in 0..60_000 {
            let mut runner = self.runners.pop().unwrap();
            self.step_runner(&mut runner);
            let status = runner.planner.status();
            let level = status.checkpoint == self.primary.revision() && !status.torn;
            self.runners.push(runner);
            let answered = self.operator.is_answered();
            if status.state == State::Following && level && answered {
                return;
            }
        }
        panic!("it did not settle: {:?}", self.runners[0].planner.status());
    }
}

/// I5.
fn invariant_only_the_newest_epoch_writes(epoch: u64, newest: u64) {
    assert!(epoch >= newest, "epoch {epoch} wrote after epoch {newest} was claimed");
}

/// I6.
fn invariant_only_keys_in_scope_are_written(scope: &Scope, txn: &Txn) {
    for write in &txn.writes {
        let key = write.op.key();
        assert!(scope.admits_standby(key.as_bytes()), "{key} is out of scope");
    }
    for op in &txn.own {
        assert!(op.key().as_bytes().starts_with(b"/etcd-sync/m/"), "{} is not ours", op.key());
    }
}
