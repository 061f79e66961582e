//! Opening what a key has sealed.
//!
//! Plaintexts are wiped when they are dropped, and stay within this crate: others are lent them.

use aes::{Aes128, Aes192, Aes256};
use aes_gcm::AesGcm;
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{AeadInPlace, KeyInit};
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockDecryptMut, KeyIvInit};
use crypto_secretbox::XSalsa20Poly1305;
use zeroize::Zeroizing;

use crate::provider::Provider;

/// The bytes of a block of AES, and of the vector that `aescbc` puts first.
const BLOCK_BYTES: usize = 16;

/// The bytes of the nonce that `aesgcm` puts first.
const GCM_NONCE_BYTES: usize = 12;

/// The bytes of the nonce that `secretbox` puts first.
const BOX_NONCE_BYTES: usize = 24;

/// The bytes of the tag of `aesgcm` and of `secretbox`.
const TAG_BYTES: usize = 16;

/// Why nothing was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Another key sealed it, or it was sealed for another place.
    WrongKey,
    /// No key of this provider seals anything of this length.
    Malformed,
}

/// Opens what a key of one of the providers that keep their keys in the configuration has sealed.
///
/// # Errors
///
/// It does not open. A KMS plugin opens nothing here, which is a wrong key.
pub(crate) fn unseal(
    provider: Provider,
    key: &[u8],
    key_path: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    match (provider, key.len()) {
        (Provider::AesCbc, 16) => aescbc::<Decryptor<Aes128>>(key, sealed),
        (Provider::AesCbc, 24) => aescbc::<Decryptor<Aes192>>(key, sealed),
        (Provider::AesCbc, 32) => aescbc::<Decryptor<Aes256>>(key, sealed),
        (Provider::AesGcm, 16) => aesgcm::<AesGcm<Aes128, U12>>(key, key_path, sealed),
        (Provider::AesGcm, 24) => aesgcm::<AesGcm<Aes192, U12>>(key, key_path, sealed),
        (Provider::AesGcm, 32) => aesgcm::<AesGcm<Aes256, U12>>(key, key_path, sealed),
        (Provider::Secretbox, _) => secretbox(key, sealed),
        (Provider::AesCbc | Provider::AesGcm | Provider::KmsV1 | Provider::KmsV2, _) => {
            Err(Refusal::WrongKey)
        }
    }
}

/// A vector, then blocks. Nothing but the padding tells a wrong key, and one in 256 slips through.
fn aescbc<C: KeyIvInit + BlockDecryptMut>(
    key: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let (vector, blocks) = sealed.split_at_checked(BLOCK_BYTES).ok_or(Refusal::Malformed)?;
    if blocks.is_empty() || blocks.len() % BLOCK_BYTES != 0 {
        return Err(Refusal::Malformed);
    }
    let mut text = Zeroizing::new(blocks.to_vec());
    let cipher = C::new_from_slices(key, vector).map_err(|_| Refusal::WrongKey)?;
    let length =
        cipher.decrypt_padded_mut::<Pkcs7>(&mut text).map_err(|_| Refusal::WrongKey)?.len();
    text.truncate(length);
    Ok(text)
}

/// A nonce, then text and tag, bound to the key in etcd.
fn aesgcm<C: KeyInit + AeadInPlace<NonceSize = U12>>(
    key: &[u8],
    key_path: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let (nonce, rest) = sealed.split_first_chunk::<GCM_NONCE_BYTES>().ok_or(Refusal::Malformed)?;
    if rest.len() < TAG_BYTES {
        return Err(Refusal::Malformed);
    }
    let mut text = Zeroizing::new(rest.to_vec());
    let cipher = C::new_from_slice(key).map_err(|_| Refusal::WrongKey)?;
    cipher.decrypt_in_place(nonce.into(), key_path, &mut *text).map_err(|_| Refusal::WrongKey)?;
    Ok(text)
}

/// A nonce, then tag and text.
fn secretbox(key: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let (nonce, rest) = sealed.split_first_chunk::<BOX_NONCE_BYTES>().ok_or(Refusal::Malformed)?;
    if rest.len() < TAG_BYTES {
        return Err(Refusal::Malformed);
    }
    let mut text = Zeroizing::new(rest.to_vec());
    let cipher = XSalsa20Poly1305::new_from_slice(key).map_err(|_| Refusal::WrongKey)?;
    cipher.decrypt_in_place(nonce.into(), b"", &mut *text).map_err(|_| Refusal::WrongKey)?;
    Ok(text)
}
