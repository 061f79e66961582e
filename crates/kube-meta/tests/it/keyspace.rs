//! A real keyspace: what an apiserver wrote for some objects of every kind.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use kube_meta::{Format, skim};
use serde_json::Value;

/// The resources that an apiserver keeps for itself and whose objects it gives no uid.
const NAMELESS: [&str; 3] = ["masterleases", "peerserverleases", "ranges"];

/// Values by their keys.
type Keyspace = BTreeMap<String, Vec<u8>>;

fn read(packed: &[u8]) -> Keyspace {
    let mut lines = String::new();
    GzDecoder::new(packed).read_to_string(&mut lines).expect("the fixture");
    let record = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        let bytes = |field: &str| {
            STANDARD
                .decode(line.get(field).and_then(Value::as_str).expect("a string"))
                .expect("base64")
        };
        (String::from_utf8(bytes("key")).expect("a readable key"), bytes("value"))
    };
    lines.lines().map(record).collect()
}

fn primary() -> Keyspace {
    read(include_bytes!("../../../../tests/fixtures/primary.jsonl.gz"))
}

fn standby() -> Keyspace {
    read(include_bytes!("../../../../tests/fixtures/standby.jsonl.gz"))
}

#[test]
fn every_value_is_read_in_its_format() {
    let mut formats = [0; 3];
    for (key, value) in primary() {
        match skim(&value).format() {
            Format::Protobuf => formats[0] += 1,
            Format::Json => formats[1] += 1,
            Format::Opaque => {
                assert_eq!(key, "compact_rev_key");
                formats[2] += 1;
            }
            other @ (Format::Cbor | Format::Encrypted(_)) => panic!("{key}: {other:?}"),
        }
    }
    assert_eq!(formats, [233, 48, 1]);
    for (key, value) in standby() {
        assert!(skim(&value).is_readable() || key == "compact_rev_key", "{key}");
    }
}

#[test]
fn every_object_has_a_kind_and_a_uid_of_its_own() {
    for keyspace in [primary(), standby()] {
        let mut uids = BTreeMap::new();
        for (key, value) in keyspace.iter().filter(|(key, _)| *key != "compact_rev_key") {
            let meta = skim(value);
            assert!(meta.kind().is_some() && meta.api_version().is_some(), "{key}");
            let resource = key.split('/').nth(2).unwrap_or_default();
            assert_eq!(meta.uid().is_none(), NAMELESS.contains(&resource), "{key}");
            if let Some(uid) = meta.uid() {
                assert_eq!(uid.len(), 36, "{key}");
                assert_eq!(uids.insert(uid.to_owned(), key), None, "{key}");
            }
        }
        assert!(uids.len() > 100);
    }
}

#[test]
fn every_owner_is_there() {
    let keyspace = primary();
    let uids: BTreeMap<String, String> = keyspace
        .values()
        .filter_map(|value| {
            let meta = skim(value);
            Some((meta.uid()?.to_owned(), format!("{} {}", meta.api_version()?, meta.kind()?)))
        })
        .collect();
    let (mut owned, mut references) = (0, 0);
    let mut pairs = BTreeSet::new();
    for (key, value) in &keyspace {
        let meta = skim(value);
        for owner in meta.owners() {
            let kind = format!("{} {}", owner.api_version, owner.kind);
            assert_eq!(uids.get(owner.uid), Some(&kind), "{key}");
            assert!(keyspace.keys().any(|key| key.ends_with(&format!("/{}", owner.name))), "{key}");
            pairs.insert((meta.kind().unwrap_or_default().to_owned(), owner.kind.to_owned()));
            references += 1;
        }
        owned += usize::from(meta.owners().next().is_some());
    }
    assert_eq!((owned, references), (58, 60));
    for pair in [("Pod", "ReplicaSet"), ("Job", "CronJob"), ("MachineSet", "MachineDeployment")] {
        assert!(pairs.contains(&(pair.0.to_owned(), pair.1.to_owned())), "{pair:?}");
    }
    let two = &keyspace["/registry/configmaps/cert-manager/two-owners"];
    assert_eq!(skim(two).owners().count(), 2);
}

#[test]
fn name_and_namespace_are_those_of_the_key() {
    for (key, value) in primary() {
        let meta = skim(&value);
        // An apiserver names none of what it keeps for itself but in the key.
        let (Some(name), Some(_)) = (meta.name(), meta.uid()) else { continue };
        let path = meta.namespace().map_or(format!("/{name}"), |of| format!("/{of}/{name}"));
        assert!(key.ends_with(&path), "{key}: {path}");
    }
}

#[test]
fn every_volume_tells_its_claim() {
    let mut claimed = 0;
    for (key, value) in primary() {
        let meta = skim(&value);
        let volume = key.strip_prefix("/registry/persistentvolumes/pv-");
        assert_eq!(
            meta.claim().map(|claim| (claim.namespace, claim.name)),
            volume.map(|of| (of, "data"))
        );
        if let Some(claim) = meta.claim() {
            assert_eq!(claim.uid.len(), 36, "{key}");
            assert_ne!(Some(claim.uid), meta.uid(), "{key}");
            claimed += 1;
        }
    }
    assert_eq!(claimed, 4);
}

#[test]
fn every_service_tells_what_the_cluster_gave_it() {
    let keyspace = primary();
    let mut told = BTreeSet::new();
    let (mut services, mut node_ports) = (0, 0);
    for (key, value) in &keyspace {
        let meta = skim(value);
        assert_eq!(meta.service().is_some(), key.starts_with("/registry/services/specs/"), "{key}");
        let Some(service) = meta.service() else { continue };
        for address in service.cluster_ips() {
            address.parse::<IpAddr>().expect("an address");
            assert!(told.insert(address.to_owned()), "{key}: {address} twice");
        }
        services += 1;
        node_ports += service.node_ports().inspect(|port| assert!(*port >= 30_000)).count();
    }
    // The cluster keeps an object for each address that it gave away.
    assert!(told.contains("10.96.10.176"));
    assert!(keyspace.contains_key("/registry/ipaddresses/10.96.10.176"));
    assert_eq!((services, told.len(), node_ports), (12, 12, 2));
}

/// JSON is the format for which there is another reader to ask.
#[test]
fn json_is_read_as_a_parser_of_all_of_it_does() {
    for (key, value) in primary() {
        let meta = skim(&value);
        if meta.format() != Format::Json {
            continue;
        }
        let tree: Value = serde_json::from_slice(&value).expect("JSON");
        let metadata = &tree["metadata"];
        assert_eq!(meta.kind(), tree["kind"].as_str(), "{key}");
        assert_eq!(meta.api_version(), tree["apiVersion"].as_str(), "{key}");
        assert_eq!(meta.uid(), metadata["uid"].as_str(), "{key}");
        assert_eq!(meta.is_deleting(), metadata["deletionTimestamp"].is_string(), "{key}");
        let owners = metadata["ownerReferences"].as_array().cloned().unwrap_or_default();
        let expected = owners.iter().map(|owner| owner["uid"].as_str().expect("a uid"));
        assert!(meta.owners().map(|owner| owner.uid).eq(expected), "{key}");
    }
}

#[test]
fn finalizers_are_where_an_apiserver_puts_them() {
    let finalizer_of = |key: &str| match key.split('/').nth(2) {
        Some("persistentvolumes") => Some("kubernetes.io/pv-protection"),
        Some("persistentvolumeclaims") => Some("kubernetes.io/pvc-protection"),
        Some("servicecidrs") => Some("networking.k8s.io/service-cidr-finalizer"),
        _ => None,
    };
    let mut found = BTreeSet::new();
    for (key, value) in primary() {
        let meta = skim(&value);
        assert!(meta.finalizers().eq(finalizer_of(&key)), "{key}");
        found.extend(finalizer_of(&key));
    }
    assert_eq!(found.len(), 3);
}
