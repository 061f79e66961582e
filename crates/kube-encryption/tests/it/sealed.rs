//! What is sealed here as an apiserver seals it: AES-GCM, which binds a value to its key in etcd, and
//! AES-CBC, which binds it to nothing.

use aes::{Aes128, Aes192, Aes256};
use aes_gcm::AesGcm;
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockEncryptMut, KeyIvInit};
use kube_encryption::Opened;

use crate::{keyring, provider};

const PATH: &[u8] = b"/registry/secrets/shop/token";
const OBJECT: &[u8] = b"k8s\0\x0a\x0c\x0a\x02v1\x12\x06Secret\x12\x02\x0a\0";

/// Seals as an apiserver does.
fn seal<C: KeyInit + Aead<NonceSize = U12>>(key: &[u8], path: &[u8], text: &[u8]) -> Vec<u8> {
    let cipher = C::new_from_slice(key).unwrap();
    let sealed = cipher.encrypt(&[9; 12].into(), Payload { msg: text, aad: path }).unwrap();
    [b"k8s:enc:aesgcm:v1:key1:", &[9; 12][..], &sealed].concat()
}

/// The same with CBC, which has no key in etcd.
fn seal_cbc(key: &[u8], text: &[u8]) -> Vec<u8> {
    let cipher = cbc::Encryptor::<Aes256>::new_from_slices(key, &[9; 16]).unwrap();
    let sealed = cipher.encrypt_padded_vec_mut::<Pkcs7>(text);
    [b"k8s:enc:aescbc:v1:key1:", &[9; 16][..], &sealed].concat()
}

#[test]
fn every_length_of_key_opens() {
    for (key, value) in [
        (vec![1; 16], seal::<AesGcm<Aes128, U12>>(&[1; 16], PATH, OBJECT)),
        (vec![2; 24], seal::<AesGcm<Aes192, U12>>(&[2; 24], PATH, OBJECT)),
        (vec![3; 32], seal::<AesGcm<Aes256, U12>>(&[3; 32], PATH, OBJECT)),
    ] {
        let ring = keyring(&provider("aesgcm", "key1", &key));
        assert_eq!(ring.open(PATH, &value), Opened::Opens, "{}", key.len());
        let other = keyring(&provider("aesgcm", "key1", &vec![4; key.len()]));
        assert_eq!(other.open(PATH, &value), Opened::WrongKey);
        let unknown = keyring(&provider("aesgcm", "key2", &key));
        assert_eq!(unknown.open(PATH, &value), Opened::UnknownKey);
    }
}

#[test]
fn a_value_that_was_moved_does_not_open() {
    let value = seal::<AesGcm<Aes256, U12>>(&[3; 32], PATH, OBJECT);
    let ring = keyring(&provider("aesgcm", "key1", &[3; 32]));
    for path in [&b"/registry/secrets/shop/token2"[..], b"/kubernetes.io/secrets/shop/token", b""] {
        assert_eq!(ring.open(path, &value), Opened::WrongKey);
    }
}

#[test]
fn a_value_that_is_cut_short_does_not_open() {
    let value = seal::<AesGcm<Aes256, U12>>(&[3; 32], PATH, OBJECT);
    let ring = keyring(&provider("aesgcm", "key1", &[3; 32]));
    let envelope = b"k8s:enc:aesgcm:v1:key1:".len();
    for length in b"k8s:enc:".len()..value.len() {
        let expected = if length < envelope + 28 { Opened::Unreadable } else { Opened::WrongKey };
        assert_eq!(ring.open(PATH, &value[..length]), expected, "{length}");
    }
}

#[test]
fn every_beginning_of_an_object_counts() {
    let ring = keyring(&provider("aesgcm", "key1", &[3; 32]));
    for (text, expected) in [
        (OBJECT, Opened::Opens),
        (b"{\"kind\":\"Secret\"}", Opened::Opens),
        (b"\xd9\xd9\xf7\xa0", Opened::Opens),
        (b"", Opened::Unreadable),
        (b"k8s", Opened::Unreadable),
        (b"18295", Opened::Unreadable),
    ] {
        let value = seal::<AesGcm<Aes256, U12>>(&[3; 32], PATH, text);
        assert_eq!(ring.open(PATH, &value), expected, "{}", text.escape_ascii());
    }
}

#[test]
fn what_nothing_authenticates_has_to_be_a_sound_object() {
    let ring = keyring(&provider("aescbc", "key1", &[3; 32]));
    for (text, expected) in [
        (OBJECT, Opened::Opens),
        (br#"{"metadata":{"name":"token"}}"#, Opened::Opens),
        (b"\xd9\xd9\xf7\xa1\x48metadata\xa0", Opened::Opens),
        (&OBJECT[..OBJECT.len() - 1], Opened::Unreadable),
        (b"\xd9\xd9\xf7\xa0", Opened::Unreadable),
        (b"{\x8f\x03\xd1", Opened::WrongKey),
        (b"", Opened::WrongKey),
        (b"18295", Opened::WrongKey),
    ] {
        assert_eq!(ring.open(PATH, &seal_cbc(&[3; 32], text)), expected, "{}", text.escape_ascii());
    }
}

#[test]
fn every_length_of_key_opens_cbc() {
    let sealed = |sealed: Vec<u8>| [b"k8s:enc:aescbc:v1:key1:", &[9; 16][..], &sealed].concat();
    let short = cbc::Encryptor::<Aes128>::new_from_slices(&[1; 16], &[9; 16]).unwrap();
    let middle = cbc::Encryptor::<Aes192>::new_from_slices(&[2; 24], &[9; 16]).unwrap();
    for (key, value) in [
        (vec![1; 16], sealed(short.encrypt_padded_vec_mut::<Pkcs7>(OBJECT))),
        (vec![2; 24], sealed(middle.encrypt_padded_vec_mut::<Pkcs7>(OBJECT))),
        (vec![3; 32], seal_cbc(&[3; 32], OBJECT)),
    ] {
        let ring = keyring(&provider("aescbc", "key1", &key));
        assert_eq!(ring.open(PATH, &value), Opened::Opens, "{}", key.len());
    }
}

#[test]
fn a_colon_in_a_name_is_part_of_it() {
    let value = seal::<AesGcm<Aes256, U12>>(&[3; 32], PATH, OBJECT);
    let sealed = value.strip_prefix(b"k8s:enc:aesgcm:v1:key1:").unwrap();
    let value = [b"k8s:enc:aesgcm:v1:team:key1:", sealed].concat();
    let ring = keyring(&provider("aesgcm", "team:key1", &[3; 32]));
    assert_eq!(ring.open(PATH, &value), Opened::Opens);
    let both = [provider("aesgcm", "team", &[4; 32]), provider("aesgcm", "team:key1", &[3; 32])];
    assert_eq!(keyring(&both.join(", ")).open(PATH, &value), Opened::Opens);
    let meta = kube_meta::skim(&value);
    let kube_meta::Format::Encrypted(envelope) = meta.format() else { panic!("no envelope") };
    assert!(ring.knows(&envelope));
}

#[test]
fn only_who_has_the_key_sees_what_is_in_a_value() {
    let ring = keyring(&provider("aescbc", "key1", &[3; 32]));
    let length = |value: &[u8]| ring.look(PATH, value, <[u8]>::len);
    assert_eq!(length(&seal_cbc(&[3; 32], OBJECT)), Some(OBJECT.len()));
    assert_eq!(length(&seal_cbc(&[4; 32], OBJECT)), None, "another key");
    assert_eq!(length(&seal_cbc(&[3; 32], b"18295")), None, "no object");
    assert_eq!(length(OBJECT), None, "not encrypted");
    let bound = keyring(&provider("aesgcm", "key1", &[3; 32]));
    let value = seal::<AesGcm<Aes256, U12>>(&[3; 32], PATH, OBJECT);
    assert_eq!(bound.look(PATH, &value, <[u8]>::len), Some(OBJECT.len()));
    assert_eq!(bound.look(b"/registry/secrets/shop/other", &value, <[u8]>::len), None);
}
