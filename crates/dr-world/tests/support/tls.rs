//! Certificates, and servers that show them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub(crate) fn issue(&self, names: &[&str]) -> Issued {
        self.issue_until(names, 4_000)
    }

    /// Signs one that is good until the end of that year's first day.
    pub(crate) fn issue_until(&self, names: &[&str], year: i32) -> Issued {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, "served");
        params.not_after = date_time_ymd(year, 1, 1);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Issued { certificate, key: key.serialize_pem() }
    }
}

impl Issued {
    /// Writes `NAME.crt` and `NAME.key`.
    pub(crate) fn write(&self, dir: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) =
            (dir.join(name).with_extension("crt"), dir.join(name).with_extension("key"));
        std::fs::write(&certificate, &self.certificate).unwrap();
        std::fs::write(&key, &self.key).unwrap();
        (certificate, key)
    }

    /// TLS of a server with it. One with an authority wants certificates of its clients too.
    pub(crate) fn server(&self, protocols: &[&str], clients: Option<&Authority>) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                let der = CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap();
                roots.add(der).unwrap();
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain = CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let mut config = builder.with_single_cert(vec![chain], key).unwrap();
        config.alpn_protocols = protocols.iter().map(|one| one.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// What a server says to whatever it hears.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Says {
    Nothing,
    /// These bytes, then it hangs up.
    Bytes(&'static str),
}

/// The beginning of a server of HTTP/2: its settings.
pub(crate) const HTTP2: Says = Says::Bytes("\0\0\0\x04\0\0\0\0\0");
/// A page.
pub(crate) const PAGE: Says = Says::Bytes("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage");

/// It ends when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Starts one, with TLS or without.
    pub(crate) async fn start(tls: Option<TlsAcceptor>, says: Says) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), tls, says)
    }

    /// Starts one that listens there.
    pub(crate) fn on(listener: TcpListener, tls: Option<TlsAcceptor>, says: Says) -> Self {
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let tls = tls.clone();
                connections.spawn(async move {
                    match tls {
                        // A client that does not like the certificate hangs up.
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => speak(stream, says).await,
                            Err(_) => Ok(()),
                        },
                        None => speak(stream, says).await,
                    }
                });
            }
        });
        Self { address, _tasks: tasks }
    }

    /// One that accepts connections and never says a word.
    pub(crate) async fn mute() -> Self {
        Self::start(None, Says::Nothing).await
    }
}

async fn speak(
    mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    says: Says,
) -> std::io::Result<()> {
    let mut heard = [0; 4_096];
    while stream.read(&mut heard).await? > 0 {
        if let Says::Bytes(bytes) = says {
            stream.write_all(bytes.as_bytes()).await?;
            stream.shutdown().await?;
        }
    }
    Ok(())
}

/// An address at which nobody listens.
pub(crate) async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}
