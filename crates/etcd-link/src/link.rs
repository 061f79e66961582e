//! One cluster, asked with patience: another member where one is away, a new token where one has
//! expired, and never longer than the deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use etcd_client::{Error, GetOptions};
use etcd_mvcc::{Failure, FailureCause, FailureClass};

use crate::channel::{Lane, Member};
use crate::classify::{Fault, Intent, Verdict};
use crate::credentials::Credentials;
use crate::deadline::{self, Heard};
use crate::identity::{Identified, Origin, Pin};
use crate::keep_alive::KeepAlive;
use crate::settings::{Endpoint, Settings, SettingsError};
use crate::token::Token;

/// What both clusters have in common. It knows no write.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) settings: Arc<Settings>,
    token: TokenShown,
    credentials: Option<Credentials>,
    pub(crate) reads: Lane,
    /// For pages: over a thin link a large one would hold up every other question.
    pub(crate) pages: Lane,
    pub(crate) watches: Lane,
    /// The next watch is to be opened in fragments: a message was too large.
    pub(crate) fragment: AtomicBool,
    /// The cluster that is meant.
    pub(crate) pin: Pin,
    /// The most operations that a transaction may have, level by level: as configured, or as
    /// learned.
    txn_ops: AtomicUsize,
    /// The limit that was learned and not said yet; 0 for none.
    txn_ops_news: AtomicUsize,
    /// The largest number of operations that the cluster has taken.
    txn_ops_proven: AtomicUsize,
    keep_alive: KeepAlive,
}

/// What a request wants, and how long it may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    intent: Intent,
    limit: Duration,
    /// Whether nothing may be sent over a connection before it has proven its cluster.
    proof: bool,
}

/// A token that is not printed.
struct TokenShown(Token);

impl std::fmt::Debug for TokenShown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl Link {
    pub(crate) fn new(settings: Settings) -> Result<(Self, Vec<Endpoint>), SettingsError> {
        let endpoints = settings.parse_endpoints()?;
        let token = Token::default();
        let link = Self {
            txn_ops: AtomicUsize::new(settings.max_txn_ops),
            txn_ops_news: AtomicUsize::new(0),
            keep_alive: KeepAlive::new(settings.keep_alive_interval),
            txn_ops_proven: AtomicUsize::new(0),
            credentials: Credentials::new(&settings, token.clone()),
            settings: Arc::new(settings),
            token: TokenShown(token),
            reads: Lane::new(&endpoints),
            pages: Lane::new(&endpoints),
            watches: Lane::new(&endpoints),
            fragment: AtomicBool::new(false),
            pin: Pin::default(),
        };
        Ok((link, endpoints))
    }

    /// Forgets which cluster is meant: the next one that answers is.
    pub(crate) fn repin(&self) {
        self.pin.forget();
    }

    /// The most operations that a transaction may have, level by level.
    pub(crate) fn txn_ops(&self) -> usize {
        self.txn_ops.load(Ordering::Relaxed)
    }

    /// Tells whether the cluster has taken so many operations before: then it will not refuse them.
    pub(crate) fn takes_ops(&self, ops: usize) -> bool {
        ops <= self.txn_ops_proven.load(Ordering::Relaxed)
    }

    /// The cluster has taken so many operations.
    pub(crate) fn took_ops(&self, ops: usize) {
        self.txn_ops_proven.fetch_max(ops, Ordering::Relaxed);
        if self.txn_ops_news.swap(0, Ordering::Relaxed) > 0 {
            tracing::info!(
                max_txn_ops = self.txn_ops(),
                "the cluster takes fewer operations in a transaction than expected (its \
                 --max-txn-ops); transactions are cut to fit"
            );
        }
    }

    /// The cluster refused a transaction that was cut for a limit of `ops`. Nothing was written.
    /// Returns whether a smaller limit is left to try.
    pub(crate) fn fewer_ops(&self, ops: usize) -> bool {
        let fewer = ops / 2;
        if fewer == 0 {
            return false;
        }
        self.txn_ops.fetch_min(fewer, Ordering::Relaxed);
        self.txn_ops_news.store(fewer, Ordering::Relaxed);
        self.txn_ops_proven.store(0, Ordering::Relaxed);
        true
    }

    /// What to expect of a read.
    pub(crate) fn reading(&self) -> Patience {
        let limit = self.settings.request_timeout;
        Patience { intent: Intent::Read, limit, proof: false }
    }

    /// What to expect of a watch that is opened.
    pub(crate) fn watching(&self) -> Patience {
        Patience { proof: true, ..self.reading() }
    }

    /// What to expect of a transaction of so many operations and bytes.
    ///
    /// Nothing is heard of a request that is still on its way, so it is given time for its size: a
    /// link that carries 32 KiB a second is waited for.
    ///
    /// etcd takes 20 to 90 µs for each (measured, 3.4 to 3.7 on a busy machine): a large one may
    /// be alive and well when a small one would have been given up.
    pub(crate) fn writing(&self, ops: usize, bytes: usize) -> Patience {
        let upload = Duration::from_millis(u64::try_from(bytes / 32).unwrap_or(u64::MAX));
        let ops = u64::try_from(ops).unwrap_or(u64::MAX);
        let work = Duration::from_micros(ops.saturating_mul(200));
        let limit = self.settings.request_timeout + work + upload;
        Patience { intent: Intent::Write, limit, proof: true }
    }

    /// Sends a request, and again where that is known to be harmless: over a connection that could
    /// be made after one that could not, with a new token, and if it is a read, to each member once.
    ///
    /// An answer of another cluster than the one that is meant is a failure, and its connection is
    /// given up. No write is sent and no watch opened over a connection that has not proven its
    /// cluster by a read.
    pub(crate) async fn call<T: Identified, Asked>(
        &self,
        lane: &Lane,
        patience: Patience,
        mut send: impl FnMut(Member) -> Asked,
    ) -> Result<T, Failure>
    where
        Asked: Future<Output = Result<T, Error>>,
    {
        let intent = patience.intent;
        let mut refreshed = false;
        let mut members_left = lane.len();
        let mut ended_left = lane.len();
        let mut away: Option<Failure> = None;
        loop {
            let token = self.token.0.generation();
            let member = lane.member(&self.settings, &self.token.0, &self.keep_alive).await;
            let member = member.map_err(|error| Fault::new(&error, Intent::Read).failure(""))?;
            // Boxed: gRPC calls are large futures, and these nest in everything above.
            let asked = Box::pin(send(member.clone()));
            let fault = match self.attempt(lane, &member, patience, members_left > 1, asked).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            tracing::debug!(member = %member.url, cause = %fault.text, "request failed");
            if matches!(fault.cause, FailureCause::Operations { .. }) {
                // Another member would say the same, and the caller knows a way.
                return Err(fault.failure(&member.url));
            }
            if fault.ended || is_stranger(fault.verdict.class) {
                lane.hang_up(&member);
            }
            if fault.ended && ended_left > 0 {
                ended_left -= 1;
                continue;
            }
            match fault.verdict.class {
                FailureClass::Reauthenticate if self.credentials.is_some() && !refreshed => {
                    refreshed = true;
                    self.refresh(lane, &member, token).await?;
                }
                FailureClass::Reauthenticate => return Err(blocked(fault, &member)),
                FailureClass::Retry
                | FailureClass::Blocked
                | FailureClass::NoSpace
                | FailureClass::Corrupt
                | FailureClass::NotEtcd
                | FailureClass::OtherCluster => {
                    let class = fault.verdict.class;
                    let elsewhere = class == FailureClass::Retry || is_stranger(class);
                    let harmless = fault.unsent || (intent == Intent::Read && elsewhere);
                    lane.rotate(&member);
                    members_left = members_left.saturating_sub(1);
                    let failure = fault.failure(&member.url);
                    if !harmless {
                        return Err(failure);
                    }
                    // The cluster is away; that others are among its endpoints explains little.
                    match &mut away {
                        Some(away) if is_stranger(class) => {
                            away.message = format!("{}; {}", away.message, failure.message);
                        }
                        None if class == FailureClass::Retry => away = Some(failure.clone()),
                        Some(_) | None => {}
                    }
                    if members_left == 0 {
                        return Err(away.filter(|_| is_stranger(class)).unwrap_or(failure));
                    }
                }
                FailureClass::Resync | FailureClass::TooLarge | FailureClass::Fatal => {
                    return Err(fault.failure(&member.url));
                }
            }
        }
    }

    /// Sends a request once, after the first token was fetched. Nothing is sent before `asked` is
    /// polled.
    async fn attempt<T>(
        &self,
        lane: &Lane,
        member: &Member,
        patience: Patience,
        others_left: bool,
        asked: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Fault>
    where
        T: Identified,
    {
        if let Some(credentials) = self.credentials.as_ref().filter(|_| self.token.0.is_new()) {
            let mut clients = member.clients.clone();
            let login = credentials.refresh(&mut clients, 0, &self.pin);
            self.in_time(lane, member, self.reading(), login).await?;
        }
        if patience.proof && !member.has_proven(self.pin.meant()) {
            let proof = self.prove(lane, member, others_left).await;
            proof.map_err(|fault| Fault { unsent: true, ..fault })?;
        }
        let answer = self.in_time(lane, member, patience, asked).await?;
        self.admit(member, answer.origin(), patience.intent, others_left)?;
        Ok(answer)
    }

    /// Lets a connection say which cluster it leads to. Any member may answer for itself: a stale
    /// one is of the same cluster.
    async fn prove(&self, lane: &Lane, member: &Member, others_left: bool) -> Result<(), Fault> {
        let mut kv = member.clients.kv.clone();
        let key = self.settings.probe_key.as_bytes();
        let options = GetOptions::new().with_count_only().with_serializable();
        let asked = Box::pin(kv.get(key, Some(options)));
        let answer = self.in_time(lane, member, self.reading(), asked).await?;
        self.admit(member, answer.origin(), Intent::Read, others_left)
    }

    /// Holds an answer against the cluster that is meant.
    fn admit(
        &self,
        member: &Member,
        origin: Origin,
        intent: Intent,
        others_left: bool,
    ) -> Result<(), Fault> {
        match self.pin.admit(origin, others_left) {
            Ok(()) => {
                if origin.cluster != 0 {
                    member.answered_as(origin.cluster);
                }
                Ok(())
            }
            Err(stranger) => Err(Fault::new(&stranger.into(), intent)),
        }
    }

    /// Fetches a new token for the one of generation `stale`.
    async fn refresh(&self, lane: &Lane, member: &Member, stale: u64) -> Result<(), Failure> {
        let Some(credentials) = &self.credentials else { return Ok(()) };
        let mut clients = member.clients.clone();
        let asked = credentials.refresh(&mut clients, stale, &self.pin);
        match self.in_time(lane, member, self.reading(), asked).await {
            Ok(()) => Ok(()),
            Err(fault) if fault.verdict.class == FailureClass::Reauthenticate => {
                Err(blocked(fault, member))
            }
            Err(fault) => {
                lane.rotate(member);
                Err(fault.failure(&member.url))
            }
        }
    }

    async fn in_time<T>(
        &self,
        lane: &Lane,
        member: &Member,
        patience: Patience,
        asked: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Fault> {
        let Patience { intent, limit, .. } = patience;
        // Answers to reads are large and hold each other up; those to writes are small.
        let line = match intent {
            Intent::Read => member.clients.line.clone(),
            Intent::Write => Heard::new(),
        };
        match deadline::while_heard(limit, &line, asked).await {
            Some(answer) => answer.map_err(|error| Fault::new(&error, intent)),
            None => {
                lane.hang_up(member);
                let unknown = intent == Intent::Write;
                let verdict = Verdict { class: FailureClass::Retry, unknown };
                let text = format!("no answer within {}", deadline::shown(limit));
                Err(Fault { cause: FailureCause::TimedOut, ..Fault::of(verdict, text) })
            }
        }
    }

    /// Reads the error that ended a watch.
    pub(crate) fn watch_ended(&self, error: &Error, url: &str) -> Failure {
        let mut fault = Fault::new(error, Intent::Read);
        if fault.text.contains("decoded message length too large") {
            self.fragment.store(true, Ordering::Relaxed);
            fault.verdict.class = FailureClass::Retry;
        }
        if fault.verdict.class == FailureClass::Reauthenticate {
            // Opening the next watch fetches a new token if that is the matter, or says blocked.
            fault.verdict.class = FailureClass::Retry;
        }
        fault.failure(url)
    }
}

/// What answers is not the cluster that was asked.
fn is_stranger(class: FailureClass) -> bool {
    matches!(class, FailureClass::NotEtcd | FailureClass::OtherCluster)
}

/// A refusal that a new token did not cure, or where there is no way to get one.
fn blocked(mut fault: Fault, member: &Member) -> Failure {
    fault.verdict.class = FailureClass::Blocked;
    fault.failure(&member.url)
}
