//! Against a real etcd, found by `ETCD_BIN` or on `PATH`.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod auth;
mod commit;
mod etcd;
mod failover;
mod read;
mod tls;
mod watch;
