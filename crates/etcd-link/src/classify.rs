//! What an error means: a total mapping from what etcd, gRPC and the network say to what the
//! caller should do.
//!
//! The code alone misleads: a dead server, a refused certificate and a failed election are all
//! `Unavailable`, a compacted revision and a message too large are both `OutOfRange`. So the text
//! decides where etcd has one of its own, and the code where it has not.

use std::error::Error as _;

use etcd_client::Error;
use etcd_mvcc::{Failure, FailureCause, FailureClass};
use tonic::Code;

use crate::channel::ConnectionEnded;
use crate::credentials::UNREADABLE;
use crate::dial::DialError;
use crate::identity::{Stranger, not_etcd};

/// What a request wanted to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    Read,
    Write,
}

/// What an error means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) class: FailureClass,
    /// The request may have had an effect, or may still have one.
    pub(crate) unknown: bool,
}

/// An error, read.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) verdict: Verdict,
    /// One line: what etcd said, or what the network did.
    pub(crate) text: String,
    /// There was no connection: the request was not sent at all.
    pub(crate) unsent: bool,
    /// What a caller can act on.
    pub(crate) cause: FailureCause,
    /// There was one, and it has ended: a new one may be made at once.
    pub(crate) ended: bool,
}

impl Fault {
    pub(crate) fn new(error: &Error, intent: Intent) -> Self {
        let Error::GRpcStatus(status) = error else {
            // The watch's request channel closes with the connection; the others are defects.
            let away = matches!(
                error,
                Error::WatchError(_) | Error::IoError(_) | Error::TransportError(_)
            );
            let class = if away { FailureClass::Retry } else { FailureClass::Fatal };
            let verdict = Verdict { class, unknown: intent == Intent::Write };
            return Self::of(verdict, one_line(&error.to_string()));
        };
        let mut causes = Vec::new();
        let mut source = status.source();
        while let Some(cause) = source {
            if let Some(dial) = cause.downcast_ref::<DialError>() {
                let class = if dial.blocked { FailureClass::Blocked } else { FailureClass::Retry };
                let verdict = Verdict { class, unknown: false };
                return Self { unsent: true, ..Self::of(verdict, one_line(&dial.cause)) };
            }
            if let Some(stranger) = cause.downcast_ref::<Stranger>() {
                let unknown = intent == Intent::Write && stranger.written();
                let verdict = Verdict { class: stranger.class(), unknown };
                return Self::of(verdict, stranger.to_string());
            }
            if let Some(ended) = cause.downcast_ref::<ConnectionEnded>() {
                let verdict = Verdict { class: FailureClass::Retry, unknown: false };
                let fault = Self::of(verdict, ended.to_string());
                return Self { unsent: true, ended: true, ..fault };
            }
            causes.push(cause.to_string());
            source = cause.source();
        }
        let mut text = narrate(status.message(), &causes);
        let unknown = intent == Intent::Write;
        let Verdict { class, unknown: possible } = judge(status.code(), &text);
        if class == FailureClass::NotEtcd {
            text = not_etcd(&text);
        }
        let verdict = Verdict { class, unknown: possible && unknown };
        Self { cause: cause(&text), ..Self::of(verdict, text) }
    }

    pub(crate) fn of(verdict: Verdict, text: String) -> Self {
        Self { verdict, text, unsent: false, ended: false, cause: FailureCause::Other }
    }

    /// Says it to the caller.
    pub(crate) fn failure(self, url: &str) -> Failure {
        Failure {
            class: self.verdict.class,
            outcome_unknown: self.verdict.unknown,
            cause: self.cause,
            message: format!("{url}: {}", self.text),
        }
    }
}

/// The message, and those causes that add something to it.
fn narrate(message: &str, causes: &[String]) -> String {
    let mut text = message.to_owned();
    for cause in causes {
        if !text.contains(cause.as_str()) {
            text = if text.is_empty() { cause.clone() } else { format!("{text}: {cause}") };
        }
    }
    if text.is_empty() { "no reason given".to_owned() } else { one_line(&text) }
}

/// Error texts come from the peer: nothing in them may forge a line in a log.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(1_000).collect()
}

const TOO_MANY_OPS: &str = "too many operations in txn request";

/// What etcd's server adds to `--max-request-bytes` for the largest message that it reads
/// (`grpcOverheadBytes` in etcd's `server/embed/config.go`, the same from 3.4 to 3.7).
const MESSAGE_OVERHEAD_BYTES: u64 = 512 << 10;

/// What a text says that a caller can act on.
fn cause(text: &str) -> FailureCause {
    if text.contains(TOO_MANY_OPS) {
        return FailureCause::Operations { max: None };
    }
    // What tonic refused at its length, unread.
    if let Some(bytes) = number_after(text, "decoded message length too large: found ") {
        return FailureCause::Size(bytes);
    }
    // What the server refused at its length, unread.
    let larger = text.split_once("received message larger than max (").map(|(_, rest)| rest);
    match larger.and_then(|rest| number_after(rest, " vs. ")) {
        Some(max) if max > MESSAGE_OVERHEAD_BYTES => {
            FailureCause::SizeMax(max - MESSAGE_OVERHEAD_BYTES)
        }
        Some(_) | None => FailureCause::Other,
    }
}

fn number_after(text: &str, before: &str) -> Option<u64> {
    let (_, rest) = text.split_once(before)?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

/// What a text of etcd's own, or of gRPC's, means: a part of the text, the class, and whether a
/// write that ended so may have had an effect.
///
/// From etcd's `rpctypes/error.go`, measured where a note says so.
const TEXTS: &[(&str, FailureClass, bool)] = &[
    ("required revision has been compacted", FailureClass::Resync, false),
    // A member that lags behind, or a history that went back: a linearizable read tells which.
    ("required revision is a future revision", FailureClass::Retry, false),
    // etcd answers so to the write that crosses the quota, and applies it all the same
    // (`quotaApplierV3.Txn`, 3.5 to 3.7): the outcome is known for later ones only.
    ("database space exceeded", FailureClass::NoSpace, true),
    ("corrupt cluster", FailureClass::Corrupt, false),
    ("authentication failed, invalid user", FailureClass::Blocked, false),
    (UNREADABLE, FailureClass::Blocked, false),
    ("invalid auth token", FailureClass::Reauthenticate, false),
    ("user name is empty", FailureClass::Reauthenticate, false),
    ("revision of auth store is old", FailureClass::Reauthenticate, false),
    // 3.5.1 says so of an expired token too.
    ("permission denied", FailureClass::Reauthenticate, false),
    ("request is too large", FailureClass::TooLarge, false),
    ("received message larger than max", FailureClass::TooLarge, false),
    ("decoded message length too large", FailureClass::TooLarge, true),
    // kine, which takes only what an API server sends; the second is its older text.
    ("unsupported operations in txn request", FailureClass::NotEtcd, false),
    ("unsupported transaction: ", FailureClass::NotEtcd, false),
    ("unknown service etcdserverpb.KV", FailureClass::NotEtcd, false),
    // More than `--max-txn-ops`: a smaller limit is learned, and told to nobody (`Link::fewer_ops`).
    (TOO_MANY_OPS, FailureClass::Blocked, false),
    ("duplicate key given in txn request", FailureClass::Fatal, false),
    ("key is not provided", FailureClass::Fatal, false),
    ("too many requests", FailureClass::Retry, false),
    ("rpc not supported for learner", FailureClass::Retry, false),
    ("not supported for learner", FailureClass::Retry, false),
    // TLS 1.3: the member refuses our certificate after the handshake has ended for us.
    ("received fatal alert", FailureClass::Blocked, true),
    ("invalid peer certificate", FailureClass::Blocked, true),
];

fn judge(code: Code, text: &str) -> Verdict {
    for (part, class, unknown) in TEXTS {
        if text.contains(part) {
            return Verdict { class: *class, unknown: *unknown };
        }
    }
    let (class, unknown) = match code {
        Code::Unauthenticated | Code::PermissionDenied => (FailureClass::Reauthenticate, false),
        Code::InvalidArgument | Code::OutOfRange | Code::NotFound | Code::AlreadyExists => {
            (FailureClass::Fatal, false)
        }
        // Something else answers there, or a server that needs somebody's hand.
        Code::Unimplemented | Code::FailedPrecondition => (FailureClass::Blocked, false),
        // All of etcd's `request timed out`, `leader changed` and `server stopped`; HTTP/2 streams
        // that were reset; connections that broke.
        Code::Ok
        | Code::Unavailable
        | Code::Unknown
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Internal
        | Code::Aborted
        | Code::DataLoss
        | Code::ResourceExhausted => (FailureClass::Retry, true),
    };
    Verdict { class, unknown }
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;
    use crate::identity::{Origin, Pin};

    fn fault(code: Code, message: &str, intent: Intent) -> Fault {
        Fault::new(&Error::GRpcStatus(Status::new(code, message)), intent)
    }

    #[test]
    fn every_known_answer_means_what_the_table_says() {
        use Code::*;
        use FailureClass::{
            Blocked, Corrupt, Fatal, NoSpace, NotEtcd, Reauthenticate, Resync, Retry, TooLarge,
        };
        let table = [
            (OutOfRange, "etcdserver: mvcc: required revision has been compacted", Resync, false),
            (OutOfRange, "etcdserver: mvcc: required revision is a future revision", Retry, false),
            (OutOfRange, "Error, decoded message length too large: found 5 bytes", TooLarge, true),
            (ResourceExhausted, "etcdserver: mvcc: database space exceeded", NoSpace, true),
            (ResourceExhausted, "etcdserver: too many requests", Retry, false),
            (
                ResourceExhausted,
                "grpc: received message larger than max (3 vs. 2)",
                TooLarge,
                false,
            ),
            (DataLoss, "etcdserver: corrupt cluster", Corrupt, false),
            (PermissionDenied, "etcdserver: permission denied", Reauthenticate, false),
            (Unauthenticated, "etcdserver: invalid auth token", Reauthenticate, false),
            (Unknown, "etcdserver: invalid auth token", Reauthenticate, false),
            (InvalidArgument, "etcdserver: user name is empty", Reauthenticate, false),
            (InvalidArgument, "etcdserver: revision of auth store is old", Reauthenticate, false),
            (
                InvalidArgument,
                "etcdserver: authentication failed, invalid user ID or password",
                Blocked,
                false,
            ),
            (InvalidArgument, "etcdserver: request is too large", TooLarge, false),
            (InvalidArgument, "etcdserver: too many operations in txn request", Blocked, false),
            (InvalidArgument, "etcdserver: duplicate key given in txn request", Fatal, false),
            (InvalidArgument, "something new", Fatal, false),
            (Unavailable, "etcdserver: no leader", Retry, true),
            (Unavailable, "etcdserver: request timed out", Retry, true),
            (Unavailable, "etcdserver: leader changed", Retry, true),
            (Unavailable, "etcdserver: rpc not supported for learner", Retry, false),
            (Unknown, "context deadline exceeded", Retry, true),
            (Unknown, "h2 protocol error: error reading a body from connection", Retry, true),
            (Unavailable, "received fatal alert: BadCertificate", Blocked, true),
            (Cancelled, "operation was canceled", Retry, true),
            (DeadlineExceeded, "", Retry, true),
            (Unimplemented, "unknown service etcdserverpb.KV", NotEtcd, false),
            (Unimplemented, "unknown service etcdserverpb.Maintenance", Blocked, false),
            (InvalidArgument, "etcdserver: unsupported operations in txn request", NotEtcd, false),
            (Unknown, "unsupported transaction: success:<>", NotEtcd, false),
        ];
        for (code, message, class, unknown) in table {
            let read = fault(code, message, Intent::Read).verdict;
            assert_eq!(read, Verdict { class, unknown: false }, "read: {code:?} {message}");
            let write = fault(code, message, Intent::Write).verdict;
            assert_eq!(write, Verdict { class, unknown }, "write: {code:?} {message}");
        }
    }

    #[test]
    fn what_a_refusal_says_of_limits_is_read() {
        let cause = |message| fault(Code::ResourceExhausted, message, Intent::Write).cause;
        let table = [
            (
                "Error, decoded message length too large: found 665840531 bytes, the limit is: 1 bytes",
                FailureCause::Size(665_840_531),
            ),
            (
                "grpc: received message larger than max (1048620 vs. 589824)",
                FailureCause::SizeMax(65_536),
            ),
            ("grpc: received message larger than max (9 vs. 8)", FailureCause::Other),
            (
                "etcdserver: too many operations in txn request",
                FailureCause::Operations { max: None },
            ),
            ("etcdserver: request is too large", FailureCause::Other),
        ];
        for (message, expected) in table {
            assert_eq!(cause(message), expected, "{message}");
        }
    }

    #[test]
    fn every_code_has_a_class() {
        for number in 0..=16 {
            let _ = fault(Code::from_i32(number), "?", Intent::Write);
        }
    }

    #[test]
    fn a_connection_that_was_never_made_carried_no_write() {
        let dial = DialError { blocked: false, cause: "can't connect (refused)".into() };
        let status = Status::from_error(Box::new(dial));
        let fault = Fault::new(&Error::GRpcStatus(status), Intent::Write);
        assert_eq!(fault.verdict, Verdict { class: FailureClass::Retry, unknown: false });
        assert!(fault.unsent);
    }

    #[test]
    fn a_connection_that_has_ended_carried_no_write_and_may_be_made_anew() {
        let status = Status::from_error(Box::new(ConnectionEnded));
        let fault = Fault::new(&Error::GRpcStatus(status), Intent::Write);
        assert_eq!(fault.verdict, Verdict { class: FailureClass::Retry, unknown: false });
        assert!(fault.unsent && fault.ended);
    }

    #[test]
    fn what_another_cluster_answers_to_a_write_is_known_if_it_refused() {
        let pin = Pin::default();
        let origin = |cluster, written| Origin { cluster, always: true, written };
        pin.admit(origin(1, false), false).unwrap();
        for written in [false, true] {
            let stranger = pin.admit(origin(2, written), false).unwrap_err();
            let fault = Fault::new(&stranger.into(), Intent::Write);
            let verdict = Verdict { class: FailureClass::OtherCluster, unknown: written };
            assert_eq!(fault.verdict, verdict);
            assert!(fault.text.starts_with("answered as cluster 2; cluster 1"), "{}", fault.text);
        }
    }

    #[test]
    fn a_peers_words_stay_on_one_line() {
        let fault = fault(Code::Unknown, "a\nERROR b\x1b[0m", Intent::Read);
        assert_eq!(fault.text, "a ERROR b [0m");
    }
}
