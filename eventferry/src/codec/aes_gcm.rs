//! Encryption with AES-256 in Galois/counter mode (NIST SP 800-38D).

use std::collections::BTreeMap;
use std::fmt;

use aes_gcm::aead::{Aead, Generate, Payload};
use aes_gcm::{Aes256Gcm, Key, KeyInit, Nonce};

use crate::codec::{CodecError, PayloadCipher, Sealed};

/// How many bytes of a sealed payload are its nonce.
const NONCE: usize = 12;

/// Keys for AES-256-GCM: one that seals, and any number that open.
///
/// A sealed payload is 28 bytes longer: a random nonce before it, the tag behind. Seal at most 2^32 payloads with one key (NIST SP 800-38D,
/// section 8.3). `Debug` shows the ids only; keys are wiped from memory when this is dropped.
///
/// # Examples
/// ```
/// use eventferry::codec::{AesGcmKeys, PayloadCipher};
///
/// let old = AesGcmKeys::new("2025", [1; 32]); // keys come from a secret store
/// let keys = AesGcmKeys::new("2026", [2; 32]).and_opens("2025", [1; 32]);
///
/// let sealed = old.seal(b"order/42", b"secret")?;
/// assert_eq!(keys.open(&sealed.key_id, b"order/42", &sealed.bytes)?, b"secret");
/// assert!(keys.open(&sealed.key_id, b"order/43", &sealed.bytes).is_err());
/// assert_eq!(keys.seal(b"order/42", b"secret")?.key_id, "2026");
/// # Ok::<(), eventferry::codec::CodecError>(())
/// ```
pub struct AesGcmKeys {
    current: String,
    keys: BTreeMap<String, Aes256Gcm>,
}

impl AesGcmKeys {
    /// Seals with this key, and opens what it sealed. The id travels with every message.
    pub fn new(id: impl Into<String>, key: [u8; 32]) -> Self {
        let current = id.into();
        let keys = BTreeMap::from([(current.clone(), cipher(key))]);
        Self { current, keys }
    }

    /// Opens what another key sealed as well: an earlier one, or the one that comes next.
    #[must_use = "the keys are returned, not changed in place"]
    pub fn and_opens(mut self, id: impl Into<String>, key: [u8; 32]) -> Self {
        // The current key cannot be replaced by accident.
        self.keys.entry(id.into()).or_insert_with(|| cipher(key));
        self
    }
}

fn cipher(key: [u8; 32]) -> Aes256Gcm {
    Aes256Gcm::new(&Key::<Aes256Gcm>::from(key))
}

impl PayloadCipher for AesGcmKeys {
    fn seal(&self, context: &[u8], payload: &[u8]) -> Result<Sealed, CodecError> {
        let failed = |what| CodecError::encode(what);
        let nonce = Nonce::try_generate().map_err(|_| failed("the system has no random numbers to encrypt with"))?;
        let cipher = self
            .keys
            .get(&self.current)
            .ok_or_else(|| failed("there is no key to encrypt with"))?;
        let plain = Payload {
            msg: payload,
            aad: context,
        };
        let sealed = cipher
            .encrypt(&nonce, plain)
            .map_err(|_| failed("it is too long to be encrypted"))?;
        let mut bytes = Vec::with_capacity(NONCE + sealed.len());
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        Ok(Sealed::new(self.current.clone(), bytes))
    }

    fn open(&self, key_id: &str, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CodecError> {
        let cipher = self.keys.get(key_id);
        let cipher = cipher.ok_or_else(|| CodecError::decode("it is encrypted with a key that is not known here"))?;
        let (nonce, bytes) = sealed
            .split_first_chunk::<NONCE>()
            .ok_or_else(|| CodecError::decode("it is too short to be encrypted"))?;
        let sealed = Payload { msg: bytes, aad: context };
        cipher
            .decrypt(&Nonce::from(*nonce), sealed)
            .map_err(|_| CodecError::decode("it is not what its key sealed for this event"))
    }
}

impl fmt::Debug for AesGcmKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AesGcmKeys")
            .field("current", &self.current)
            .field("keys", &self.keys.keys().collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::CodecErrorKind;

    #[test]
    fn whatever_is_changed_does_not_open() {
        let keys = AesGcmKeys::new("a", [7; 32]).and_opens("b", [8; 32]);
        let sealed = keys.seal(b"context", b"payload").unwrap();
        assert_eq!(sealed.bytes.len(), b"payload".len() + 28);
        assert_eq!(keys.open("a", b"context", &sealed.bytes).unwrap(), b"payload");
        for (id, context) in [("b", &b"context"[..]), ("c", b"context"), ("a", b"other")] {
            let error = keys.open(id, context, &sealed.bytes).unwrap_err();
            assert_eq!(error.kind(), CodecErrorKind::Decode, "{id}");
        }
        for at in 0..sealed.bytes.len() {
            let mut bytes = sealed.bytes.clone();
            bytes[at] ^= 1;
            assert!(keys.open("a", b"context", &bytes).is_err(), "byte {at}");
            assert!(keys.open("a", b"context", &sealed.bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn no_two_payloads_are_sealed_alike_and_the_current_key_stays() {
        let keys = AesGcmKeys::new("a", [7; 32]).and_opens("a", [8; 32]);
        let (one, other) = (keys.seal(b"", b"x").unwrap(), keys.seal(b"", b"x").unwrap());
        assert_ne!(one.bytes, other.bytes);
        assert!(AesGcmKeys::new("a", [7; 32]).open("a", b"", &one.bytes).is_ok());
    }

    #[test]
    fn debug_shows_no_key() {
        let text = format!("{:?}", AesGcmKeys::new("a", [0xAB; 32]));
        assert_eq!(text, "AesGcmKeys { current: \"a\", keys: [\"a\"] }");
    }
}
