//! The planner's effects, begun: each a request of its own, answered as an input.

use etcd_mvcc::{Commit, KeyRange, PrimaryRevision, StandbyRevision, Txn, distinct};
use tokio::time::{Instant, sleep};

use super::{Answer, Mirror, Primary, Standby};
use crate::planner::{Effect, Ended, Input, Peer, Standing};
use crate::settings::Preflighted;

impl<P: Primary, S: Standby> Mirror<P, S> {
    pub(super) fn begin_effects(&mut self) -> Option<Ended> {
        while let Some(effect) = self.planner.poll_effect() {
            match effect {
                Effect::ReadStanding => self.read_standing(),
                Effect::ReadWitnesses { keys, at } => {
                    let primary = self.primary.clone();
                    self.ask(async move { Input::Witnesses(primary.read_keys(&keys, at).await) });
                }
                Effect::ReadLedger(request) => {
                    let standby = self.standby.clone();
                    self.ask(async move { Input::LedgerPage(standby.read_page(request).await) });
                }
                Effect::ReadPrimary(request) => {
                    let primary = self.primary.clone();
                    self.ask(async move { Input::PrimaryPage(primary.read_page(request).await) });
                }
                Effect::ReadStandby(request) => {
                    let standby = self.standby.clone();
                    self.ask(async move { Input::StandbyPage(standby.read_page(request).await) });
                }
                Effect::FetchPrimary { keys, at } => {
                    let primary = self.primary.clone();
                    self.ask(async move { Input::Fetched(primary.read_keys(&keys, at).await) });
                }
                Effect::Watch { range, from } => self.watch_primary(range, from),
                Effect::WatchStandby { range, from } => self.watch_standby(range, from),
                Effect::Rewatch { range, from } => {
                    tracing::warn!(
                        %from,
                        "the primary's watch brings nothing although the primary is ahead; it is \
                         opened again on another member"
                    );
                    self.changes = None;
                    self.primary.turn_away();
                    self.watch_primary(range, from);
                }
                Effect::RewatchStandby { range, from } => {
                    tracing::warn!(
                        %from,
                        "the standby's watch brings nothing although the standby is ahead; it is \
                         opened again on another member"
                    );
                    self.standby_changes = None;
                    self.standby.turn_away();
                    self.watch_standby(range, from);
                }
                Effect::Preflight => self.preflight(),
                Effect::Commit(txn) => self.commit(txn),
                Effect::Wait(pause) => self.ask(async move {
                    sleep(pause).await;
                    Input::Waited
                }),
                Effect::Forget => self.forget(),
                Effect::End(ended) => return Some(ended),
            }
        }
        None
    }

    fn watch_primary(&mut self, range: KeyRange, from: PrimaryRevision) {
        let primary = self.primary.clone();
        self.requests.spawn(async move { Answer::Watch(primary.watch(range, from).await) });
    }

    fn watch_standby(&mut self, range: KeyRange, from: StandbyRevision) {
        let standby = self.standby.clone();
        self.requests.spawn(async move { Answer::StandbyWatch(standby.watch(range, from).await) });
    }

    fn ask(&mut self, request: impl Future<Output = Input> + Send + 'static) {
        self.requests.spawn(async move { Answer::Input(request.await) });
    }

    fn preflight(&mut self) {
        match self.settings.preflight.clone() {
            Some(look) => self.ask(async move { Input::Preflighted(look().await) }),
            None => self.ask(std::future::ready(Input::Preflighted(Ok(Preflighted::Clear)))),
        }
    }

    fn read_standing(&mut self) {
        let (primary, standby) = (self.primary.clone(), self.standby.clone());
        let own = self.own.clone();
        // Which clusters answer is judged anew at every start.
        primary.repin();
        standby.repin();
        let (range, assume_distinct) =
            (self.scope.primary_hull(), self.settings.assume_distinct_clusters);
        self.ask(async move {
            let reader = primary;
            let primary = match reader.position().await {
                Ok(position) => position,
                Err(failure) => return Input::StandingFailed(Peer::Primary, failure),
            };
            let met = standby.position().await;
            let equal_ids = match &met {
                Ok(here) => here.head.cluster == primary.head.cluster,
                Err(_) => false,
            };
            let same = if equal_ids && !assume_distinct {
                match distinct(&reader, &standby, &range).await {
                    Ok(told_apart) => told_apart.err(),
                    Err((side, failure)) => return Input::StandingFailed(side.into(), failure),
                }
            } else {
                None
            };
            let keys = [own.epoch, own.checkpoint, own.control, own.repair, own.history];
            let stored = match met.map(|position| position.head) {
                Ok(head) => standby.read_keys(&keys, None).await.map(|entries| (head, entries)),
                Err(failure) => Err(failure),
            };
            match stored {
                Ok((standby, entries)) => {
                    let mut entries = entries.into_iter();
                    let mut next = || entries.next().flatten();
                    Input::Standing(Box::new(Standing {
                        primary,
                        standby,
                        epoch: next(),
                        checkpoint: next(),
                        control: next(),
                        repair: next(),
                        history: next(),
                        same,
                    }))
                }
                Err(failure) => Input::StandingFailed(Peer::Standby, failure),
            }
        });
    }

    fn commit(&mut self, txn: Txn) {
        self.committing = true;
        self.reporter.committing(&txn);
        let standby = self.standby.clone();
        self.requests.spawn(async move {
            let sent = Instant::now();
            let input = match standby.commit(txn).await {
                Ok(Commit::Done(committed)) => Input::Committed(committed),
                Ok(Commit::Refused) => Input::Refused,
                Err(failure) => Input::CommitFailed(failure),
            };
            Answer::Committed(input, sent.elapsed())
        });
    }
}
