//! Certificates for one test: an authority, a server of 127.0.0.1 and a client.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

/// The files of one authority.
#[derive(Clone)]
pub struct Certificates {
    dir: PathBuf,
    issuer: Arc<Issuer<'static, KeyPair>>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificates in {}", self.dir.display())
    }
}

impl Certificates {
    /// Makes an authority, a server certificate and a client certificate (named `client`) in `dir`.
    #[must_use]
    pub fn generate(dir: &Path) -> Self {
        std::fs::create_dir_all(dir).expect("directory of the certificates");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "end-to-end");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("key");
        let ca = params.self_signed(&key).expect("authority").pem();
        std::fs::write(dir.join("ca.crt"), ca).expect("ca.crt");
        let made = Self { dir: dir.to_owned(), issuer: Arc::new(Issuer::new(params, key)) };
        made.issue("server", "server");
        made.issue("client", "client");
        made
    }

    /// Signs a certificate for `common_name`, good for both ends, and writes `NAME.crt` and
    /// `NAME.key`: a second client, or a server certificate in place of the first.
    pub fn issue(&self, name: &str, common_name: &str) {
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let mut params = CertificateParams::new(names).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.use_authority_key_identifier_extension = true;
        // etcd's own gateway shows the server's certificate as a client.
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("key");
        let certificate = params.signed_by(&key, &self.issuer).expect("certificate");
        std::fs::write(self.cert(name), certificate.pem()).expect("certificate file");
        std::fs::write(self.key(name), key.serialize_pem()).expect("key file");
    }

    /// The authority's certificate.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.dir.join("ca.crt")
    }

    /// The certificate of `server`, `client` or another that was issued.
    #[must_use]
    pub fn cert(&self, name: &str) -> PathBuf {
        self.dir.join(name).with_extension("crt")
    }

    /// The key to [`Certificates::cert`].
    #[must_use]
    pub fn key(&self, name: &str) -> PathBuf {
        self.dir.join(name).with_extension("key")
    }
}
