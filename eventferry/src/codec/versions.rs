//! Old payloads: the chain of versions behind an event, walked by the compiler.

use std::fmt;

use crate::codec::{Checker, CodecError, Contract, Decode, Describe, Format};
use crate::event::check::check_upcast;
use crate::event::{Oldest, OutboxEvent, UpcastFrom};
use crate::schema::{Schema, SchemaKind, frame};

/// Why no version of an event took a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum VersionError {
    /// No such version is known.
    Unknown,
    /// The version is written in another media type, this one.
    ContentType(&'static str),
    /// The version did not fit.
    Codec(CodecError),
}

/// A payload as it came.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Wire<'de> {
    /// The media type that the message says, if it says one.
    pub content_type: Option<&'de str>,
    /// Whether a schema registry's frame stood before the bytes. For Protobuf they begin with the place of the message in its file then.
    pub framed: bool,
    /// What follows the frame, or all.
    pub bytes: &'de [u8],
}

impl<'de> Wire<'de> {
    /// A payload without a frame.
    pub fn plain(content_type: Option<&'de str>, bytes: &'de [u8]) -> Self {
        Self {
            content_type,
            framed: false,
            bytes,
        }
    }

    /// The encoded event alone, in a format of this kind.
    pub(crate) fn event(self, kind: Option<SchemaKind>) -> Result<&'de [u8], CodecError> {
        if !self.framed || kind != Some(SchemaKind::Protobuf) {
            return Ok(self.bytes);
        }
        // The header `event-type` has said which message it is.
        let found = frame::take_message_index(self.bytes);
        found
            .map(|(_, event)| event)
            .ok_or_else(|| CodecError::decode("its frame ends too early"))
    }
}

impl fmt::Debug for Wire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("framed", &self.framed)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// An event that can be read from payloads of its own version and of every version before it.
///
/// Implemented for every event whose versions can all be read; nothing to write.
pub trait Versions<'de>: OutboxEvent + Sized {
    /// Reads a payload of a version.
    ///
    /// # Errors
    /// [`VersionError`].
    fn decode_version(version: u32, wire: Wire<'de>) -> Result<Self, VersionError>;
}

impl<'de, E> Versions<'de> for E
where
    E: OutboxEvent,
    E::Format: Decode<'de, E>,
    E::Previous: Earlier<'de, E>,
{
    fn decode_version(version: u32, wire: Wire<'de>) -> Result<Self, VersionError> {
        if version == E::VERSION {
            let ours = <E::Format as Format>::CONTENT_TYPE;
            let also = <E::Format as Format>::ALSO_READ;
            let is_ours = |theirs: &str| same_media_type(theirs, ours) || also.iter().any(|also| same_media_type(theirs, also));
            if wire.content_type.is_some_and(|theirs| !is_ours(theirs)) {
                return Err(VersionError::ContentType(ours));
            }
            let event = wire.event(<E::Format as Format>::KIND).map_err(VersionError::Codec)?;
            return <E::Format as Decode<'de, E>>::decode(event).map_err(VersionError::Codec);
        }
        <E::Previous as Earlier<'de, E>>::decode_earlier(version, wire)
    }
}

/// What stands behind an event: nothing, or an older version of it.
pub trait Earlier<'de, E> {
    /// Reads a payload of an earlier version and brings it up to `E`.
    ///
    /// # Errors
    /// [`VersionError`].
    fn decode_earlier(version: u32, wire: Wire<'de>) -> Result<E, VersionError>;
}

impl<E> Earlier<'_, E> for Oldest {
    fn decode_earlier(_: u32, _: Wire<'_>) -> Result<E, VersionError> {
        Err(VersionError::Unknown)
    }
}

impl<'de, E, P> Earlier<'de, E> for UpcastFrom<P>
where
    P: Versions<'de>,
    E: From<P>,
{
    fn decode_earlier(version: u32, wire: Wire<'de>) -> Result<E, VersionError> {
        P::decode_version(version, wire).map(E::from)
    }
}

/// One version of one event, as it is exported.
///
/// # Examples
/// [`Outbox::schemas`](crate::Outbox::schemas) lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventSchema {
    /// The topic the event is sent to.
    pub topic: &'static str,
    /// The event's name.
    pub name: &'static str,
    /// The version.
    pub version: u32,
    /// The media type of the payload.
    pub content_type: &'static str,
    /// The schema, as the format's tools read it.
    pub text: String,
    /// The same as a schema registry takes it; none for formats of a kind that registries do not know.
    pub registered: Option<Schema>,
}

/// A version of an event, not yet described.
#[derive(Debug, Clone, Copy)]
pub struct Version {
    pub(crate) topic: &'static str,
    pub(crate) name: &'static str,
    pub(crate) number: u32,
    pub(crate) content_type: &'static str,
    #[cfg_attr(
        not(any(feature = "json", feature = "avro", feature = "protobuf")),
        expect(dead_code, reason = "there is no checker that would need it")
    )]
    pub(crate) kind: Option<SchemaKind>,
    pub(crate) schema: fn(Contract) -> String,
    pub(crate) registered: fn() -> Option<Schema>,
    #[cfg_attr(
        not(any(feature = "json-schema", feature = "avro", feature = "protobuf")),
        expect(dead_code, reason = "there is no checker to ask for")
    )]
    pub(crate) checker: fn(Contract) -> Result<Checker, CodecError>,
}

impl Version {
    /// The version with its schema.
    pub(crate) fn export(&self) -> EventSchema {
        EventSchema {
            topic: self.topic,
            name: self.name,
            version: self.number,
            content_type: self.content_type,
            text: (self.schema)(Contract::Written),
            registered: (self.registered)(),
        }
    }
}

/// An event all of whose versions can be described.
///
/// Implemented for every event whose versions can all be described; nothing to write.
pub trait History {
    /// Adds every version to `to`, the oldest first.
    #[doc(hidden)]
    fn history(to: &mut Vec<Version>);
    /// The checker of the version itself.
    #[doc(hidden)]
    fn checker(contract: Contract) -> Result<Checker, CodecError>;
    /// The schema of the version itself, as a schema registry takes it.
    #[doc(hidden)]
    fn registered() -> Option<Schema>;
    /// Name and version of the version before this one.
    #[doc(hidden)]
    const BEFORE: Option<(&'static str, u32)>;
    /// Fails to compile where an earlier version is not below the one after it, or has another name.
    #[doc(hidden)]
    const DESCENDS: ();
}

/// What stands behind an event, for [`History`].
#[doc(hidden)]
pub trait Past {
    const LATEST: Option<(&'static str, u32)>;
    const DESCENDS: ();
    fn history(to: &mut Vec<Version>);
}

impl Past for Oldest {
    const LATEST: Option<(&'static str, u32)> = None;
    const DESCENDS: () = ();
    fn history(_: &mut Vec<Version>) {}
}

impl<P: OutboxEvent + History> Past for UpcastFrom<P> {
    const LATEST: Option<(&'static str, u32)> = Some((P::NAME, P::VERSION));
    const DESCENDS: () = {
        let () = P::DESCENDS;
        if let (Some((name, version)), false) = (P::BEFORE, P::CHECKED) {
            check_upcast(P::NAME, P::VERSION, name, version);
        }
    };
    fn history(to: &mut Vec<Version>) {
        P::history(to);
    }
}

impl<E> History for E
where
    E: OutboxEvent,
    E::Format: Describe<E>,
    E::Previous: Past,
{
    fn history(to: &mut Vec<Version>) {
        <E::Previous as Past>::history(to);
        to.push(Version {
            topic: E::TOPIC,
            name: E::NAME,
            number: E::VERSION,
            content_type: <E::Format as Format>::CONTENT_TYPE,
            kind: <E::Format as Format>::KIND,
            schema: <E::Format as Describe<E>>::schema,
            registered: <E as History>::registered,
            checker: <E as History>::checker,
        });
    }

    fn checker(contract: Contract) -> Result<Checker, CodecError> {
        <E::Format as Describe<E>>::checker(contract)
    }

    fn registered() -> Option<Schema> {
        <E::Format as Describe<E>>::registered()
    }

    const BEFORE: Option<(&'static str, u32)> = <E::Previous as Past>::LATEST;
    const DESCENDS: () = <E::Previous as Past>::DESCENDS;
}

/// Whether two media types are the same, parameters and case aside.
fn same_media_type(a: &str, b: &str) -> bool {
    let essence = |text: &'_ str| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence(a) == essence(b)
}
