//! Every gate's notes, taken while both sides are read.

use etcd_mvcc::{Entry, PrimaryRevision, StandbyRevision};
use keyspace_filter::grammar::Shape;
use keyspace_filter::{OWN_PREFIX, Scope};
use kube_meta::skim;

use crate::choices::Choices;
use crate::encryption::Encryption;
use crate::hard_local::HardLocal;
use crate::hashes::{self, NO_UID};
use crate::owners::Owners;
use crate::places::Places;
use crate::report::GateReport;
use crate::seen::{Held, Offered, Place};
use crate::services::Services;
use crate::settings::PreflightSettings;
use crate::uids::Uids;
use crate::webhooks::Webhooks;

/// Every gate's notes. The primary is taken first, whole, then the standby.
pub(crate) struct Survey<'a> {
    scope: &'a Scope,
    /// Keys of the primary in scope.
    pub(crate) keys: u64,
    /// The primary holds objects of Kubernetes in scope.
    pub(crate) kubernetes: bool,
    pub(crate) encryption: Encryption,
    places: Places,
    owners: Owners,
    uids: Uids,
    hard_local: HardLocal,
    services: Services,
    choices: Choices,
    webhooks: Webhooks,
}

/// What the notes say; the gates that need no notes are not among them.
pub(crate) struct Notes {
    pub(crate) owners: GateReport,
    pub(crate) uid_change: GateReport,
    pub(crate) encryption_keys: GateReport,
    pub(crate) encryption_prefix: GateReport,
    pub(crate) hard_local: GateReport,
    pub(crate) service_addresses: GateReport,
    pub(crate) choices: GateReport,
    pub(crate) conversion_webhooks: GateReport,
    pub(crate) uid_swaps: GateReport,
}

impl<'a> Survey<'a> {
    pub(crate) fn new(scope: &'a Scope, settings: &PreflightSettings) -> Self {
        let shown_max = settings.shown_max;
        Self {
            scope,
            keys: 0,
            kubernetes: false,
            encryption: Encryption::new(shown_max, settings.trials_max),
            places: Places::default(),
            owners: Owners::new(shown_max),
            uids: Uids::new(shown_max),
            hard_local: HardLocal::new(scope, shown_max),
            services: Services::new(shown_max),
            choices: Choices::new(shown_max),
            webhooks: Webhooks::new(shown_max),
        }
    }

    /// Takes an entry of the primary.
    pub(crate) fn offer(&mut self, entry: &Entry<PrimaryRevision>) {
        let key = &entry.key;
        let decision = self.scope.decide(key.as_bytes());
        let value = entry.value.expose();
        let placed = decision.admitted.then(|| self.scope.place(key)).flatten();
        let seen = Offered {
            key,
            value,
            object: self.object(key.as_bytes()),
            meta: skim(value),
            rule: decision.rule,
            place: placed.map(|placed| Place {
                hash: hashes::key(placed.as_bytes()),
                // What is parked is moved back before anybody reads it.
                moved: placed != *key && !decision.parked,
            }),
        };
        if let Some(place) = seen.place {
            self.keys += 1;
            self.kubernetes |= seen.object.is_some();
            self.places.add(place.hash, seen.meta.uid().map_or(NO_UID, hashes::uid));
        }
        self.owners.offer(&seen);
        self.encryption.offer(&seen);
        self.hard_local.offer(&seen, self.scope);
        self.services.offer(&seen);
        self.choices.offer(&seen);
        self.webhooks.offer(&seen, self.scope);
    }

    /// The primary has been read to its end.
    pub(crate) fn all_offered(&mut self) {
        self.places.sort();
        self.owners.all_offered(&self.places);
        self.encryption.all_offered();
    }

    /// Takes an entry of the standby.
    pub(crate) fn hold(&mut self, entry: &Entry<StandbyRevision>) {
        let key = &entry.key;
        if key.as_bytes().starts_with(OWN_PREFIX.as_bytes()) {
            return;
        }
        let value = entry.value.expose();
        let hash = hashes::key(key.as_bytes());
        let seen = Held {
            key,
            value,
            object: self.object(key.as_bytes()),
            meta: skim(value),
            hash,
            replaced_by: self.places.uid_at(hash),
        };
        self.owners.hold(&seen);
        self.uids.hold(&seen);
        self.encryption.hold(&seen);
        self.services.hold(&seen);
    }

    fn object<'k>(&self, key: &'k [u8]) -> Option<keyspace_filter::grammar::ObjectKey<'k>> {
        match self.scope.grammar().parse(key) {
            Shape::Object(object) => Some(object),
            Shape::Unknown | Shape::Outside => None,
        }
    }

    /// Both sides have been read to their ends.
    pub(crate) fn judge(self, settings: &PreflightSettings) -> Notes {
        let [uid_change, uid_swaps] = self.uids.judge();
        let [encryption_keys, encryption_prefix] =
            self.encryption.judge(settings.keyring.as_deref());
        Notes {
            owners: self.owners.judge(),
            uid_change,
            encryption_keys,
            encryption_prefix,
            hard_local: self.hard_local.judge(),
            service_addresses: self.services.judge(),
            choices: self.choices.judge(),
            conversion_webhooks: self.webhooks.judge(),
            uid_swaps,
        }
    }
}
