//! For each gate what is said of it when it is closed, and when it is open.

/// A gate of any plan.
pub(super) struct Row {
    pub(super) gate: &'static str,
    /// What closes it: each of these is said by a real run or rehearsal of every plan that has it.
    pub(super) closed: &'static [&'static str],
    /// What is said when it is open.
    pub(super) open: &'static str,
}

const fn row(gate: &'static str, closed: &'static [&'static str], open: &'static str) -> Row {
    Row { gate, closed, open }
}

/// Every gate of every plan.
pub(super) const ROWS: [Row; 27] = [
    row("bundle", &["there is no bundle"], "1 puts and 0 deletions of east after revision "),
    row("certificate", &["lacks 127."], "holds a certificate for platform.example.org, 127."),
    row("certificate-served", &["lacks 127."], "platform.example.org, 127."),
    row("checked-lately", &["drift: ", "(0 missed, 1 surplus, 0 different)"], "in-sync: "),
    row("different-clusters", &["kube-system", "etcd clusters "], "etcd clusters "),
    row("dns-known", &["a person says no"], "a person says so"),
    row("domain-primary", &[" says 127.0.0.7 for"], " for 60 s"),
    row("drained", &["1 writes, one of them to /registry/secrets/load/sealed"], "nothing in scope"),
    row("encryption-same", &["encryption-provider.conf: it differs: "], "on all 2 nodes"),
    row("etcd-answers", &["refused"], "speaks HTTP/2; without TLS"),
    row(
        "headroom",
        &["1 revisions are to be mirrored; the primary is compacted up to "],
        "the primary keeps its whole history",
    ),
    row(
        "history",
        &["the checkpoint was taken from cluster "],
        "the primary shows what was mirrored last",
    ),
    row("in-sync", &["drift: ", "(0 missed, 1 surplus, 0 different)"], "in-sync: "),
    row("lag", &["no instance holds the leader key"], " s and 0 revisions behind"),
    row("local-backups", &["a person says no"], "a person says so"),
    row(
        "loss-within-objective",
        // Where neither the primary nor the mirror lives, the time is unknown.
        &[": 1 revisions, of which some", "east last seen at 4, an unknown time ago"],
        ": 0 revisions, of which some",
    ),
    row("no-guard", &["encryption_key: "], "it is following"),
    row("one-leader", &["nobody holds the leader's key"], " leads, epoch 1"),
    row("owners-live", &["load/orphan wants ConfigMap gone"], "each one that lives"),
    row("preflight", &["both ends are the same cluster"], "ready: nothing stands against"),
    row(
        "primary-gone",
        &["the API of east answers", "the member at http://127.0.0.1:"],
        "etcd members of east are silent, that of west answers",
    ),
    row("revision-floor", &["the standby is at "], "the standby is at 2000000"),
    row("standby-healthy", &["refused"], "% of its quota"),
    row("tokens-same", &["issuers differ"], "1 keys"),
    row("values-readable", &["load/token, not encrypted: it answers 500"], "not encrypted"),
    row("versions-fit", &["v1.29.0"], "v1.30.2"),
    row(
        "writers-fenced",
        &["the API of east would accept", " writes, one of them to /registry/configmaps/load/live"],
        "nobody wrote into the scope for 3 s",
    ),
];
