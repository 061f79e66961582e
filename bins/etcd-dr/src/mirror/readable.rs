//! Whether the standby's API can read what was mirrored encrypted.

use std::collections::BTreeMap;

use dr_plan::Answer;
use dr_plan::plan::Side;
use dr_world::kube::KubeError;
use etcd_mvcc::{Failure, Key, KeyRange, ReadHead as _, Walk, WalkLimits};
use kube_meta::{Format, skim};

use super::Etcds;
use super::words::{fails, holds, unknown, unread};

/// Where secrets are stored.
const SECRETS: &str = "/registry/secrets/";

impl Etcds {
    /// Whether the standby's API reads, for every key that encrypts mirrored secrets, one secret
    /// that it encrypts. What it reads is thrown away.
    pub(super) async fn values_readable(&self) -> Answer {
        let samples = match self.samples().await {
            Ok(samples) => samples,
            Err(failure) => return unread(&self.cluster(Side::Standby).name, &failure),
        };
        if samples.is_empty() {
            return holds("no secret is mirrored");
        }
        let Some(kube) = self.world.kube(&Side::Standby.into()) else {
            return unknown("the standby's API is not in the topology");
        };
        for (encrypted, (namespace, name)) in &samples {
            let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
            match kube.get(&path).await {
                Ok(_) => {}
                // The API says so, and it can't be mended from here.
                Err(error @ KubeError::Refused { status: 500.., .. }) => {
                    return fails(format!("{namespace}/{name}, {encrypted}: {error}"));
                }
                Err(error) => {
                    return unknown(format!("{namespace}/{name}, {encrypted}: {error}"));
                }
            }
        }
        let keys: Vec<&str> = samples.keys().map(String::as_str).collect();
        holds(format!("it reads a mirrored secret of each: {}", keys.join(", ")))
    }

    /// One mirrored secret for each key that encrypts any.
    async fn samples(&self) -> Result<BTreeMap<String, (String, String)>, Failure> {
        let at = self.standby.head().await?.revision;
        let mut samples = BTreeMap::new();
        let range = KeyRange::prefix(SECRETS.as_bytes());
        let mut walk = Walk::new(&[range], WalkLimits::default(), false);
        while let Some(page) = walk.next_page(&self.standby, Some(at)).await? {
            for entry in &page.entries {
                if !self.scope.admits_standby(entry.key.as_bytes()) {
                    continue;
                }
                let Some(place) = place(&entry.key) else { continue };
                let encrypted = match skim(entry.value.expose()).format() {
                    Format::Encrypted(envelope) => {
                        format!("{} key {}", Key::from(envelope.provider), Key::from(envelope.key))
                    }
                    Format::Protobuf | Format::Json | Format::Cbor | Format::Opaque => {
                        "not encrypted".to_owned()
                    }
                };
                samples.entry(encrypted).or_insert(place);
            }
        }
        Ok(samples)
    }
}

/// Namespace and name of a secret.
fn place(key: &Key) -> Option<(String, String)> {
    let rest = str::from_utf8(key.as_bytes()).ok()?.strip_prefix(SECRETS)?;
    let (namespace, name) = rest.split_once('/')?;
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
    (plain(namespace) && plain(name)).then(|| (namespace.to_owned(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_by_its_key_if_the_key_is_one_of_kubernetes() {
        let named = place(&Key::from("/registry/secrets/team/login"));
        assert_eq!(named, Some(("team".into(), "login".into())));
        assert_eq!(place(&Key::from("/registry/secrets/team/a?b")), None);
        assert_eq!(place(&Key::from("/registry/secrets/x")), None);
    }
}
