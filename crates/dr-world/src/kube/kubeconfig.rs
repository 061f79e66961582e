//! Reads a kubeconfig file.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dr_plan::topology::KubernetesAccess;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::error::KubeError;
use crate::network::address::Url;
use crate::network::look::provider;

/// Where an API is, and how one proves to it who one is.
#[derive(Clone)]
pub(super) struct Access {
    /// The server.
    pub(super) server: Url,
    /// The name that its certificate must have.
    pub(super) server_name: String,
    /// TLS with its authority and the client's certificate; `None` for plain HTTP.
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// A bearer token.
    pub(super) token: Option<Token>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("server", &self.server)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

/// A bearer token. It prints as dots.
#[derive(Clone)]
pub(super) struct Token(String);

impl Token {
    /// Returns it, for the one header that carries it.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

// The fields of the file that matter. None of these types prints.
#[derive(Deserialize)]
struct File {
    #[serde(rename = "current-context", default)]
    current: String,
    #[serde(default)]
    contexts: Vec<NamedContext>,
    #[serde(default)]
    clusters: Vec<NamedCluster>,
    #[serde(default)]
    users: Vec<NamedUser>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    #[serde(default)]
    user: String,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority: Option<String>,
    certificate_authority_data: Option<String>,
    #[serde(default)]
    insecure_skip_tls_verify: bool,
    tls_server_name: Option<String>,
    proxy_url: Option<String>,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    user: Option<User>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    client_certificate: Option<String>,
    client_certificate_data: Option<String>,
    client_key: Option<String>,
    client_key_data: Option<String>,
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<String>,
    username: Option<IgnoredAny>,
    password: Option<IgnoredAny>,
    exec: Option<IgnoredAny>,
    auth_provider: Option<IgnoredAny>,
}

/// Reads what is needed to speak to the API that the context names.
pub(super) fn read(access: &KubernetesAccess) -> Result<Access, KubeError> {
    let path = Path::new(&access.kubeconfig);
    let reader = Reader { path };
    let text = fs::read_to_string(path).map_err(|error| reader.bad(error))?;
    // The parser's message could quote the file, which holds secrets.
    let file: File = serde_saphyr::from_str(&text).map_err(|_| reader.bad("is no kubeconfig"))?;
    let name = if access.context.is_empty() { &file.current } else { &access.context };
    let context = file.contexts.into_iter().find(|context| context.name == *name);
    let context = context.ok_or_else(|| reader.bad(format!("has no context `{name}`")))?.context;
    let cluster = file.clusters.into_iter().find(|cluster| cluster.name == context.cluster);
    let cluster =
        cluster.ok_or_else(|| reader.bad(format!("has no cluster `{}`", context.cluster)))?.cluster;
    let user = file.users.into_iter().find(|user| user.name == context.user);
    let user = user.and_then(|user| user.user).unwrap_or_default();
    reader.access(cluster, user)
}

struct Reader<'a> {
    path: &'a Path,
}

impl Reader<'_> {
    fn bad(&self, why: impl fmt::Display) -> KubeError {
        KubeError::Setup(format!("{}: {why}", self.path.display()))
    }

    fn access(&self, cluster: Cluster, user: User) -> Result<Access, KubeError> {
        self.refuse(&cluster, &user)?;
        let server = Url::parse(&cluster.server)
            .ok_or_else(|| self.bad(format!("{} is no URL of a server", cluster.server)))?;
        let host = server.address.host.as_str();
        if !server.tls && !is_loopback(host) {
            return Err(self.bad("a server without TLS is asked on this machine only"));
        }
        let server_name = cluster.tls_server_name.clone().unwrap_or_else(|| host.to_owned());
        let tls = if server.tls { Some(Arc::new(self.tls(&cluster, &user)?)) } else { None };
        let token = match (user.token, user.token_file) {
            (Some(token), _) => Some(token),
            (None, Some(file)) => {
                let bytes = self.file(&file)?;
                let text = String::from_utf8(bytes);
                Some(text.map_err(|_| self.bad(format!("{file} holds no token")))?)
            }
            (None, None) => None,
        };
        let token = token.map(|token| Token(token.trim().to_owned()));
        Ok(Access { server, server_name, tls, token })
    }

    /// What is not done here is refused in so many words, rather than left out.
    fn refuse(&self, cluster: &Cluster, user: &User) -> Result<(), KubeError> {
        let refused = if user.exec.is_some() || user.auth_provider.is_some() {
            "the user's credentials come from a program, which is not run here: give the user a \
             client certificate, a token or a tokenFile"
        } else if user.username.is_some() || user.password.is_some() {
            "user name and password are not sent: Kubernetes takes none since 1.19"
        } else if cluster.insecure_skip_tls_verify {
            "insecure-skip-tls-verify is set: name the certificate authority instead"
        } else if cluster.proxy_url.is_some() {
            "proxy-url is set, and no proxy is used here"
        } else {
            return Ok(());
        };
        Err(self.bad(refused))
    }

    fn tls(&self, cluster: &Cluster, user: &User) -> Result<ClientConfig, KubeError> {
        let what = "certificate-authority";
        let pem = self.either(
            what,
            cluster.certificate_authority_data.as_ref(),
            cluster.certificate_authority.as_ref(),
        )?;
        let pem = pem.ok_or_else(|| self.bad("the cluster has no certificate-authority"))?;
        let mut roots = RootCertStore::empty();
        for der in self.certificates(what, &pem)? {
            roots.add(der).map_err(|error| self.bad(format!("{what}: {error}")))?;
        }
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| self.bad(error))?
            .with_root_certificates(roots);
        let data = user.client_certificate_data.as_ref();
        let certificate =
            self.either("client-certificate", data, user.client_certificate.as_ref())?;
        let data = user.client_key_data.as_ref();
        let key = self.either("client-key", data, user.client_key.as_ref())?;
        let mut config = match (certificate, key) {
            (Some(certificate), Some(key)) => {
                let chain = self.certificates("client-certificate", &certificate)?;
                let key = PrivateKeyDer::from_pem_slice(&key)
                    .map_err(|_| self.bad("client-key holds no private key in PEM"))?;
                let made = builder.with_client_auth_cert(chain, key);
                made.map_err(|error| self.bad(format!("client-certificate: {error}")))?
            }
            (None, None) => builder.with_no_client_auth(),
            (Some(_), None) | (None, Some(_)) => {
                return Err(self.bad("client-certificate and client-key belong together"));
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn certificates(
        &self,
        what: &str,
        pem: &[u8],
    ) -> Result<Vec<CertificateDer<'static>>, KubeError> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        match found {
            Ok(found) if !found.is_empty() => Ok(found),
            Ok(_) | Err(_) => Err(self.bad(format!("{what} holds no certificate in PEM"))),
        }
    }

    /// Reads what stands in the file itself, else the file that it names.
    fn either(
        &self,
        what: &str,
        data: Option<&String>,
        file: Option<&String>,
    ) -> Result<Option<Vec<u8>>, KubeError> {
        if let Some(data) = data.filter(|data| !data.is_empty()) {
            let bytes = STANDARD.decode(data.trim());
            return bytes.map(Some).map_err(|_| self.bad(format!("{what}-data is no base64")));
        }
        file.filter(|file| !file.is_empty()).map(|file| self.file(file)).transpose()
    }

    /// Reads a file; one without a folder of its own lies beside the kubeconfig.
    fn file(&self, name: &str) -> Result<Vec<u8>, KubeError> {
        let beside = self.path.parent().map_or_else(PathBuf::new, Path::to_path_buf).join(name);
        fs::read(&beside).map_err(|error| self.bad(format!("{}: {error}", beside.display())))
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
