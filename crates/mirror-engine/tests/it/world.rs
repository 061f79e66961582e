//! The world: a primary that lives, a standby that is written, mirrors that come and go.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::judge::Looks;
use crate::kubernetes::Objects;
use crate::operator::{Operator, Tampered};
use etcd_mvcc::{
    Batch, Change, ClusterId, Commit, Committed, Failure, FailureCause, FailureClass, Group, Head,
    Key, KeyRange, Op, Page, PrimaryRevision, Revision, StandbyRevision, Txn, Value,
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
    /// Where the watches began, until they have brought something.
    opened: (Option<PrimaryRevision>, Option<StandbyRevision>),
    /// The watches are open, and will never bring anything again.
    silent: bool,
    standby_silent: bool,
    /// What the primary's head was when it was asked for; the answers are on their way.
    asked: VecDeque<(Duration, Result<Head<PrimaryRevision>, Failure>)>,
    /// The same for the standby's orders.
    orders: VecDeque<(Duration, Result<OrdersRead, Failure>)>,
    looks: Looks,
    /// What was begun in the last half minute.
    begun: VecDeque<(Duration, &'static str)>,
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
            opened: (None, None),
            silent: false,
            standby_silent: false,
            asked: VecDeque::new(),
            orders: VecDeque::new(),
            begun: VecDeque::new(),
            looks: Looks::default(),
        }
    }

    fn handle(&mut self, input: Input) {
        self.planner.handle(self.now, input);
    }

    /// How long it has run.
    pub(crate) fn now(&self) -> Duration {
        self.now
    }

    /// The watch stays open and brings nothing any more: the primary's, or the standby's.
    pub(crate) fn silence(&mut self, peer: Peer) {
        match peer {
            Peer::Primary => self.silent = true,
            Peer::Standby => self.standby_silent = true,
        }
    }

    /// The connection to the primary is gone, with the watch and all that was on its way.
    pub(crate) fn lose_primary(&mut self) {
        self.asked.clear();
        if self.watch.take().is_some() {
            self.handle(Input::WatchEnded(Failure::new(FailureClass::Retry, "the server stopped")));
        }
    }

    /// Transactions that are on their way.
    pub(crate) fn commits(&self) -> usize {
        self.pending.iter().filter(|effect| matches!(effect, Effect::Commit(_))).count()
    }

    /// What was begun in the last half minute, by kind.
    pub(crate) fn begun(&self) -> BTreeMap<&'static str, usize> {
        let mut begun = BTreeMap::new();
        self.begun.iter().for_each(|(_, kind)| *begun.entry(*kind).or_default() += 1);
        begun
    }

    fn count(&mut self, effect: &Effect) {
        let kind = match effect {
            Effect::ReadStanding => "standing",
            Effect::ReadWitnesses { .. } => "witnesses",
            Effect::Preflight => "preflight",
            Effect::ReadLedger(_) => "ledger",
            Effect::ReadPrimary(_) => "primary pages",
            Effect::ReadStandby(_) => "standby pages",
            Effect::FetchPrimary { .. } => "fetches",
            Effect::Watch { .. } | Effect::Rewatch { .. } => "watches",
            Effect::WatchStandby { .. } | Effect::RewatchStandby { .. } => "standby watches",
            Effect::Commit(_) => "commits",
            Effect::Wait(_) | Effect::Forget | Effect::End(_) => return,
        };
        self.begun.push_back((self.now, kind));
        while self.begun.front().is_some_and(|(at, _)| *at + HALF_A_MINUTE < self.now) {
            self.begun.pop_front();
        }
    }
}

const HALF_A_MINUTE: Duration = Duration::from_secs(30);

/// A link on which an answer takes as long as its bytes need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    /// Bytes of keys and values.
    pub(crate) bytes_per_second: u64,
    /// A page that takes longer than this is not answered.
    pub(crate) deadline: Duration,
}

/// What does not work at all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Broken {
    pub(crate) standing: Option<FailureClass>,
    pub(crate) reads: Option<FailureClass>,
    pub(crate) watches: Option<FailureClass>,
    pub(crate) standby_watches: Option<FailureClass>,
    pub(crate) commits: Option<FailureClass>,
    /// Transactions are answered, and their guards never hold.
    pub(crate) refused: bool,
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
    /// A watch stays open and brings nothing any more.
    pub(crate) silent: u16,
    /// Another cluster answers.
    pub(crate) alien: u16,
    /// A member lags behind: it does not know a revision that was pinned, and its answers to polls
    /// come in another order than they were asked for.
    pub(crate) stale: u16,
    /// A watch that has nothing to bring says how far it is.
    pub(crate) progress: u16,
    /// A watch says that it is where it was long ago.
    pub(crate) spurious: u16,
    /// The members of the primary elect a leader.
    pub(crate) election: u16,
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
        silent: 0,
        alien: 0,
        stale: 0,
        progress: 0,
        spurious: 0,
        election: 0,
    };

    /// All that the network and the members of a cluster do to a connection.
    pub(crate) const STRANGE: Self = Self {
        silent: 4,
        alien: 4,
        stale: 15,
        progress: 100,
        spurious: 15,
        election: 5,
        ..Self::ALL
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
        ..Self::NONE
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
        ..Self::NONE
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
    /// The incarnation of the primary whose history is mirrored.
    mirrored_incarnation: u64,
    /// Both are old: what a watch that begins at the compacted revision has of deletions there is
    /// lost (etcd-io/etcd#19179).
    pub(crate) loses_deletes: bool,
    /// What all answers of both clusters come through.
    pub(crate) link: Option<Link>,
    pub(crate) broken: Broken,
    /// How long things take, in milliseconds at most.
    pub(crate) pace: u64,
    /// Transactions that wrote mirrored keys.
    pub(crate) landed: u64,
    /// Keys that only the standby still has as they are: nothing may touch them.
    pub(crate) protected: BTreeMap<Key, StandbyRevision>,
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
            mirrored_incarnation: 0,
            loses_deletes: false,
            link: None,
            broken: Broken::default(),
            pace: 400,
            landed: 0,
            protected: BTreeMap::new(),
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
        if self.rng.chance(faults.election) {
            self.primary.elect();
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
            if self.rng.below(4) == 0 {
                // Nor does the one that has replaced it.
                self.start_process();
            }
            while self.runners.len() > 3 {
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
        runner.now += Duration::from_millis(self.rng.below(self.pace));
        while let Some(effect) = runner.planner.poll_effect() {
            runner.count(&effect);
            match effect {
                Effect::Forget => {
                    let pending = std::mem::take(&mut runner.pending);
                    self.abandon(&pending, runner.planner.status().epoch);
                    runner.watch = None;
                    runner.standby_watch = None;
                    (runner.silent, runner.standby_silent) = (false, false);
                }
                Effect::Watch { range, from } | Effect::Rewatch { range, from } => {
                    runner.watch = Some((range, from));
                    (runner.silent, runner.opened.0) = (false, Some(from));
                }
                Effect::WatchStandby { range, from } | Effect::RewatchStandby { range, from } => {
                    runner.standby_watch = Some((range, from));
                    (runner.standby_silent, runner.opened.1) = (false, Some(from));
                }
                effect => runner.pending.push(effect),
            }
        }
        match self.rng.below(12) {
            0 => runner.handle(Input::Tick),
            // As it is with a real one, much may happen before the answer is there.
            1 => self.poll_primary(runner),
            2 => self.poll_standby(runner),
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
        let broken = self.broken.watches.or_else(|| self.meets_alien());
        if let Some(class) = broken {
            runner.watch = None;
            return runner.handle(Input::WatchEnded(Failure::new(class, "no watch")));
        }
        if self.rng.chance(self.faults.watch_lost) {
            runner.watch = None;
            let failure = Failure::new(FailureClass::Retry, "the watch was lost");
            return runner.handle(Input::WatchEnded(failure));
        }
        runner.silent |= self.rng.chance(self.faults.silent);
        if runner.silent {
            return;
        }
        if self.rng.chance(self.faults.spurious) && from.get() > 3 {
            let position = PrimaryRevision::new(from.get() - 1 - self.rng.below(3) as i64);
            return runner.handle(Input::Changed(Batch { groups: Vec::new(), position }));
        }
        match self.primary.first_events_since(&range, from, 1 + self.rng.below(4) as usize) {
            Ok(mut groups) => {
                if self.loses_deletes && runner.opened.0 == self.primary.compacted() {
                    lose_deletes(&mut groups, runner.opened.0);
                }
                runner.opened.0 = None;
                if self.rng.chance(self.faults.watch_repeats) && from.get() > 3 {
                    let back = PrimaryRevision::new(from.get() - 2);
                    let count = groups.len() + 2;
                    if let Ok(again) = self.primary.first_events_since(&range, back, count) {
                        groups = again;
                    }
                }
                let Some(position) = groups.last().map(|group: &Group<_>| group.revision) else {
                    let position = self.primary.revision();
                    if position >= from && self.rng.chance(self.faults.progress) {
                        runner.watch = Some((range, position.next()));
                        runner.handle(Input::Changed(Batch { groups, position }));
                    }
                    return;
                };
                if self.rng.chance(self.faults.spurious) {
                    // An event that was delivered before, after one that was not.
                    let again = groups[self.rng.below(groups.len() as u64) as usize].clone();
                    groups.push(again);
                }
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
        let broken = self.broken.standby_watches.or_else(|| self.meets_alien());
        if let Some(class) = broken {
            runner.standby_watch = None;
            return runner.handle(Input::StandbyWatchEnded(Failure::new(class, "no watch")));
        }
        runner.standby_silent |= self.rng.chance(self.faults.silent);
        if runner.standby_silent {
            return;
        }
        match self.standby.first_events_since(&range, from, 1 + self.rng.below(6) as usize) {
            Ok(mut groups) => {
                if self.loses_deletes && runner.opened.1 == self.standby.compacted() {
                    lose_deletes(&mut groups, runner.opened.1);
                }
                runner.opened.1 = None;
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
        let alien = self.meets_alien();
        let standing = self.broken.standing.or(alien);
        let lags = self.rng.chance(self.faults.stale);
        let class = match self.rng.chance(self.faults.read_fails) {
            true => Some(FailureClass::Retry),
            false => self.broken.reads.or(alien),
        };
        let (fails, class) = (class.is_some(), class.unwrap_or(FailureClass::Retry));
        let failed = || Failure::new(class, "no answer");
        let future = || Failure::new(FailureClass::Retry, "required revision is a future revision");
        let input = match effect {
            Effect::ReadStanding if standing.is_some() => {
                let peer = [Peer::Primary, Peer::Standby][self.rng.below(2) as usize];
                let class = standing.unwrap_or(FailureClass::Retry);
                Input::StandingFailed(peer, Failure::new(class, "no answer"))
            }
            Effect::ReadStanding if fails => Input::StandingFailed(Peer::Primary, failed()),
            Effect::ReadStanding => {
                runner.looks.started(self.checkpoint().map(|(checkpoint, _)| checkpoint));
                let get = |key: &Key| self.standby.get(key.as_bytes()).cloned();
                let mut standing = Standing {
                    primary: self.primary.position(),
                    standby: self.standby.head(),
                    epoch: get(&self.own.epoch),
                    checkpoint: get(&self.own.checkpoint),
                    control: get(&self.own.control),
                    repair: get(&self.own.repair),
                    history: get(&self.own.history),
                    same: None,
                };
                let alien = self.meets_alien().is_some();
                // Before the first copy nothing tells the right one from another.
                if alien && standing.checkpoint.is_some() {
                    self.make_alien(&mut standing);
                }
                Input::Standing(Box::new(standing))
            }
            Effect::ReadWitnesses { at: Some(_), .. } if lags => Input::Witnesses(Err(future())),
            Effect::ReadWitnesses { .. } if fails => Input::Witnesses(Err(failed())),
            Effect::ReadWitnesses { keys, at } => {
                Input::Witnesses(self.primary.read_keys(&keys, at))
            }
            Effect::ReadPrimary(request) if lags && request.at.is_some() => {
                Input::PrimaryPage(Err(future()))
            }
            Effect::ReadStandby(request) if lags && request.at.is_some() => {
                Input::StandbyPage(Err(future()))
            }
            Effect::FetchPrimary { at: Some(_), .. } if lags => Input::Fetched(Err(future())),
            Effect::ReadLedger(_) if fails => Input::LedgerPage(Err(failed())),
            Effect::FetchPrimary { .. } if fails => Input::Fetched(Err(failed())),
            Effect::ReadLedger(request) => Input::LedgerPage(self.standby.read_page(&request)),
            Effect::ReadPrimary(_) if fails => Input::PrimaryPage(Err(failed())),
            Effect::ReadPrimary(request) => {
                let page = self.primary.read_page(&request);
                Input::PrimaryPage(self.carry(runner, page))
            }
            Effect::ReadStandby(_) if fails => Input::StandbyPage(Err(failed())),
            Effect::ReadStandby(request) => {
                let page = self.standby.read_page(&request);
                let page = self.carry(runner, page);
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
        if let Some(class) = self.broken.commits.or_else(|| self.meets_alien()) {
            return runner.handle(Input::CommitFailed(Failure::new(class, "refused")));
        }
        if self.broken.refused {
            return runner.handle(Input::Refused);
        }
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

    /// Asks the primary for its head, or hears an answer: often one that is late, and from a member
    /// that lags perhaps not the next one.
    fn poll_primary(&mut self, runner: &mut Runner) {
        let behind = self.rng.chance(self.faults.stale * 10);
        if runner.asked.is_empty() || (behind && runner.asked.len() < 4) {
            let head = match self.broken.reads.or_else(|| self.meets_alien()) {
                Some(class) => Err(Failure::new(class, "no answer")),
                None => Ok(self.primary.head()),
            };
            return runner.asked.push_back((runner.now, head));
        }
        if self.faults.election > 0 && self.rng.below(4) == 0 {
            return runner.handle(Input::PrimaryPosition(self.primary.position()));
        }
        let last = runner.asked.len() - 1;
        let answer = runner.asked.remove(if behind { last } else { 0 });
        let Some((asked_at, head)) = answer else { return };
        runner.handle(Input::PrimaryHead { asked_at, head });
    }

    /// The same for the standby's orders.
    fn poll_standby(&mut self, runner: &mut Runner) {
        let behind = self.rng.chance(self.faults.stale * 10);
        let late = self.rng.below(2) == 0;
        if runner.orders.is_empty() || (behind && runner.orders.len() < 4) {
            let get = |key: &Key| self.standby.get(key.as_bytes()).cloned();
            let (epoch, control) = (get(&self.own.epoch), get(&self.own.control));
            let read = OrdersRead { head: self.standby.head(), epoch, control };
            let answer = match self.broken.reads.or_else(|| self.meets_alien()) {
                Some(class) => Err(Failure::new(class, "no answer")),
                None => Ok(read),
            };
            runner.orders.push_back((runner.now, answer));
            if late {
                return;
            }
        }
        let last = runner.orders.len() - 1;
        let answer = runner.orders.remove(if behind { last } else { 0 });
        let Some((asked_at, answer)) = answer else { return };
        runner.handle(Input::Orders { asked_at, answer });
    }

    /// Another cluster answers, and the link notices.
    fn meets_alien(&mut self) -> Option<FailureClass> {
        let meets = self.faults.alien > 0 && self.rng.chance(self.faults.alien);
        meets.then_some(FailureClass::OtherCluster)
    }

    /// Another cluster stands in the place of one of the two.
    fn make_alien(&mut self, standing: &mut Standing) {
        if self.rng.below(2) == 0 {
            standing.primary.head.cluster = ClusterId::new(9);
            return;
        }
        let (cluster, revision) = (ClusterId::new(8), StandbyRevision::new(1));
        standing.standby = Head { cluster, revision };
        let records = [&mut standing.epoch, &mut standing.checkpoint, &mut standing.control];
        records.into_iter().for_each(|record| *record = None);
        (standing.repair, standing.history) = (None, None);
    }

    /// A page comes as fast as the link carries it, or not at all.
    fn carry<R>(
        &self,
        runner: &mut Runner,
        page: Result<Page<R>, Failure>,
    ) -> Result<Page<R>, Failure> {
        let (Some(link), Ok(carried)) = (self.link, &page) else { return page };
        let bytes: usize = carried.entries.iter().map(|e| e.key.len() + e.value.len()).sum();
        let takes = Duration::from_millis(bytes as u64 * 1_000 / link.bytes_per_second);
        runner.now += takes.min(link.deadline);
        if takes > link.deadline {
            let failure = Failure::new(FailureClass::Retry, "no answer in time");
            return Err(failure.because(FailureCause::TimedOut));
        }
        page
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
            if txn.writes.len() > committed.skipped.len() {
                self.landed += 1;
            }
            self.invariant_what_is_protected_is_untouched();
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
        // What was written under a history that is gone can't be compared with it.
        if !checkpoint.is_whole() || self.primary.incarnation() != self.mirrored_incarnation {
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

    /// I10: nothing is deleted or overwritten that only the standby still has.
    fn invariant_what_is_protected_is_untouched(&self) {
        for (key, revision) in &self.protected {
            let entry = self.standby.get(key.as_bytes());
            assert_eq!(entry.map(|entry| entry.modified), Some(*revision), "{key} was newer here");
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

    /// The primary has lost what the standby still has: nothing may touch that from now on.
    pub(crate) fn protect(&mut self) {
        let primary = self.primary_in_scope(self.primary.revision());
        let standby = self.standby_in_scope(self.standby.revision());
        for (key, value) in standby {
            let lost = primary.get(&key) != Some(&value) && !self.foreign.contains_key(&key);
            if let (true, Some(entry)) = (lost, self.standby.get(key.as_bytes())) {
                self.protected.insert(key, entry.modified);
            }
        }
    }

    /// What was promised of the old history does not bind the new one.
    pub(crate) fn forget_history(&mut self) {
        self.last_whole = None;
        self.mirrored_incarnation = self.primary.incarnation();
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

/// Drops the deletions of one revision.
fn lose_deletes<R: Revision>(groups: &mut Vec<Group<R>>, at: Option<R>) {
    for group in groups.iter_mut().filter(|group| Some(group.revision) == at) {
        group.changes.retain(|change| matches!(change, Change::Put(_)));
    }
    groups.retain(|group| !group.changes.is_empty());
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
