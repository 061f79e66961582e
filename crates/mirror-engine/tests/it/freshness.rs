//! How old a stored status is: by the leader's lease and by what moves, never by a clock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use etcd_mvcc::{
    ClusterId, Entry, Failure, Key, LeaseId, LeaseTerm, Page, PageRequest, ReadAlarms, ReadLease,
    ReadRange, StandbyRevision,
};
use etcd_sim::SimEtcd;
use mirror_engine::OwnKeys;
use mirror_engine::freshness::{Age, Look, Observer, Silence};
use tokio::time::{Instant, sleep};

/// A standby whose lease and alarms are as a test says.
#[derive(Clone)]
struct Standby {
    etcd: SimEtcd<StandbyRevision>,
    term: Arc<Mutex<Option<LeaseTerm>>>,
    alarms: Arc<Mutex<Vec<String>>>,
}

impl ReadRange for Standby {
    type Revision = StandbyRevision;

    async fn read_page(
        &self,
        request: PageRequest<StandbyRevision>,
    ) -> Result<Page<StandbyRevision>, Failure> {
        self.etcd.read_page(request).await
    }

    async fn read_keys(
        &self,
        keys: &[Key],
        at: Option<StandbyRevision>,
    ) -> Result<Vec<Option<Entry<StandbyRevision>>>, Failure> {
        self.etcd.read_keys(keys, at).await
    }
}

impl ReadLease for Standby {
    async fn term(&self, _: LeaseId) -> Result<Option<LeaseTerm>, Failure> {
        Ok(*self.term.lock().unwrap())
    }
}

impl ReadAlarms for Standby {
    async fn alarms(&self) -> Result<Vec<String>, Failure> {
        Ok(self.alarms.lock().unwrap().clone())
    }
}

impl Standby {
    fn new() -> Self {
        Self { etcd: SimEtcd::new(ClusterId::new(2)), term: Arc::default(), alarms: Arc::default() }
    }

    fn put(&self, key: &Key) {
        self.etcd.with(|etcd| etcd.put(key.clone(), "{}")).unwrap();
    }

    fn lease(&self, remaining: u64) {
        let (granted, remaining) = (Duration::from_secs(15), Duration::from_secs(remaining));
        *self.term.lock().unwrap() = Some(LeaseTerm { granted, remaining });
    }

    /// Stores a status every five seconds.
    fn speaks(&self) -> tokio::task::JoinHandle<()> {
        let standby = self.clone();
        tokio::spawn(async move {
            loop {
                sleep(Duration::from_secs(5)).await;
                standby.put(&OwnKeys::new("m").status);
            }
        })
    }
}

async fn look(standby: &Standby) -> Look {
    Observer::default().look(standby, "m").await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_lives_bounds_the_age_at_once() {
    let (standby, own) = (Standby::new(), OwnKeys::new("m"));
    assert_eq!(look(&standby).await.age, Age::Unknown(Silence::NeverSpoke));
    standby.put(&own.leader);
    standby.put(&own.status);
    standby.lease(12);
    let begun = Instant::now();
    // Kept 3 s ago, and the status is stored every 5 s, or a little later.
    assert_eq!(look(&standby).await.age, Age::AtMost(Duration::from_secs(9)));
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn without_a_leader_only_a_status_that_moves_is_fresh() {
    let (standby, own) = (Standby::new(), OwnKeys::new("m"));
    standby.put(&own.status);
    let Age::Unknown(Silence::NoLeader(still)) = look(&standby).await.age else { panic!() };
    assert!(still >= Duration::from_secs(6), "{still:?}");

    let speaker = standby.speaks();
    let Age::AtMost(age) = look(&standby).await.age else { panic!() };
    assert!(age <= Duration::from_millis(250), "{age:?}");
    speaker.abort();
    // One that stood still before is not watched again.
    let mut observer = Observer::default();
    observer.look(&standby, "m").await.unwrap();
    let begun = Instant::now();
    let again = observer.look(&standby, "m").await.unwrap();
    assert!(matches!(again.age, Age::Unknown(Silence::NoLeader(_))), "{:?}", again.age);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_word_of_an_earlier_leader_is_not_the_word_of_this_one() {
    let (standby, own) = (Standby::new(), OwnKeys::new("m"));
    standby.put(&own.status);
    standby.put(&own.leader);
    standby.lease(15);
    assert!(matches!(look(&standby).await.age, Age::Unknown(Silence::Still(_))));
    standby.put(&own.status);
    assert!(matches!(look(&standby).await.age, Age::AtMost(_)));
}

#[tokio::test(start_paused = true)]
async fn a_standby_that_takes_no_writes_takes_no_status() {
    let (standby, own) = (Standby::new(), OwnKeys::new("m"));
    standby.put(&own.leader);
    standby.put(&own.status);
    standby.lease(15);
    standby.alarms.lock().unwrap().push("NOSPACE".to_owned());
    let look = look(&standby).await;
    assert!(matches!(look.age, Age::Unknown(Silence::Still(_))), "{:?}", look.age);
    assert_eq!(look.alarms, ["NOSPACE"]);
}
