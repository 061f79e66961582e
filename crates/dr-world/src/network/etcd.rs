//! Whether it is an etcd that answers, or something in between.

use std::time::Duration;

use dr_plan::Answer;
use dr_plan::topology::EtcdAccess;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use super::address::Url;
use super::certificate::Certificate;
use super::dial::{DialError, dial};
use super::look::{Distrust, Identity, Look, LookError, look, trusted};
use crate::words::{fails, holds, unknown};

/// How a client of HTTP/2 begins: the preface, and settings that change nothing.
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Looks at the endpoint as a client of this etcd. What is learned is the TLS half of the answer;
/// the cluster's id is the other.
pub(super) async fn speaks_etcd(endpoint: &str, etcd: &EtcdAccess, limit: Duration) -> Answer {
    let Some(url) = Url::parse(endpoint) else {
        return unknown(format!("{endpoint} is no URL"));
    };
    if !url.tls {
        return match dial(&url.address, limit).await {
            Ok(stream) => first_word(endpoint, "without TLS", stream, limit).await,
            Err(DialError::Silent(why)) => fails(why),
            Err(DialError::Here(why)) => unknown(why),
        };
    }
    let (roots, identity) = match files(etcd) {
        Ok(files) => files,
        Err(why) => return unknown(why),
    };
    let seen = look(&url.address, &url.address.host, &[b"h2", b"http/1.1"], identity, limit).await;
    let Look { chain, protocol, stream } = match seen {
        Ok(seen) => seen,
        Err(LookError::Dial(DialError::Silent(why))) => return fails(why),
        // A handshake that breaks off may be a member that refuses our certificate.
        Err(error) => return unknown(error.text()),
    };
    let shown = chain.first().and_then(Certificate::read);
    let shown = shown.map_or_else(|| "none that can be read".to_owned(), |it| it.introduced());
    let name = match trusted(roots, &chain, &url.address.host) {
        Ok(()) => "its TLS is the etcd's own",
        Err(Distrust::Name) => {
            "its TLS is the etcd's own, though the certificate does not name this address"
        }
        Err(Distrust::Authority) => {
            return fails(format!(
                "{endpoint} shows a certificate that is not of etcd's authority ({shown}): \
                 something in between ends the connection"
            ));
        }
        Err(Distrust::Other(why)) => {
            return fails(format!("{endpoint} shows a certificate that is not good: {why}"));
        }
    };
    if protocol.as_deref() != Some(b"h2") {
        return fails(format!("{endpoint} does not offer HTTP/2, as every etcd does"));
    }
    first_word(endpoint, name, stream, limit).await
}

/// Lets the other end say its first word: a server of HTTP/2 sends its settings.
async fn first_word(
    endpoint: &str,
    so_far: &str,
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    limit: Duration,
) -> Answer {
    let mut heard = [0; 9];
    let exchange = async {
        stream.write_all(HELLO).await?;
        stream.flush().await?;
        stream.read_exact(&mut heard).await
    };
    match timeout(limit, exchange).await {
        Err(_) => unknown(format!("{endpoint}: {so_far}; it says nothing within the time limit")),
        Ok(Err(error)) => unknown(format!(
            "{endpoint}: {so_far}; it hangs up on this client: {error}; are its certificate and \
             key those of a client of this etcd?"
        )),
        Ok(Ok(_)) if heard.starts_with(b"HTTP/1") => {
            fails(format!("{endpoint} answers HTTP/1, not as etcd does"))
        }
        Ok(Ok(_)) if heard.get(3) == Some(&4) => {
            holds(format!("{endpoint} speaks HTTP/2; {so_far}"))
        }
        Ok(Ok(_)) => fails(format!("{endpoint} answers, and not in HTTP/2")),
    }
}

type Files = (RootCertStore, Option<Identity>);

/// Reads the files with which one speaks to an etcd.
fn files(etcd: &EtcdAccess) -> Result<Files, String> {
    let mut roots = RootCertStore::empty();
    for der in certificates(&etcd.cacert)? {
        roots.add(der).map_err(|error| format!("{}: {error}", etcd.cacert))?;
    }
    if etcd.cert.is_empty() {
        return Ok((roots, None));
    }
    let pem = std::fs::read(&etcd.key).map_err(|error| format!("{}: {error}", etcd.key))?;
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| format!("{} holds no private key in PEM", etcd.key))?;
    Ok((roots, Some(Identity { chain: certificates(&etcd.cert)?, key })))
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => Err(format!("{path} holds no certificate in PEM")),
    }
}
