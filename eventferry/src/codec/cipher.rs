//! Payloads that only holders of a key can read.

use std::fmt;

use crate::codec::CodecError;

/// Encrypts payloads on their way into the outbox, and decrypts them on their way out of a message.
///
/// `context` says whose payload it is (event, version, aggregate). It must be authenticated with the payload, so that nobody can put one
/// event's payload under another's headers. The id of the key travels in the header
/// [`event-key-id`](crate::event::headers::EVENT_KEY_ID): choose one that is no secret. Both calls are made on the thread that enqueues or
/// decodes: keep keys in memory.
///
/// To rotate: add the new key everywhere consumers run, then let producers seal with it, then take the old key away once the oldest message
/// that can still be read was sealed with the new one.
#[cfg_attr(feature = "encryption", doc = include_str!("examples/cipher.md"))]
pub trait PayloadCipher: Send + Sync + 'static {
    /// Encrypts a payload with the current key.
    ///
    /// # Errors
    /// [`CodecErrorKind::Encode`](crate::codec::CodecErrorKind::Encode). No text of it may hold a part of the payload or of a key.
    fn seal(&self, context: &[u8], payload: &[u8]) -> Result<Sealed, CodecError>;

    /// Decrypts what `seal` made.
    ///
    /// # Errors
    /// [`CodecErrorKind::Decode`](crate::codec::CodecErrorKind::Decode) if there is no such key, or if the bytes are not what it sealed in
    /// this context. No text of it may hold a part of the payload or of a key.
    fn open(&self, key_id: &str, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CodecError>;
}

/// An encrypted payload, and the key that opens it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sealed {
    /// What the key is known by.
    pub key_id: String,
    /// The encrypted payload, with all that opening it takes beside the key.
    pub bytes: Vec<u8>,
}

impl Sealed {
    /// An encrypted payload.
    pub fn new(key_id: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self {
            key_id: key_id.into(),
            bytes,
        }
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed")
            .field("key_id", &self.key_id)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

/// What a payload is authenticated with. Every part carries its length: no two contexts run together into the same bytes.
pub(crate) fn context(event: &str, version: u32, aggregate_type: &str, aggregate_id: &str) -> Vec<u8> {
    let mut context = b"eventferry payload 1".to_vec();
    context.extend_from_slice(&version.to_be_bytes());
    for part in [event, aggregate_type, aggregate_id] {
        context.extend_from_slice(&(part.len() as u64).to_be_bytes());
        context.extend_from_slice(part.as_bytes());
    }
    context
}
