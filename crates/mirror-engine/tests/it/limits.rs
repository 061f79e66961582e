//! Limits that nobody has told: a planner learns them in few steps, and spends few revisions.

use std::time::Duration;

use etcd_mvcc::{
    ClusterId, Commit, Failure, FailureCause, FailureClass, Page, PageRequest, PrimaryRevision,
    Revision, StandbyRevision, Txn,
};
use etcd_sim::ModelEtcd;
use keyspace_filter::{Preset, Scope, ScopeSpec};
use mirror_engine::planner::{Effect, Input, Planner, Standing};
use mirror_engine::{GuardKind, OwnKeys, Settings, State};

/// What both clusters and the links to them put up with.
#[derive(Clone, Copy)]
struct Limits {
    page_bytes: usize,
    page_keys_in_time: usize,
    request_bytes: usize,
    /// Whether a refusal says how much would have been taken.
    told: bool,
    ops: usize,
}

const NONE: Limits = Limits {
    page_bytes: usize::MAX,
    page_keys_in_time: usize::MAX,
    request_bytes: usize::MAX,
    told: false,
    ops: usize::MAX,
};

/// What it took to get somewhere.
#[derive(Debug, Default)]
struct Spent {
    pages: u64,
    pages_failed: u64,
    refused: u64,
    epochs: u64,
    pauses: Vec<Duration>,
}

struct Pair {
    primary: ModelEtcd<PrimaryRevision>,
    standby: ModelEtcd<StandbyRevision>,
    limits: Limits,
    planner: Planner,
    now: Duration,
    spent: Spent,
}

impl Pair {
    fn new(limits: Limits) -> Self {
        let spec = ScopeSpec { preset: Preset::None, ..ScopeSpec::default() };
        let settings = Settings { owner: "test".to_owned(), ..Settings::default() };
        Self {
            primary: ModelEtcd::new(ClusterId::new(1)),
            standby: ModelEtcd::new(ClusterId::new(2)),
            limits,
            planner: Planner::new(Scope::compile(spec).unwrap(), settings),
            now: Duration::ZERO,
            spent: Spent::default(),
        }
    }

    fn fill(&mut self, keys: usize, size: impl Fn(usize) -> usize) {
        for n in 0..keys {
            self.primary.put(format!("/registry/things/{n:06}"), vec![b'x'; size(n)]).unwrap();
        }
    }

    fn page<R: Revision>(
        &mut self,
        request: &PageRequest<R>,
        page: Result<Page<R>, Failure>,
    ) -> Result<Page<R>, Failure> {
        self.spent.pages += 1;
        let page = page?;
        let bytes: usize = page.entries.iter().map(|it| it.key.len() + it.value.len()).sum();
        let failure = |class, cause| Err(Failure::new(class, "refused").because(cause));
        let failed = if request.limit > self.limits.page_keys_in_time {
            failure(FailureClass::Retry, FailureCause::TimedOut)
        } else if bytes > self.limits.page_bytes && request.limit > 1 {
            failure(FailureClass::TooLarge, FailureCause::Size(bytes as u64))
        } else {
            return Ok(page);
        };
        self.spent.pages_failed += 1;
        failed
    }

    fn commit(&mut self, txn: &Txn) -> Input {
        let failure = |cause| {
            Input::CommitFailed(Failure::new(FailureClass::TooLarge, "refused").because(cause))
        };
        let ops = txn.writes.len() + txn.own.len();
        let refusal = if ops > self.limits.ops {
            failure(FailureCause::Operations { max: Some(self.limits.ops) })
        } else if txn.size() > self.limits.request_bytes {
            failure(match self.limits.told {
                true => FailureCause::SizeMax(self.limits.request_bytes as u64),
                false => FailureCause::Other,
            })
        } else {
            let epoch = OwnKeys::new("default").epoch;
            self.spent.epochs += u64::from(txn.own.iter().any(|op| *op.key() == epoch));
            return match self.standby.commit(txn).unwrap() {
                Commit::Done(done) => Input::Committed(done),
                Commit::Refused => Input::Refused,
            };
        };
        self.spent.refused += 1;
        refusal
    }

    fn answer(&mut self, effect: Effect) -> Option<Input> {
        let keys_of = |keys: &[_], at| self.primary.read_keys(keys, at);
        Some(match effect {
            Effect::ReadStanding => {
                let own = OwnKeys::new("default");
                let stored = |key: &etcd_mvcc::Key| self.standby.get(key.as_bytes()).cloned();
                Input::Standing(Box::new(Standing {
                    primary: self.primary.position(),
                    standby: self.standby.head(),
                    epoch: stored(&own.epoch),
                    checkpoint: stored(&own.checkpoint),
                    control: None,
                    repair: None,
                    history: stored(&own.history),
                    same: None,
                }))
            }
            Effect::ReadWitnesses { keys, at } => Input::Witnesses(keys_of(&keys, at)),
            Effect::FetchPrimary { keys, at } => Input::Fetched(keys_of(&keys, at)),
            Effect::Preflight => Input::Preflighted(Ok(mirror_engine::Preflighted::Clear)),
            Effect::ReadLedger(request) => Input::LedgerPage(self.standby.read_page(&request)),
            Effect::ReadPrimary(request) => {
                let page = self.primary.read_page(&request);
                Input::PrimaryPage(self.page(&request, page))
            }
            Effect::ReadStandby(request) => {
                let page = self.standby.read_page(&request);
                Input::StandbyPage(self.page(&request, page))
            }
            Effect::Commit(txn) => self.commit(&txn),
            Effect::Wait(pause) => {
                self.now += pause;
                self.spent.pauses.push(pause);
                Input::Waited
            }
            Effect::Watch { .. }
            | Effect::Rewatch { .. }
            | Effect::WatchStandby { .. }
            | Effect::RewatchStandby { .. }
            | Effect::Forget => return None,
            Effect::End(ended) => panic!("{ended:?}"),
        })
    }

    /// Runs until the mirror follows or is blocked.
    fn run(&mut self) -> Spent {
        for _ in 0..20_000 {
            match self.planner.state() {
                State::Following | State::Blocked => return std::mem::take(&mut self.spent),
                State::Starting
                | State::Waiting
                | State::Copying
                | State::Paused
                | State::Fenced => {}
            }
            self.now += Duration::from_millis(1);
            let input = match self.planner.poll_effect() {
                Some(effect) => self.answer(effect),
                None => Some(Input::Tick),
            };
            if let Some(input) = input {
                self.planner.handle(self.now, input);
            }
        }
        panic!("it never ends: {:?} {:?}", self.spent, self.planner.status());
    }

    fn copied(&mut self) -> Spent {
        let spent = self.run();
        let status = self.planner.status();
        assert_eq!(status.state, State::Following, "{status:?}");
        let range = etcd_mvcc::KeyRange::prefix(b"/registry/");
        let there = self.primary.truth_at(&range, self.primary.revision());
        let here = self.standby.truth_at(&range, self.standby.revision());
        assert_eq!(there.len(), here.len());
        let mut both = there.iter().zip(&here);
        assert!(both.all(|(a, b)| a.key == b.key && a.value == b.value));
        spent
    }
}

#[test]
fn pages_that_are_refused_or_late_are_asked_for_anew_without_starting_over() {
    for limits in [
        Limits { page_bytes: 16 << 10, ..NONE },
        Limits { page_keys_in_time: 40, ..NONE },
        Limits { page_bytes: 16 << 10, page_keys_in_time: 20, ..NONE },
    ] {
        let mut pair = Pair::new(limits);
        pair.fill(600, |n| if n < 300 { 20 } else { 3_000 });
        let spent = pair.copied();
        assert_eq!((spent.epochs, spent.pauses.len()), (1, 0), "{spent:?}");
        assert!((1..60).contains(&spent.pages_failed), "{spent:?}");
    }
}

#[test]
fn a_limit_of_bytes_is_learned_in_few_steps_and_little_is_wasted() {
    let data = 600 * 3_000;
    for told in [false, true] {
        for limit in [20 << 10, 64 << 10, 300 << 10, 700 << 10] {
            let mut pair = Pair::new(Limits { request_bytes: limit, told, ..NONE });
            pair.fill(600, |_| 3_000);
            let spent = pair.copied();
            let steps_max = if told { 1 } else { 12 };
            assert!(spent.refused <= steps_max, "limit {limit}: {spent:?}");
            // Revisions for data, and for the start, and each time it was learned.
            let needed = data / limit + 6;
            let used = usize::try_from(pair.standby.revision().get()).unwrap();
            let learning = usize::try_from(spent.epochs).unwrap();
            assert!(
                used <= needed * 6 / 5 + learning + 8,
                "limit {limit}: {used} revisions for {needed}: {spent:?}"
            );
        }
    }
}

#[test]
fn a_limit_of_operations_is_learned_in_one_step() {
    for ops in [12, 40, 243] {
        let mut pair = Pair::new(Limits { ops, ..NONE });
        pair.fill(2_000, |_| 10);
        let spent = pair.copied();
        assert!(spent.refused <= 1, "{spent:?}");
        let used = usize::try_from(pair.standby.revision().get()).unwrap();
        let room = ops - (ops / 4).min(16);
        assert!(used <= 2_000usize.div_ceil(room) + 8, "{used} revisions: {spent:?}");
    }
}

#[test]
fn a_standby_that_takes_next_to_nothing_blocks_and_names_the_flag() {
    for (limits, flag) in [
        (Limits { request_bytes: 900, ..NONE }, "--max-request-bytes"),
        (Limits { ops: 3, ..NONE }, "--max-txn-ops"),
    ] {
        let mut pair = Pair::new(limits);
        pair.fill(200, |_| 400);
        let spent = pair.run();
        let blocked = pair.planner.status().blocked.expect("blocked");
        assert_eq!(blocked.guard, GuardKind::TooLarge);
        assert!(blocked.reason.contains(flag), "{}", blocked.reason);
        assert!(spent.refused < 20, "{spent:?}");
        assert!(spent.pauses.is_sorted(), "pauses grow: {spent:?}");
    }
}
