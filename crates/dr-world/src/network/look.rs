//! A TLS handshake that believes nothing and remembers what it was shown.
//!
//! Which certificate is served has to be known also when it is the wrong one. So the handshake takes
//! any, proves only that the server holds its key, and the judgement comes after.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::address::Address;
use super::dial::{DialError, dial};

/// What a server showed.
pub(crate) struct Look {
    /// Its certificate, then those that lead to an authority.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// The protocol that it chose; `None` if it chose none.
    pub(crate) protocol: Option<Vec<u8>>,
    /// The connection.
    pub(crate) stream: TlsStream<TcpStream>,
}

/// A client's certificates and key, for servers that ask for them.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// The cryptography that everything here uses.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Makes a TLS connection to `address`, asks for `server_name`, and offers these protocols.
pub(crate) async fn look(
    address: &Address,
    server_name: &str,
    protocols: &[&[u8]],
    identity: Option<Identity>,
    limit: Duration,
) -> Result<Look, LookError> {
    let name = ServerName::try_from(server_name.to_owned())
        .map_err(|_| LookError::Here(format!("{server_name} is no name for a certificate")))?;
    let config = config(protocols, identity).map_err(|error| LookError::Here(error.to_string()))?;
    let stream = dial(address, limit).await.map_err(LookError::Dial)?;
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let stream = match timeout(limit, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(LookError::Handshake(told(address, &error))),
        Err(_) => {
            let waited = humantime::format_duration(limit);
            let text = format!("{address} accepts, and says nothing within {waited}");
            return Err(LookError::Handshake(text));
        }
    };
    let (_, session) = stream.get_ref();
    let chain = session.peer_certificates().unwrap_or_default();
    let chain = chain.iter().map(|der| der.clone().into_owned()).collect();
    let protocol = session.alpn_protocol().map(<[u8]>::to_vec);
    Ok(Look { chain, protocol, stream })
}

/// Why nothing was seen.
#[derive(Debug)]
pub(crate) enum LookError {
    /// No connection.
    Dial(DialError),
    /// A connection, and no TLS.
    Handshake(String),
    /// The fault is on this side.
    Here(String),
}

impl LookError {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Dial(error) => error.text(),
            Self::Handshake(text) | Self::Here(text) => text,
        }
    }
}

fn told(address: &Address, error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(Error::InvalidMessage(_)) => format!("{address} does not speak TLS"),
        Some(error) => format!("{address}: TLS: {error}"),
        None => format!("{address} hangs up in the TLS handshake ({error})"),
    }
}

fn config(protocols: &[&[u8]], identity: Option<Identity>) -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider())));
    let mut config = match identity {
        Some(Identity { chain, key }) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}

/// Says whether these authorities stand for what was shown, under this name, now.
pub(crate) fn trusted(
    roots: RootCertStore,
    chain: &[CertificateDer<'static>],
    server_name: &str,
) -> Result<(), Distrust> {
    let broken = |text: String| Distrust::Other(text);
    let (leaf, rest) = chain.split_first().ok_or_else(|| broken("no certificate".to_owned()))?;
    let name = ServerName::try_from(server_name.to_owned())
        .map_err(|_| broken(format!("{server_name} is no name for a certificate")))?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|error| broken(error.to_string()))?;
    match verifier.verify_server_cert(leaf, rest, &name, &[], UnixTime::now()) {
        Ok(_) => Ok(()),
        // The name is looked at last: everything else is well.
        Err(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => Err(Distrust::Name),
        Err(Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        )) => Err(Distrust::Authority),
        Err(error) => Err(broken(error.to_string())),
    }
}

/// Why a certificate is not trusted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Distrust {
    /// It lacks the name; the authority is the right one.
    Name,
    /// Another authority signed it.
    Authority,
    /// Expired, or for another use.
    Other(String),
}

/// Takes any certificate whose key the server proves to hold.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
