//! The model answers as etcd does: seeded scripts on both, every answer equal.
//!
//! Whatever the simulated world proves about the mirror rests on this.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use end_to_end::{Etcd, seed};
use etcd_client::{Client, Compare, CompareOp, DeleteOptions, PutOptions, TxnOp, TxnOpResponse};
use etcd_link::{Settings, Standby};
use etcd_mvcc::{
    Change, ClusterId, Commit, CommitTxn, Expect, Failure, FailureClass, Group, Guard, Key,
    KeyRange, Op, PageRequest, ReadHead, ReadRange, Revision, StandbyRevision, Txn, Value,
    WatchRange, WatchStream, Write,
};
use etcd_sim::{Applied, Condition, ModelEtcd, Mutation, Quirks, Rng};

type Model = ModelEtcd<StandbyRevision>;

/// Where the script's own keys live; the link wants one of them in every guard.
const OWN_PREFIX: &str = "/own/";
/// Where all other keys of the script live.
const KEYS_PREFIX: &str = "/keys/";
/// How many steps a script has. Each step is a request or more, and a comparison.
const STEPS: usize = 300;

#[derive(Debug)]
enum Step {
    Commit(Txn),
    Write(Vec<(Key, Condition<StandbyRevision>)>, Vec<Mutation>),
    Compact(StandbyRevision),
    ReadPage(PageRequest<StandbyRevision>),
    ReadKeys(Vec<Key>, Option<StandbyRevision>),
    Watch(KeyRange, StandbyRevision),
}

/// Draws steps that are likely to matter, given what the model holds.
struct Script {
    rng: Rng,
}

impl Script {
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.below(bound as u64)).unwrap()
    }

    fn next(&mut self, model: &Model) -> Step {
        match self.below(20) {
            0..=6 => Step::Commit(self.txn(model)),
            7 | 8 => self.foreign_write(model),
            9 => Step::Compact(self.revision(model)),
            10..=13 => Step::ReadPage(self.page_request(model)),
            14 | 15 => {
                let keys = (0..=self.below(4)).map(|_| self.key()).collect();
                Step::ReadKeys(keys, self.at(model))
            }
            _ => {
                let revision = self.revision(model).max(StandbyRevision::new(1));
                let range = self.range();
                // A watch of an empty range is refused, which no caller should rely on.
                let range = if range.is_empty() { KeyRange::all() } else { range };
                Step::Watch(range, revision.min(model.revision().next()))
            }
        }
    }

    fn key(&mut self) -> Key {
        Key::from(format!("{KEYS_PREFIX}{}", self.below(8)))
    }

    fn own_key(&mut self) -> Key {
        Key::from(format!("{OWN_PREFIX}{}", self.below(3)))
    }

    fn value(&mut self) -> Value {
        Value::from(vec![b'v'; self.below(5)])
    }

    /// Half the time near one of the edges, where the mistakes are.
    fn revision(&mut self, model: &Model) -> StandbyRevision {
        let (oldest, newest) = (model.compacted().unwrap_or_default(), model.revision());
        let spread = i64::try_from(self.below(5)).unwrap() - 2;
        match self.below(4) {
            0 => StandbyRevision::new((oldest.get() + spread).max(1)),
            1 => StandbyRevision::new((newest.get() + spread).max(1)),
            _ => {
                let span = usize::try_from(newest.ahead_of(oldest)).unwrap();
                let offset = i64::try_from(self.below(span + 1)).unwrap();
                StandbyRevision::new((oldest.get() + offset).max(1))
            }
        }
    }

    fn at(&mut self, model: &Model) -> Option<StandbyRevision> {
        (self.below(3) > 0).then(|| self.revision(model))
    }

    fn range(&mut self) -> KeyRange {
        match self.below(5) {
            0 => KeyRange::all(),
            1 => KeyRange::prefix(KEYS_PREFIX.as_bytes()),
            2 => KeyRange::from_key(self.key()),
            3 => KeyRange::single(&self.key()),
            _ => KeyRange::new(self.key(), self.key()),
        }
    }

    fn page_request(&mut self, model: &Model) -> PageRequest<StandbyRevision> {
        PageRequest {
            range: self.range(),
            at: self.at(model),
            limit: self.below(6) + 1,
            keys_only: self.below(2) == 0,
        }
    }

    fn expect(&mut self, key: &Key, model: &Model) -> Expect {
        match (self.below(6), model.get(key.as_bytes())) {
            (0, _) => Expect::Absent,
            (1, _) => Expect::ModifiedAt(self.revision(model)),
            (_, None) => Expect::Absent,
            (_, Some(entry)) => Expect::ModifiedAt(entry.modified),
        }
    }

    fn op(&mut self, key: Key) -> Op {
        match self.below(3) {
            0 => Op::Delete { key },
            _ => Op::Put { key, value: self.value() },
        }
    }

    fn txn(&mut self, model: &Model) -> Txn {
        let guarded = self.own_key();
        let guard = Guard(vec![(guarded.clone(), self.expect(&guarded, model))]);
        let mut keys = BTreeSet::new();
        for _ in 0..self.below(6) {
            keys.insert(self.key());
        }
        if self.below(8) == 0 {
            // More than one level of a transaction holds.
            keys.extend((0..200).map(|number| Key::from(format!("{KEYS_PREFIX}wide/{number}"))));
        }
        let mut writes = Vec::new();
        for key in keys {
            let expect = (self.below(2) == 0).then(|| self.expect(&key, model));
            writes.push(Write { op: self.op(key), expect });
        }
        match self.below(30) {
            0 => writes.extend(writes.first().cloned().map(|mut twice| {
                twice.op = Op::Put { key: twice.op.key().clone(), value: self.value() };
                twice.expect = None;
                twice
            })),
            1 => {
                let op = Op::Put { key: Key::from("/keys/big"), value: vec![0; 1 << 21].into() };
                writes.push(op.into());
            }
            _ => {}
        }
        if let [first, .., last] = writes.as_mut_slice()
            && first.op.key() == last.op.key()
        {
            // Two deletions of one key are no duplicates to etcd, and a defect to the model.
            first.op = Op::Put { key: first.op.key().clone(), value: Value::default() };
            first.expect = None;
        }
        let own = (0..self.below(2)).map(|_| self.own_key()).collect::<Vec<_>>();
        let own = own.into_iter().map(|key| self.op(key)).collect();
        Txn { guard, writes, own }
    }

    fn foreign_write(&mut self, model: &Model) -> Step {
        let guarded = self.key();
        let guard = match self.below(2) {
            0 => vec![],
            _ => vec![(guarded.clone(), self.expect(&guarded, model).into())],
        };
        let mut mutations = Vec::new();
        for _ in 0..=self.below(3) {
            let value = Value::from(vec![b'f'; self.below(3) + 1]);
            mutations.push(match self.below(4) {
                0 => Mutation::DeleteRange(KeyRange::new(self.key(), self.key())),
                1 => Mutation::Delete(self.key()),
                _ => Mutation::put(self.key(), value),
            });
        }
        Step::Write(guard, mutations)
    }
}

/// What both have to say alike: classes, not words.
fn verdict<T>(result: Result<T, Failure>) -> Result<T, (FailureClass, bool)> {
    result.map_err(|failure| (failure.class, failure.outcome_unknown))
}

fn agree<T: Debug + PartialEq>(real: T, model: T, context: &str) {
    assert_eq!(real, model, "etcd on the left, the model on the right; {context}");
}

/// How often the script did what it is there for.
#[derive(Debug, Default)]
struct Tally {
    commits: usize,
    compactions: usize,
    pages: usize,
    groups: usize,
}

/// One etcd and its model, in step.
struct Pair {
    real: Standby,
    bystander: Client,
    model: Model,
    tally: Tally,
}

impl Pair {
    async fn play(&mut self, step: Step, context: &str) {
        let (real, model, tally) = (&self.real, &mut self.model, &mut self.tally);
        match step {
            Step::Commit(txn) => {
                let expected = verdict(model.commit(&txn));
                tally.commits += usize::from(matches!(expected, Ok(Commit::Done(_))));
                agree(verdict(real.commit(txn).await), expected, context);
            }
            Step::Write(guard, mutations) => {
                let expected = model.txn(&guard, &mutations).map_err(|failure| failure.class);
                agree(write(&mut self.bystander, &guard, &mutations).await, expected, context);
            }
            Step::Compact(at) => {
                let expected = model.compact(at).map_err(|failure| failure.class);
                tally.compactions += usize::from(expected.is_ok());
                let compacted = self.bystander.compact(at.get(), None).await;
                agree(compacted.map(drop).map_err(|error| class(&error)), expected, context);
            }
            Step::ReadPage(request) => {
                let expected = verdict(model.read_page(&request));
                tally.pages += usize::from(expected.is_ok());
                agree(verdict(real.read_page(request).await), expected, context);
            }
            Step::ReadKeys(keys, at) => {
                let expected = verdict(model.read_keys(&keys, at));
                agree(verdict(real.read_keys(&keys, at).await), expected, context);
            }
            Step::Watch(range, from) => {
                let expected = verdict(model.events_since(&range, from));
                tally.groups += expected.as_ref().map_or(0, Vec::len);
                let seen = watched(real, range, from, &expected).await;
                agree(seen.map(sorted), expected.map(sorted), context);
            }
        }
        agree(verdict(self.real.head().await), Ok(self.model.head()), context);
    }

    /// Learns whether this etcd loses a deletion at the compaction revision, and lets the model do
    /// the same.
    async fn learn_quirks(mut self) -> Self {
        let key = Key::from(KEYS_PREFIX);
        for mutation in [
            Mutation::put(key.clone(), "1"),
            Mutation::delete(key.clone()),
            Mutation::put(key, "2"),
        ] {
            self.play(Step::Write(vec![], vec![mutation]), "before the script").await;
        }
        let deleted_at = self.model.revision().previous();
        self.play(Step::Compact(deleted_at), "before the script").await;
        let mut stream = self.real.watch(KeyRange::all(), deleted_at).await.unwrap();
        let first = stream.next().await.unwrap().groups.remove(0);
        let quirks = Quirks { loses_deletes_at_compaction: first.revision > deleted_at };
        self.model = self.model.with_quirks(quirks);
        self
    }
}

/// What a client other than the mirror writes.
async fn write(
    client: &mut Client,
    guard: &[(Key, Condition<StandbyRevision>)],
    mutations: &[Mutation],
) -> Result<Option<Applied<StandbyRevision>>, FailureClass> {
    let compare = |(key, condition): &(Key, Condition<StandbyRevision>)| match condition {
        Condition::ModifiedAt(at) => {
            Compare::mod_revision(key.as_bytes(), CompareOp::Equal, at.get())
        }
        Condition::Absent => Compare::version(key.as_bytes(), CompareOp::Equal, 0),
    };
    let op = |mutation: &Mutation| match mutation {
        Mutation::Put { key, value, lease } => {
            let options = PutOptions::new().with_lease(*lease);
            TxnOp::put(key.as_bytes(), value.expose(), Some(options))
        }
        Mutation::Delete(key) => TxnOp::delete(key.as_bytes(), None),
        Mutation::DeleteRange(range) => {
            let end = range.end().unwrap();
            let options = DeleteOptions::new().with_range(end.as_bytes());
            TxnOp::delete(range.start().as_bytes(), Some(options))
        }
    };
    let txn = etcd_client::Txn::new()
        .when(guard.iter().map(compare).collect::<Vec<_>>())
        .and_then(mutations.iter().map(op).collect::<Vec<_>>());
    let answer = client.txn(txn).await.map_err(|error| class(&error))?;
    let mut deleted = 0;
    for response in answer.op_responses() {
        if let TxnOpResponse::Delete(deletion) = response {
            deleted += usize::try_from(deletion.deleted()).unwrap();
        }
    }
    Ok(answer.succeeded().then(|| Applied {
        revision: StandbyRevision::new(answer.header().unwrap().revision()),
        deleted,
    }))
}

/// What an error of the bystander's says, in the model's words.
fn class(error: &etcd_client::Error) -> FailureClass {
    let text = error.to_string();
    let means = [
        ("has been compacted", FailureClass::Resync),
        ("future revision", FailureClass::Retry),
        ("duplicate key", FailureClass::Fatal),
    ];
    let found = means.into_iter().find(|(part, _)| text.contains(part));
    found.unwrap_or_else(|| panic!("unexpected: {text}")).1
}

async fn conforms(etcd: Etcd, name: &str) {
    let seed = seed::dice(name).next();
    let settings = Settings { endpoints: etcd.endpoints(), ..Settings::default() };
    let real = Standby::new(settings, OWN_PREFIX, Arc::new(|_: &[u8]| true)).unwrap();
    let cluster = real.head().await.unwrap().cluster;
    let old = etcd.binaries().series < (3, 5);
    let bystander = etcd.client().await;
    let model = Model::new(ClusterId::new(cluster.get()));
    let pair = Pair { real, bystander, model, tally: Tally::default() };
    let mut pair = Box::pin(pair.learn_quirks()).await;
    let mut script = Script { rng: Rng::new(seed) };
    for number in 0..STEPS {
        let step = script.next(&pair.model);
        // Debian's 3.4.23 loses some deletions at the compaction revision: which ones depends on
        // what became of their keys, and is not modelled. The mirror never reads there.
        if old && matches!(&step, Step::Watch(_, from) if Some(*from) == pair.model.compacted()) {
            continue;
        }
        let context = format!("seed {seed}, step {number}: {step:?}");
        pair.play(step, &context).await;
    }
    let Tally { commits, compactions, pages, groups } = pair.tally;
    assert!(commits > 20 && compactions > 2 && pages > 10 && groups > 20, "{:?}", pair.tally);
}

#[tokio::test]
async fn the_model_answers_as_the_primary_does() {
    let etcd = Etcd::start().await;
    Box::pin(conforms(etcd, "the_model_answers_as_the_primary_does")).await;
}

#[tokio::test]
async fn the_model_answers_as_the_standby_does() {
    let etcd = Etcd::start_standby().await;
    Box::pin(conforms(etcd, "the_model_answers_as_the_standby_does")).await;
}

type Watched = Result<Vec<Group<StandbyRevision>>, (FailureClass, bool)>;

/// Watches until everything expected, or something else, has come.
async fn watched(
    real: &Standby,
    range: KeyRange,
    from: StandbyRevision,
    expected: &Watched,
) -> Watched {
    let last = match expected {
        Ok(groups) => match groups.last() {
            Some(group) => Some(group.revision),
            None => return verdict(real.watch(range, from).await).map(|_| vec![]),
        },
        Err(_) => None,
    };
    let mut stream = verdict(real.watch(range, from).await)?;
    let mut groups: Vec<Group<StandbyRevision>> = Vec::new();
    while groups.last().map(|group| group.revision) < last || last.is_none() {
        groups.extend(verdict(stream.next().await)?.groups);
    }
    Ok(groups)
}

/// Within a revision, the order of changes is etcd's own business.
fn sorted(mut groups: Vec<Group<StandbyRevision>>) -> Vec<Group<StandbyRevision>> {
    for group in &mut groups {
        group.changes.sort_by(|a: &Change<_>, b| a.key().cmp(b.key()));
    }
    groups
}
