//! What a certificate says: its names, its dates, its fingerprint.

use std::net::IpAddr;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A certificate, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    names: Vec<String>,
    addresses: Vec<IpAddr>,
    subject: String,
    issuer: String,
    /// Seconds since 1970.
    not_before: i64,
    /// Seconds since 1970.
    not_after: i64,
    not_after_text: String,
    /// SHA-256 of the whole, in hex.
    pub(crate) fingerprint: String,
}

impl Certificate {
    /// Reads a certificate; `None` if it is none.
    pub(crate) fn read(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let (mut names, mut addresses) = (Vec::new(), Vec::new());
        let alternatives = parsed.subject_alternative_name().ok().flatten();
        for name in alternatives.iter().flat_map(|extension| &extension.value.general_names) {
            if let GeneralName::DNSName(name) = name {
                names.push(name.to_ascii_lowercase());
            } else if let GeneralName::IPAddress(octets) = name {
                addresses.extend(address(octets));
            }
        }
        let validity = parsed.validity();
        Some(Self {
            names,
            addresses,
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
            not_after_text: validity.not_after.to_string(),
            fingerprint: Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    /// Reads the first certificate of a PEM file.
    ///
    /// # Errors
    ///
    /// Why it can't be read.
    pub(crate) fn of_file(path: &str) -> Result<Self, String> {
        let pem = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
        let der = CertificateDer::from_pem_slice(&pem)
            .map_err(|_| format!("{path} holds no certificate in PEM"))?;
        Self::read(&der).ok_or_else(|| format!("{path} holds no certificate that can be read"))
    }

    /// Returns which of these names it lacks. A wildcard stands for one label.
    pub(crate) fn lacks<'a>(&self, names: &'a [String]) -> Vec<&'a str> {
        names.iter().map(String::as_str).filter(|name| !self.has(name)).collect()
    }

    fn has(&self, name: &str) -> bool {
        if let Ok(address) = name.parse::<IpAddr>() {
            return self.addresses.contains(&address);
        }
        let name = name.to_ascii_lowercase();
        let wild = name.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        self.names.iter().any(|own| *own == name || Some(own) == wild.as_ref())
    }

    /// Says why it is not good at this moment, in seconds since 1970; `None` if it is.
    pub(crate) fn out_of_date(&self, now: i64) -> Option<String> {
        if now > self.not_after {
            return Some(format!("it expired on {}", self.not_after_text));
        }
        (now < self.not_before).then(|| "it is not valid yet".to_owned())
    }

    /// Returns its names, for people.
    pub(crate) fn named(&self) -> String {
        let addresses = self.addresses.iter().map(ToString::to_string);
        let all: Vec<String> = self.names.iter().cloned().chain(addresses).collect();
        if all.is_empty() { "nobody".to_owned() } else { all.join(", ") }
    }

    /// Returns whom it is for, by whom, and until when, for people.
    pub(crate) fn introduced(&self) -> String {
        format!("{} by {}, until {}", self.subject, self.issuer, self.not_after_text)
    }

    /// Returns the beginning of the fingerprint, which is enough to tell two apart.
    pub(crate) fn short(&self) -> &str {
        self.fingerprint.get(..16).unwrap_or(&self.fingerprint)
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(octets) {
        return Some(IpAddr::from(four));
    }
    <[u8; 16]>::try_from(octets).ok().map(IpAddr::from)
}

/// Returns the moment in seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
