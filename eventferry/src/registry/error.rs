//! What can go wrong between a typed event and its row or message. No text here holds a value of a payload, a key or a header.

use std::error::Error as StdError;
use std::fmt;

use crate::codec::{CodecError, Violation};
use crate::store::StoreError;

/// A set whose schemas could not be compiled.
///
/// # Examples
/// [`Outbox::new`](crate::Outbox::new) shows a schema that is wrong.
#[derive(Debug, thiserror::Error)]
#[error("failed to compile the schema of `{event}` version {version}")]
pub struct SchemaError {
    event: &'static str,
    version: u32,
    #[source]
    source: CodecError,
}

impl SchemaError {
    pub(super) fn new(event: &'static str, version: u32, source: CodecError) -> Self {
        Self { event, version, source }
    }

    /// The event's name.
    pub fn event(&self) -> &'static str {
        self.event
    }
}

/// Why an event was not enqueued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EnqueueErrorKind {
    /// The schema forbids it; see [`EnqueueError::violations`]. Nothing was written and the transaction is as usable as before.
    Refused,
    /// The event has no form in its format. Nothing was written and the transaction is as usable as before.
    Encode,
    /// The aggregate id, the key, the partition or a header cannot be stored. Nothing was written and the transaction is as usable as
    /// before.
    Invalid,
    /// The database; see [`EnqueueError::store_error`].
    Store,
}

/// An event that was not enqueued.
///
/// The text names the event, the place in the payload and the rule; it never holds a value.
#[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/enqueue_error.md"))]
#[derive(Debug)]
pub struct EnqueueError(Box<EnqueueFailure>);

#[derive(Debug)]
struct EnqueueFailure {
    kind: EnqueueErrorKind,
    what: String,
    position: Option<usize>,
    violations: Vec<Violation>,
    store: Option<StoreError>,
}

impl EnqueueError {
    fn of(kind: EnqueueErrorKind, what: String) -> Self {
        Self(Box::new(EnqueueFailure {
            kind,
            what,
            position: None,
            violations: Vec::new(),
            store: None,
        }))
    }

    pub(super) fn encode(event: &str, error: &CodecError) -> Self {
        Self::of(EnqueueErrorKind::Encode, format!("failed to encode `{event}`: {error}"))
    }

    pub(super) fn refused(event: &str, error: &CodecError) -> Self {
        let mut refused = Self::of(
            EnqueueErrorKind::Refused,
            format!("the schema of `{event}` forbids this event: {error}"),
        );
        refused.0.violations = error.violations().to_vec();
        refused
    }

    pub(super) fn invalid(event: &str, what: impl fmt::Display) -> Self {
        Self::of(EnqueueErrorKind::Invalid, format!("failed to enqueue `{event}`: {what}"))
    }

    pub(super) fn store(what: String, error: StoreError) -> Self {
        let mut failed = Self::of(EnqueueErrorKind::Store, what);
        failed.0.store = Some(error);
        failed
    }

    pub(super) fn at(mut self, position: usize) -> Self {
        self.0.position = Some(position);
        self
    }

    /// Why; decide on this, never on text.
    pub fn kind(&self) -> EnqueueErrorKind {
        self.0.kind
    }

    /// What the schema forbids; empty unless the kind is [`EnqueueErrorKind::Refused`].
    pub fn violations(&self) -> &[Violation] {
        &self.0.violations
    }

    /// Which event of a batch it was, from 0; none if the batch as a whole failed, or there was none.
    pub fn position(&self) -> Option<usize> {
        self.0.position
    }

    /// What the database said.
    pub fn store_error(&self) -> Option<&StoreError> {
        self.0.store.as_ref()
    }

    /// Whether repeating the whole transaction can help.
    pub fn is_retryable(&self) -> bool {
        self.store_error().is_some_and(StoreError::is_retryable)
    }
}

impl fmt::Display for EnqueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)?;
        match self.0.position {
            Some(position) => write!(f, " (at place {position} of the batch)"),
            None => Ok(()),
        }
    }
}

impl StdError for EnqueueError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.store_error().map(|e| e as &(dyn StdError + 'static))
    }
}

/// Why a message was not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The message does not say which event it is, and the set does not have exactly one event for its topic.
    NotOurs,
    /// The set does not list the event; what a consumer of a shared topic skips.
    UnknownEvent,
    /// The set lists several events of that name and the topic is none of theirs.
    Ambiguous,
    /// It is an event of the set, but not the one that was asked for.
    OtherEvent,
    /// The version is later than the latest that is known here: this consumer is older than the producer. The message is as good as any;
    /// what reads it is a consumer built with the newer set.
    NewerVersion,
    /// The version is none of those known here and not a later one either: it was never in the set, its type was taken out of the chain, or
    /// the header holds no version at all.
    UnknownVersion,
    /// The payload is of another media type than the event's.
    ContentType,
    /// The payload is not an event of that type; see [`DecodeError::place`].
    Undecodable,
    /// The payload is encrypted, and the set was given no keys, not this one, or it does not open it.
    Encrypted,
    /// There is no payload.
    Tombstone,
    /// The schema forbids it, or a strict reader does; see [`DecodeError::violations`]. Only where that is switched on.
    Refused,
}

/// A message that was not decoded.
///
/// The text names the event and the place in the payload; it never holds a value.
#[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/decode_error.md"))]
#[derive(Debug)]
pub struct DecodeError(Box<DecodeFailure>);

#[derive(Debug)]
struct DecodeFailure {
    kind: DecodeErrorKind,
    event: Option<String>,
    what: String,
    codec: Option<CodecError>,
}

impl DecodeError {
    pub(super) fn new(kind: DecodeErrorKind, event: Option<&str>, what: String) -> Self {
        Self(Box::new(DecodeFailure {
            kind,
            event: event.map(str::to_owned),
            what,
            codec: None,
        }))
    }

    pub(super) fn with_codec(mut self, error: CodecError) -> Self {
        self.0.codec = Some(error);
        self
    }

    /// Why; decide on this, never on text.
    pub fn kind(&self) -> DecodeErrorKind {
        self.0.kind
    }

    /// Whether the set does not list the event: the predicate of a consumer that skips what it does not know.
    pub fn is_unknown(&self) -> bool {
        self.0.kind == DecodeErrorKind::UnknownEvent
    }

    /// Whether the message is of a later version than any known here: what a consumer waits or stops for, and does not skip.
    pub fn is_newer(&self) -> bool {
        self.0.kind == DecodeErrorKind::NewerVersion
    }

    /// The event's name, as the message or the set says it.
    pub fn event(&self) -> Option<&str> {
        self.0.event.as_deref()
    }

    /// Line and column of the payload, where it could not be read.
    pub fn place(&self) -> Option<(usize, usize)> {
        self.0.codec.as_ref().and_then(CodecError::place)
    }

    /// What the schema forbids; empty unless the kind is [`DecodeErrorKind::Refused`].
    pub fn violations(&self) -> &[Violation] {
        self.0.codec.as_ref().map_or(&[], CodecError::violations)
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)?;
        match &self.0.codec {
            Some(codec) => write!(f, ": {codec}"),
            None => Ok(()),
        }
    }
}

impl StdError for DecodeError {}
