//! Volumes and their claims, Services and what they were given.

use kube_meta::{Claim, Meta, skim};
use serde_json::json;

use crate::assert_opaque;
use crate::encode::{message, number, text};

/// A built-in object in protobuf.
fn protobuf(api_version: &str, kind: &str, fields: &[u8]) -> Vec<u8> {
    let type_meta = [text(1, api_version), text(2, kind)].concat();
    let object = [&*message(1, &text(5, "uid")), fields].concat();
    [b"k8s\0", &*message(1, &type_meta), &*message(2, &object)].concat()
}

fn volume(spec: &[u8]) -> Vec<u8> {
    protobuf("v1", "PersistentVolume", &message(2, spec))
}

fn service(spec: &[u8]) -> Vec<u8> {
    protobuf("v1", "Service", &message(2, spec))
}

fn json(kind: &str, spec: &serde_json::Value) -> Vec<u8> {
    json!({"apiVersion": "v1", "kind": kind, "metadata": {"uid": "u"}, "spec": spec})
        .to_string()
        .into_bytes()
}

fn addresses<'m>(meta: &'m Meta<'_>) -> Vec<&'m str> {
    meta.service().unwrap().cluster_ips().collect()
}

fn ports(meta: &Meta<'_>) -> Vec<u16> {
    meta.service().unwrap().node_ports().collect()
}

#[test]
fn a_volume_tells_its_claim_in_both_formats() {
    let reference = [
        text(1, "PersistentVolumeClaim"),
        text(2, "shop"),
        text(3, "data"),
        text(4, "claim-uid"),
        text(5, "v1"),
    ];
    let claim = json!({"kind": "PersistentVolumeClaim", "namespace": "shop", "name": "data",
        "uid": "claim-uid", "apiVersion": "v1"});
    let expected = Claim { namespace: "shop", name: "data", uid: "claim-uid" };
    for value in [
        volume(&[text(5, "Delete"), message(4, &reference.concat())].concat()),
        json("PersistentVolume", &json!({"claimRef": claim})),
    ] {
        let meta = skim(&value);
        assert_eq!(meta.claim(), Some(expected));
        assert!(meta.service().is_none());
    }
}

#[test]
fn a_claim_that_was_written_by_hand_has_no_uid() {
    for value in [
        volume(&message(4, &[text(2, "shop"), text(3, "data")].concat())),
        json("PersistentVolume", &json!({"claimRef": {"namespace": "shop", "name": "data"}})),
    ] {
        let expected = Claim { namespace: "shop", name: "data", uid: "" };
        assert_eq!(skim(&value).claim(), Some(expected));
    }
}

#[test]
fn a_free_volume_has_no_claim() {
    for value in [
        volume(&text(5, "Retain")),
        volume(b""),
        protobuf("v1", "PersistentVolume", b""),
        json("PersistentVolume", &json!({})),
        json("PersistentVolume", &json!({"claimRef": null})),
        json("PersistentVolume", &json!(null)),
    ] {
        let meta = skim(&value);
        assert!(meta.is_readable());
        assert_eq!(meta.claim(), None);
    }
}

#[test]
fn a_service_tells_each_address_once() {
    for (first, list, expected) in [
        ("10.96.0.7", &["10.96.0.7"][..], &["10.96.0.7"][..]),
        ("10.96.0.7", &["10.96.0.7", "fd00::7"], &["10.96.0.7", "fd00::7"]),
        ("10.96.0.7", &[], &["10.96.0.7"]),
        ("", &["10.96.0.7", "10.96.0.7"], &["10.96.0.7"]),
        ("10.96.0.7", &["fd00::7", "fd00::7", "10.96.0.7"], &["10.96.0.7", "fd00::7"]),
        ("None", &["None"], &[]),
        ("", &[""], &[]),
        ("", &[], &[]),
    ] {
        let listed: Vec<u8> = list.iter().flat_map(|address| text(18, address)).collect();
        for value in [
            service(&[text(3, first), listed].concat()),
            json("Service", &json!({"clusterIP": first, "clusterIPs": list})),
        ] {
            assert_eq!(addresses(&skim(&value)), expected, "{first} {list:?}");
        }
    }
}

#[test]
fn a_service_tells_the_ports_of_the_nodes() {
    let port = |number_of: u64| message(1, &[number(3, 80), number(5, number_of)].concat());
    let spec = [port(30_080), port(0), port(32_767), number(12, 31_000)].concat();
    let ports_of = |node_port: u64| json!({"port": 80, "nodePort": node_port});
    let tree = json!({"ports": [ports_of(30_080), ports_of(0), {"port": 1}, ports_of(32_767)],
        "healthCheckNodePort": 31_000});
    for value in [service(&spec), json("Service", &tree)] {
        let meta = skim(&value);
        assert_eq!(ports(&meta), [30_080, 32_767, 31_000]);
        assert!(addresses(&meta).is_empty());
        assert_eq!(meta.claim(), None);
    }
    for value in [
        service(&number(12, 0)),
        service(b""),
        protobuf("v1", "Service", b""),
        json("Service", &json!({"ports": null, "healthCheckNodePort": null})),
        json("Service", &json!(null)),
    ] {
        assert!(ports(&skim(&value)).is_empty());
    }
}

#[test]
fn another_kind_may_have_anything_in_its_place() {
    let spec = message(2, &[number(3, 7), number(4, 7), text(18, "10.96.0.7")].concat());
    for (api_version, kind) in [("serving.knative.dev/v1", "Service"), ("v1", "Pod"), ("", "")] {
        let value = protobuf(api_version, kind, &spec);
        let meta = skim(&value);
        assert!(meta.is_readable() && meta.service().is_none() && meta.claim().is_none());
    }
    let value = br#"{"apiVersion":"serving.knative.dev/v1","kind":"Service","metadata":{},
        "spec":{"clusterIP":7,"ports":"all","claimRef":[]}}"#;
    let meta = skim(value);
    assert!(meta.is_readable() && meta.service().is_none() && meta.claim().is_none());
}

#[test]
fn a_volume_or_service_that_is_not_what_it_promises_is_opaque() {
    for spec in [number(4, 1), message(4, &number(3, 1)), message(4, b"\x12\x7f"), vec![0x22, 9]] {
        assert_opaque(&volume(&spec));
    }
    assert_opaque(&protobuf("v1", "PersistentVolume", &number(2, 1)));
    for spec in [
        number(3, 1),
        text(3, "10.96.0.7")[..4].to_vec(),
        message(3, b"\xff"),
        number(18, 1),
        message(18, b"\xff"),
        number(1, 1),
        message(1, &text(5, "30080")),
        message(1, &number(5, 65_536)),
        message(1, &number(5, u64::MAX)),
        text(12, "31000"),
        number(12, 65_536),
    ] {
        assert_opaque(&service(&spec));
    }
    for (kind, spec) in [
        ("PersistentVolume", json!([])),
        ("PersistentVolume", json!({"claimRef": []})),
        ("PersistentVolume", json!({"claimRef": {"uid": 1}})),
        ("Service", json!("spec")),
        ("Service", json!({"clusterIP": 1})),
        ("Service", json!({"clusterIPs": "10.96.0.7"})),
        ("Service", json!({"ports": [[80]]})),
        ("Service", json!({"ports": [{"nodePort": -1}]})),
        ("Service", json!({"healthCheckNodePort": 65_536})),
    ] {
        assert_opaque(&json(kind, &spec));
    }
}

#[test]
fn many_addresses_take_no_square_of_time() {
    let list: Vec<u8> = (0..200_000).flat_map(|at: u32| text(18, &at.to_string())).collect();
    let value = service(&list);
    assert_eq!(addresses(&skim(&value)).len(), 200_000);
}

#[test]
fn debug_shows_no_address() {
    let value = service(&text(3, "10.96.0.7"));
    let shown = format!("{:?}", skim(&value).service());
    assert_eq!(shown, "Some(Service { .. })");
}

#[test]
fn a_secret_tells_its_type_in_both_formats() {
    let token = "kubernetes.io/service-account-token";
    let data = message(2, &[text(1, "token"), text(2, "s3cret")].concat());
    let tree = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"uid": "u"},
        "data": {"token": "czNjcmV0"}, "type": token});
    for value in [
        protobuf("v1", "Secret", &[&*data, &text(3, token)].concat()),
        tree.to_string().into_bytes(),
    ] {
        let meta = skim(&value);
        assert_eq!(meta.secret_type(), Some(token));
        assert_eq!((meta.claim(), meta.service().is_none()), (None, true));
    }
    for value in [protobuf("v1", "Secret", &data), protobuf("v1", "ConfigMap", &text(3, token))] {
        assert_eq!(skim(&value).secret_type(), None);
    }
    assert_opaque(&protobuf("v1", "Secret", &number(3, 7)));
}

#[test]
fn an_object_tells_how_often_its_spec_was_changed() {
    let type_meta = [text(1, "apps/v1"), text(2, "Deployment")].concat();
    let object = message(1, &[text(5, "uid"), number(7, 42)].concat());
    let value = [b"k8s\0", &*message(1, &type_meta), &*message(2, &object)].concat();
    assert_eq!(skim(&value).generation(), Some(42));
    let value = br#"{"kind":"Thing","metadata":{"uid":"u","generation":42}}"#;
    assert_eq!(skim(value).generation(), Some(42));
    assert_eq!(skim(br#"{"kind":"Thing","metadata":{"uid":"u"}}"#).generation(), None);
    assert_opaque(br#"{"kind":"Thing","metadata":{"uid":"u","generation":"42"}}"#);
}
