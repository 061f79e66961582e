//! Making a connection: TCP, then TLS with the files as they are at that moment.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
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
) -> Result<TokioIo<Box<dyn Wire>>, DialError> {
    let limit = settings.connect_timeout;
    match deadline::within(limit, connect(endpoint, settings)).await {
        Some(made) => made.map(TokioIo::new),
        None => Err(DialError::away(format!("no connection within {}", deadline::shown(limit)))),
    }
}

async fn connect(endpoint: &Endpoint, settings: &Settings) -> Result<Box<dyn Wire>, DialError> {
    let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port))
        .await
        .map_err(|error| DialError::away(format!("can't connect ({error})")))?;
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
