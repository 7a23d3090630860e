//! Old payloads: the chain of versions behind an event, walked by the compiler.

use crate::codec::{Checker, CodecError, Contract, Decode, Describe, Format};
use crate::event::check::check_upcast;
use crate::event::{Oldest, OutboxEvent, UpcastFrom};
use crate::schema::Schema;

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

/// An event that can be read from payloads of its own version and of every version before it.
///
/// Implemented for every event whose versions can all be read; nothing to write.
pub trait Versions<'de>: OutboxEvent + Sized {
    /// Reads a payload of a version. `content_type` is what the message says, if it says.
    ///
    /// # Errors
    /// [`VersionError`].
    fn decode_version(version: u32, content_type: Option<&str>, bytes: &'de [u8]) -> Result<Self, VersionError>;
}

impl<'de, E> Versions<'de> for E
where
    E: OutboxEvent,
    E::Format: Decode<'de, E>,
    E::Previous: Earlier<'de, E>,
{
    fn decode_version(version: u32, content_type: Option<&str>, bytes: &'de [u8]) -> Result<Self, VersionError> {
        if version == E::VERSION {
            let ours = <E::Format as Format>::CONTENT_TYPE;
            if content_type.is_some_and(|theirs| !same_media_type(theirs, ours)) {
                return Err(VersionError::ContentType(ours));
            }
            return <E::Format as Decode<'de, E>>::decode(bytes).map_err(VersionError::Codec);
        }
        <E::Previous as Earlier<'de, E>>::decode_earlier(version, content_type, bytes)
    }
}

/// What stands behind an event: nothing, or an older version of it.
pub trait Earlier<'de, E> {
    /// Reads a payload of an earlier version and brings it up to `E`.
    ///
    /// # Errors
    /// [`VersionError`].
    fn decode_earlier(version: u32, content_type: Option<&str>, bytes: &'de [u8]) -> Result<E, VersionError>;
}

impl<E> Earlier<'_, E> for Oldest {
    fn decode_earlier(_: u32, _: Option<&str>, _: &[u8]) -> Result<E, VersionError> {
        Err(VersionError::Unknown)
    }
}

impl<'de, E, P> Earlier<'de, E> for UpcastFrom<P>
where
    P: Versions<'de>,
    E: From<P>,
{
    fn decode_earlier(version: u32, content_type: Option<&str>, bytes: &'de [u8]) -> Result<E, VersionError> {
        P::decode_version(version, content_type, bytes).map(E::from)
    }
}

/// One version of one event, as it is exported.
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
    pub(crate) schema: fn(Contract) -> String,
    pub(crate) registered: fn() -> Option<Schema>,
    #[cfg_attr(not(feature = "json-schema"), expect(dead_code, reason = "there is no checker to ask for"))]
    pub(crate) checker: fn(Contract) -> Result<Checker, CodecError>,
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
            schema: <E::Format as Describe<E>>::schema,
            registered: <E::Format as Describe<E>>::registered,
            checker: <E as History>::checker,
        });
    }

    fn checker(contract: Contract) -> Result<Checker, CodecError> {
        <E::Format as Describe<E>>::checker(contract)
    }

    const BEFORE: Option<(&'static str, u32)> = <E::Previous as Past>::LATEST;
    const DESCENDS: () = <E::Previous as Past>::DESCENDS;
}

/// Whether two media types are the same, parameters and case aside.
fn same_media_type(a: &str, b: &str) -> bool {
    let essence = |text: &'_ str| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence(a) == essence(b)
}
