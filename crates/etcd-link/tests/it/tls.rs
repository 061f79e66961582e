use std::path::{Path, PathBuf};

use etcd_link::{Primary, Settings};
use etcd_mvcc::{FailureClass, ReadHead};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use crate::etcd::{Etcd, free_port, settings};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes `name.crt` and `name.key`.
fn issue(dir: &Path, name: &str, authority: &Authority, host: &str) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    let cert = params.signed_by(&key, authority).unwrap();
    std::fs::write(dir.join(format!("{name}.crt")), cert.pem()).unwrap();
    std::fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

struct Secured {
    etcd: Etcd,
    dir: TempDir,
    authority: Authority,
}

impl Secured {
    async fn start(host: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let authority = authority();
        std::fs::write(dir.path().join("ca.crt"), authority.pem()).unwrap();
        issue(dir.path(), "server", &authority, host);
        issue(dir.path(), "client", &authority, "client");
        let file = |name: &str| dir.path().join(name).display().to_string();
        let (cert, key, ca) = (file("server.crt"), file("server.key"), file("ca.crt"));
        let args = ["--cert-file", &cert, "--key-file", &key, "--trusted-ca-file", &ca];
        let mut args = args.to_vec();
        args.push("--client-cert-auth");
        let etcd = Etcd::start_at(free_port(), "https", &args).await;
        Self { etcd, dir, authority }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn settings(&self) -> Settings {
        Settings {
            cacert: Some(self.file("ca.crt")),
            cert: Some(self.file("client.crt")),
            key: Some(self.file("client.key")),
            ..settings(&[self.etcd.url()])
        }
    }
}

#[tokio::test]
async fn certificates_are_checked_both_ways_and_renewed_without_a_restart() {
    let secured = Secured::start("127.0.0.1").await;
    let primary = Primary::new(secured.settings()).unwrap();
    primary.head().await.unwrap();

    let stranger = authority();
    issue(secured.dir.path(), "client", &stranger, "client");
    primary.head().await.expect("an open connection outlives a change of the files");
    let refused = Primary::new(secured.settings()).unwrap();
    let failure = refused.head().await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Blocked, "{failure}");
    assert!(failure.message.contains("fatal alert"), "{failure}");

    issue(secured.dir.path(), "client", &secured.authority, "client");
    refused.head().await.expect("the renewed certificate is taken");

    let without = Settings { cert: None, key: None, ..secured.settings() };
    let failure = Primary::new(without).unwrap().head().await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Blocked, "{failure}");

    std::fs::write(secured.file("ca.crt"), stranger.pem()).unwrap();
    let failure = Primary::new(secured.settings()).unwrap().head().await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Blocked, "{failure}");
    assert!(failure.message.contains("unknown authority"), "{failure}");
}

#[tokio::test]
async fn a_certificate_for_another_host_is_blocked() {
    let secured = Secured::start("elsewhere.example").await;
    let failure = Primary::new(secured.settings()).unwrap().head().await.unwrap_err();
    assert_eq!(failure.class, FailureClass::Blocked, "{failure}");
    assert!(failure.message.contains("certificate not accepted"), "{failure}");
}

#[tokio::test]
async fn tls_spoken_to_a_port_without_it_is_said() {
    let etcd = Etcd::start(&[]).await;
    let dir = TempDir::new().unwrap();
    let ca = dir.path().join("ca.crt");
    std::fs::write(&ca, authority().pem()).unwrap();
    let endpoint = format!("https://127.0.0.1:{}", etcd.port);
    let wrong = Settings { cacert: Some(ca), ..settings(&[endpoint]) };
    let failure = Primary::new(wrong).unwrap().head().await.unwrap_err();
    assert!(failure.message.contains("no TLS there?"), "{failure}");
}
