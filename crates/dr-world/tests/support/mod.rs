//! A world on 127.0.0.1: an API, a name server, servers with certificates, nodes. Each module stands by
//! itself, so that other tests can take it in.

pub(crate) mod dns;
pub(crate) mod kube;
pub(crate) mod ssh;
pub(crate) mod tls;
