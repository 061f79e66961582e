//! When the mirror's own client certificates expire.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mirror_config::Config;
use tokio::time::Instant;
use x509_parser::pem::Pem;

/// The files are read again this often: they may be renewed while the mirror runs.
const READ_EVERY: Duration = Duration::from_secs(60);

/// When the client certificates for both sides expire, as their files say. Cloning is cheap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expiries {
    primary: Option<PathBuf>,
    standby: Option<PathBuf>,
    known: Arc<Mutex<Option<Known>>>,
}

/// What was read, and when.
#[derive(Clone, Copy, Debug)]
struct Known {
    read_at: Instant,
    expiries: (Option<i64>, Option<i64>),
}

impl Expiries {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            primary: config.primary().cert.clone(),
            standby: config.standby().cert.clone(),
            known: Arc::default(),
        }
    }

    /// Returns the moments for the primary and the standby: seconds since 1970. `None` where there
    /// is no certificate, or none that can be read.
    pub(crate) fn read(&self) -> (Option<i64>, Option<i64>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.filter(|known| known.read_at.elapsed() < READ_EVERY) {
            return known.expiries;
        }
        let of = |file: &Option<PathBuf>| file.as_deref().and_then(expiry);
        let expiries = (of(&self.primary), of(&self.standby));
        *known = Some(Known { read_at: Instant::now(), expiries });
        expiries
    }
}

/// When the first certificate of a PEM file expires: the mirror's own; others are its issuers'.
fn expiry(file: &Path) -> Option<i64> {
    let text = std::fs::read(file).ok()?;
    let pem = Pem::iter_from_buffer(&text).flatten().find(|pem| pem.label == "CERTIFICATE")?;
    Some(pem.parse_x509().ok()?.validity().not_after.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_certificate_of_a_file_counts_and_anything_else_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("client.crt");
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["client".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2100, 1, 1);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(&file, format!("{}{}", key.serialize_pem(), certificate.pem())).unwrap();
        assert_eq!(expiry(&file), Some(4_102_444_800));
        std::fs::write(&file, "no certificate").unwrap();
        assert_eq!(expiry(&file), None);
        assert_eq!(expiry(&folder.path().join("absent")), None);
    }
}
