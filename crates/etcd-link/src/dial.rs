//! Making a connection: TCP, then TLS with the files as they are at that moment.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::deadline;
use crate::settings::{Endpoint, Settings, SettingsError, read_file};

/// A connection that was never made: nothing that was to be sent over it has been sent.
#[derive(Clone, Debug)]
pub(crate) struct DialError {
    /// Waiting won't help: certificates or their files have to change.
    pub(crate) blocked: bool,
    pub(crate) cause: String,
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

impl Error for DialError {}

impl DialError {
    fn away(cause: impl Into<String>) -> Self {
        Self { blocked: false, cause: cause.into() }
    }

    fn blocked(cause: impl Into<String>) -> Self {
        Self { blocked: true, cause: cause.into() }
    }
}

/// What a connection is to those who use it.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Connects to a member.
pub(crate) async fn dial(
    endpoint: &Endpoint,
    settings: &Settings,
) -> Result<Box<dyn Wire>, DialError> {
    let limit = settings.connect_timeout;
    match deadline::within(limit, connect(endpoint, settings)).await {
        Some(made) => made,
        None => Err(DialError::away(format!("no connection within {}", deadline::shown(limit)))),
    }
}

async fn connect(endpoint: &Endpoint, settings: &Settings) -> Result<Box<dyn Wire>, DialError> {
    let unreachable = |error: io::Error| DialError::away(format!("can't connect ({error})"));
    let addresses = lookup_host((endpoint.host.as_str(), endpoint.port)).await;
    let addresses = in_turns(addresses.map_err(unreachable)?);
    let stream = race(addresses, TcpStream::connect::<SocketAddr>).await.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(|error| DialError::away(error.to_string()))?;
    if !endpoint.tls {
        return Ok(Box::new(stream));
    }
    let config = tls_config(settings).map_err(|error| DialError::blocked(error.to_string()))?;
    let name = ServerName::try_from(endpoint.host.clone())
        .map_err(|_| DialError::blocked("the host is no name that a certificate can carry"))?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let mut stream = stream.map_err(|error| handshake_failed(&error))?;
    // In TLS 1.3 a member refuses our certificate after the handshake has ended for us. Read in
    // time, the refusal is told as such, and is known to have come before any request. A member
    // that accepts sends its HTTP/2 settings first; one that waits for ours costs a moment.
    match deadline::within(FIRST_WORD, stream.fill_buf()).await {
        Some(Ok([])) => Err(DialError::away("the member hung up after the TLS handshake")),
        Some(Err(error)) => Err(handshake_failed(&error)),
        Some(Ok(_)) | None => Ok(Box::new(stream)),
    }
}

/// How long an address is tried alone before the next one is tried beside it (RFC 8305).
const HEAD_START: Duration = Duration::from_millis(250);

/// Orders addresses so that IPv6 and IPv4 take turns, in the order that the system prefers.
fn in_turns(addresses: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let addresses: Vec<_> = addresses.collect();
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut preferred, mut other) = (preferred.into_iter(), other.into_iter());
    let mut ordered = Vec::new();
    loop {
        let turn = [preferred.next(), other.next()];
        if turn == [None, None] {
            return ordered;
        }
        ordered.extend(turn.into_iter().flatten());
    }
}

/// Tries addresses one beside the other, each a moment after the one before it or as soon as that
/// one has failed, and takes the first that answers: one that leads nowhere holds up nobody.
async fn race<A, T, Connecting>(
    addresses: Vec<A>,
    connect: impl Fn(A) -> Connecting,
) -> io::Result<T>
where
    T: Send + 'static,
    Connecting: Future<Output = io::Result<T>> + Send + 'static,
{
    let mut waiting = addresses.into_iter();
    let mut racing = JoinSet::new();
    let mut failed = None;
    loop {
        if let Some(address) = waiting.next() {
            racing.spawn(connect(address));
        }
        let alone = waiting.len() == 0;
        let ended = tokio::select! {
            biased;
            ended = racing.join_next() => ended,
            () = tokio::time::sleep(HEAD_START), if !alone => continue,
        };
        match ended {
            Some(Ok(Ok(stream))) => return Ok(stream),
            Some(Ok(Err(error))) => failed = Some(error),
            Some(Err(error)) => failed = Some(io::Error::other(error)),
            None if alone => {
                let none = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
                return Err(failed.unwrap_or_else(none));
            }
            None => {}
        }
    }
}

/// How long to wait for what a member says after a TLS handshake: a few round trips.
const FIRST_WORD: Duration = Duration::from_millis(500);

/// Says what a failed handshake means: a refusal, or a connection that broke.
fn handshake_failed(error: &io::Error) -> DialError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(inner) = inner else {
        return DialError::away(format!(
            "TLS handshake broken off ({error}): restarting, or no TLS there?"
        ));
    };
    // Authorities often share a name (`etcd-ca`); then the signature is what does not fit.
    let hint = if matches!(
        inner,
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature
        )
    ) {
        "certificate signed by an unknown authority: "
    } else if matches!(inner, rustls::Error::InvalidCertificate(_)) {
        "certificate not accepted: "
    } else if matches!(inner, rustls::Error::AlertReceived(_)) {
        "refused by the member: "
    } else {
        "does the endpoint speak TLS? "
    };
    DialError::blocked(format!("TLS: {hint}{inner}"))
}

/// Builds the TLS configuration from the files.
pub(crate) fn tls_config(settings: &Settings) -> Result<ClientConfig, SettingsError> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = &settings.cacert {
        for cert in read_certs("cacert", file)? {
            roots.add(cert).map_err(|error| unusable("cacert", file, &error))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SettingsError::new("cacert", error.to_string()))?
        .with_root_certificates(roots);
    let mut config = match (&settings.cert, &settings.key) {
        (Some(cert), Some(key)) => {
            let der = PrivateKeyDer::from_pem_slice(&read_file("key", key)?)
                .map_err(|error| unusable("key", key, &error))?;
            config
                .with_client_auth_cert(read_certs("cert", cert)?, der)
                .map_err(|error| unusable("key", key, &error))?
        }
        _ => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn read_certs(
    field: &'static str,
    file: &Path,
) -> Result<Vec<CertificateDer<'static>>, SettingsError> {
    let pem = read_file(field, file)?;
    let certs = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unusable(field, file, &error))?;
    if certs.is_empty() {
        let problem = format!("{} holds no certificate (give a PEM file)", file.display());
        return Err(SettingsError::new(field, problem));
    }
    Ok(certs)
}

fn unusable(field: &'static str, file: &Path, error: &dyn Error) -> SettingsError {
    SettingsError::new(field, format!("{} is unusable ({error})", file.display()))
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    /// How an address behaves that is tried.
    #[derive(Clone, Copy)]
    enum Address {
        Silent,
        Refuses,
        Answers(u8),
        AnswersLate(u8),
    }

    async fn tried(address: Address) -> io::Result<u8> {
        match address {
            Address::Silent => std::future::pending().await,
            Address::Refuses => Err(io::ErrorKind::ConnectionRefused.into()),
            Address::Answers(number) => Ok(number),
            Address::AnswersLate(number) => {
                tokio::time::sleep(Duration::from_millis(700)).await;
                Ok(number)
            }
        }
    }

    async fn raced(addresses: &[Address]) -> (io::Result<u8>, u128) {
        let began = Instant::now();
        let winner = race(addresses.to_vec(), tried).await;
        (winner, began.elapsed().as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_leads_nowhere_holds_up_no_other() {
        use Address::{Answers, AnswersLate, Refuses, Silent};
        for (addresses, winner, millis) in [
            (&[Answers(1), Answers(2)][..], 1, 0),
            (&[Silent, Answers(2)], 2, 250),
            (&[Silent, Silent, Silent, Answers(4)], 4, 750),
            (&[Refuses, Answers(2)], 2, 0),
            (&[Silent, Refuses, Answers(3)], 3, 250),
            (&[AnswersLate(1), Silent], 1, 700),
            (&[AnswersLate(1), AnswersLate(2)], 1, 700),
        ] {
            let (won, took) = raced(addresses).await;
            assert_eq!((won.unwrap(), took), (winner, millis), "{} addresses", addresses.len());
        }
        let (lost, _) = raced(&[Refuses, Refuses]).await;
        assert_eq!(lost.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert!(raced(&[]).await.0.is_err());
    }

    #[test]
    fn both_families_take_turns() {
        let six = |n: u16| SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, n], 1));
        let four = |n: u8| SocketAddr::from(([192, 0, 2, n], 1));
        let order = in_turns([six(1), six(2), six(3), four(1)].into_iter());
        assert_eq!(order, [six(1), four(1), six(2), six(3)]);
        let order = in_turns([four(1), six(1), six(2)].into_iter());
        assert_eq!(order, [four(1), six(1), six(2)]);
    }
}
