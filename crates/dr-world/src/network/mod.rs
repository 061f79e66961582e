//! Names, connections and certificates, looked at from the machine that runs the plan.

pub(crate) mod address;
mod certificate;
pub(crate) mod dial;
mod dns;
mod etcd;
pub(crate) mod look;
mod page;
mod resolves;

pub(crate) use resolves::{leads_only_to, listed};

use std::collections::BTreeSet;

use dr_plan::Answer;
use dr_plan::topology::EtcdAccess;

use crate::Settings;
use crate::words::{fails, holds, unknown};
use address::Address;
use certificate::Certificate;
use dial::{DialError, dial};
use look::{LookError, look};

/// The network as this machine sees it. It changes nothing.
#[derive(Clone, Debug)]
pub struct Network {
    settings: Settings,
    /// The file with the platform's certificate.
    certificate: String,
    https_port: u16,
}

impl Network {
    /// Prepares to look. `certificate` is the file with the platform's certificate, `https_port`
    /// the port of its address.
    #[must_use]
    pub fn new(settings: Settings, certificate: impl Into<String>, https_port: u16) -> Self {
        Self { settings, certificate: certificate.into(), https_port }
    }

    /// Says whether every name server that answers leads from the name to the address, and to no
    /// other.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any moment, as all futures here: they only look.
    pub async fn resolves(&self, name: &str, address: &str) -> Answer {
        resolves::resolves(&self.settings, name, address).await
    }

    /// Says whether a TCP connection is accepted. No answer within the time limit is a no: that is
    /// how a firewall says it.
    ///
    /// # Cancel safety
    ///
    /// See [`Network::resolves`].
    pub async fn connects(&self, host: &str, port: u16) -> Answer {
        let at = Address::new(host, port);
        match dial(&at, self.settings.time_limit).await {
            Ok(_) => holds(format!("{at} accepts a connection")),
            Err(DialError::Silent(why)) => fails(why),
            Err(DialError::Here(why)) => unknown(why),
        }
    }

    /// Says whether an etcd answers there itself: its certificate is of this etcd's authority, and
    /// it speaks HTTP/2. Which cluster it is only an etcd client can tell.
    ///
    /// # Cancel safety
    ///
    /// See [`Network::resolves`].
    pub async fn speaks_etcd(&self, endpoint: &str, etcd: &EtcdAccess) -> Answer {
        etcd::speaks_etcd(endpoint, etcd, self.settings.time_limit).await
    }

    /// Says whether the certificate that is served under a name has all these names.
    ///
    /// # Cancel safety
    ///
    /// See [`Network::resolves`].
    pub async fn certificate_names(
        &self,
        host: &str,
        port: u16,
        server_name: &str,
        names: &[String],
    ) -> Answer {
        let at = Address::new(host, port);
        match self.shown(&at, server_name).await {
            Ok(shown) => named(&format!("{at} serves a certificate"), &shown, names),
            Err(answer) => answer,
        }
    }

    /// Says whether the certificate in a file has all these names, and is good today.
    #[must_use]
    pub fn certificate_file(&self, file: &str, names: &[String]) -> Answer {
        match Certificate::of_file(file) {
            Ok(found) => named(&format!("{file} holds a certificate"), &found, names),
            Err(why) if std::fs::exists(file).is_ok_and(|exists| !exists) => fails(why),
            Err(why) => unknown(why),
        }
    }

    /// Says whether all hosts serve the same certificate under a name. A host may carry a port.
    ///
    /// # Cancel safety
    ///
    /// See [`Network::resolves`].
    pub async fn same_certificate(&self, hosts: &[String], server_name: &str) -> Answer {
        let (mut words, mut seen, mut unseen) = (Vec::new(), BTreeSet::new(), None);
        for host in hosts {
            let Some(at) = Address::parse(host, self.https_port) else {
                return unknown(format!("{host} is no address"));
            };
            match self.shown(&at, server_name).await {
                Ok(shown) => {
                    words.push(format!("{at} serves {}", shown.short()));
                    seen.insert(shown.fingerprint);
                }
                Err(answer) => {
                    words.push(answer.evidence.clone());
                    unseen = unseen.or(Some(answer.verdict));
                }
            }
        }
        let evidence = words.join("; ");
        match (seen.len(), unseen) {
            // Two that differ: a third that is silent does not mend that.
            (2.., _) => fails(evidence),
            (_, Some(verdict)) => Answer::new(verdict, evidence),
            (1, None) => holds(evidence),
            (_, None) => unknown("no host was named"),
        }
    }

    /// Says whether the address serves the platform's page, under the name in its URL and with the
    /// platform's certificate.
    ///
    /// # Cancel safety
    ///
    /// See [`Network::resolves`].
    pub async fn page_served(&self, url: &str, address: &str) -> Answer {
        page::page_served(url, address, &self.certificate, self.settings.time_limit).await
    }

    async fn shown(&self, at: &Address, server_name: &str) -> Result<Certificate, Answer> {
        let seen = look(at, server_name, &[], None, self.settings.time_limit).await;
        let seen = seen.map_err(|error| not_seen(&error))?;
        let shown = seen.chain.first().and_then(Certificate::read);
        shown.ok_or_else(|| fails(format!("{at} shows no certificate that can be read")))
    }
}

/// What is to be said about a server that showed nothing: nobody serves there, or nobody can tell.
fn not_seen(error: &LookError) -> Answer {
    match error {
        LookError::Dial(DialError::Silent(why)) => fails(why.as_str()),
        LookError::Dial(DialError::Here(why))
        | LookError::Handshake(why)
        | LookError::Here(why) => unknown(why.as_str()),
    }
}

fn named(what: &str, certificate: &Certificate, names: &[String]) -> Answer {
    let lacks = certificate.lacks(names);
    if !lacks.is_empty() {
        let (lacks, has) = (lacks.join(", "), certificate.named());
        return fails(format!("{what} that lacks {lacks}; it names {has}"));
    }
    match certificate.out_of_date(certificate::now()) {
        Some(why) => fails(format!("{what} with all the names; {why}")),
        None => holds(format!("{what} for {}, {}", certificate.named(), certificate.introduced())),
    }
}
