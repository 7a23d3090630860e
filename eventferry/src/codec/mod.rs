//! Events to bytes and back: one file for each format.
//!
//! A format is a marker type such as [`Json`]. What it can do for an event is said by three small traits, so that a service which only
//! reads needs nothing of what writing takes: [`Decode`] and [`Describe`] come with the format, [`Encode`] with its checker.
//!
//! # Examples
//! A format of one's own takes an event's text and nothing else:
//! ```
//! use eventferry::codec::{CodecError, Decode, Format};
//!
//! struct Plain;
//!
//! impl Format for Plain {
//!     const CONTENT_TYPE: &'static str = "text/plain";
//! }
//!
//! impl<'de> Decode<'de, String> for Plain {
//!     fn decode(bytes: &'de [u8]) -> Result<String, CodecError> {
//!         String::from_utf8(bytes.to_vec()).map_err(|_| CodecError::decode("it is not UTF-8"))
//!     }
//! }
//!
//! assert_eq!(Plain::decode(b"hi")?, "hi");
//! # Ok::<(), CodecError>(())
//! ```

#[cfg(feature = "encryption")]
mod aes_gcm;
#[cfg(feature = "avro")]
pub mod avro;
mod cipher;
#[cfg(feature = "json")]
mod declared;
mod error;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "json-schema")]
mod json_numbers;
#[cfg(feature = "json-schema")]
mod json_schema;
#[cfg(any(feature = "avro", feature = "protobuf"))]
mod kept;
#[cfg(all(test, any(feature = "json", feature = "avro", feature = "protobuf")))]
mod known;
#[cfg(feature = "protobuf")]
pub mod protobuf;
#[cfg(any(feature = "json", feature = "avro", feature = "protobuf"))]
mod shown;
mod versions;
#[cfg(any(feature = "json", feature = "avro", feature = "protobuf"))]
mod view;

#[cfg(feature = "encryption")]
pub use aes_gcm::AesGcmKeys;
#[cfg(feature = "avro")]
#[doc(inline)]
pub use avro::Avro;
pub use cipher::{PayloadCipher, Sealed};
pub use error::{CodecError, CodecErrorKind, Violation};
#[cfg(feature = "json")]
pub use json::Json;
#[cfg(feature = "protobuf")]
#[doc(inline)]
pub use protobuf::Protobuf;
pub use versions::{Earlier, EventSchema, History, VersionError, Versions, Wire};

pub(crate) use cipher::context;
#[cfg(any(feature = "json", feature = "avro", feature = "protobuf"))]
pub(crate) use shown::MASK;
#[cfg(feature = "contracts")]
pub(crate) use shown::is_sensitive;
pub(crate) use versions::Version;
#[cfg(any(feature = "json", feature = "avro", feature = "protobuf"))]
pub(crate) use view::View;

use crate::schema::{Schema, SchemaKind};

/// A format of payloads.
pub trait Format {
    /// The media type, in the header `content-type`.
    const CONTENT_TYPE: &'static str;

    /// Other names of the same media type, which other writers use; taken when reading, never written.
    const ALSO_READ: &'static [&'static str] = &[];

    /// The kind of schema that a schema registry knows the format by; none if it knows none such.
    const KIND: Option<SchemaKind> = None;
}

/// A format that can write `E`.
///
/// What it returns are the bytes that are checked, and, if they pass, the very bytes that are stored.
#[diagnostic::on_unimplemented(
    message = "`{E}` cannot be written as `{Self}`",
    note = "JSON needs `#[derive(serde::Serialize)]` on the event and the feature `json-schema` of eventferry, which checks what is written",
    note = "Avro needs `#[derive(serde::Serialize, apache_avro::AvroSchema)]`, or `serde::Serialize` alone where `schema = \"…\"` names the file",
    note = "Protobuf needs `#[derive(prost::Message)]`",
    note = "a format of your own needs `impl eventferry::codec::Encode<{E}>`"
)]
pub trait Encode<E: ?Sized>: Format {
    /// Writes an event.
    ///
    /// # Errors
    /// [`CodecErrorKind::Encode`] if the event has no form in this format. No text of it may hold a value of the event.
    fn encode(event: &E) -> Result<Vec<u8>, CodecError>;
}

/// A format that can read `E`, borrowing from the bytes where `E` does.
#[diagnostic::on_unimplemented(
    message = "`{E}` cannot be read as `{Self}`",
    note = "JSON needs `#[derive(serde::Deserialize)]` on the event",
    note = "Avro needs the same on a type that borrows nothing but by `Cow`, and `#[derive(apache_avro::AvroSchema)]` or a file in `schema = \"…\"`",
    note = "Protobuf needs `#[derive(prost::Message)]`",
    note = "a format of your own needs `impl<'de> eventferry::codec::Decode<'de, {E}>`"
)]
pub trait Decode<'de, E>: Format {
    /// Reads an event.
    ///
    /// # Errors
    /// [`CodecErrorKind::Decode`]. No text of it may hold a part of the payload.
    fn decode(bytes: &'de [u8]) -> Result<E, CodecError>;
}

/// Which side's promise a schema states: they differ where a field may be left out on the way in but never is on the way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Contract {
    /// What a writer puts on the wire. This is what is exported, and what is checked before an event is stored.
    Written,
    /// What a reader takes. This is what is checked on the way in, where that is switched on.
    Read,
}

/// A compiled schema, or none where the format has no checker.
pub type Checker = Option<Box<dyn Check>>;

/// A format that can say what an `E` looks like.
///
/// # Examples
/// A format of one's own that says what it looks like, and checks nothing:
/// ```
/// use eventferry::codec::{Checker, CodecError, Contract, Describe, Encode, Format};
///
/// struct Lines;
///
/// impl Format for Lines {
///     const CONTENT_TYPE: &'static str = "text/plain";
/// }
///
/// impl Encode<Vec<String>> for Lines {
///     fn encode(lines: &Vec<String>) -> Result<Vec<u8>, CodecError> { Ok(lines.join("\n").into_bytes()) }
/// }
///
/// impl Describe<Vec<String>> for Lines {
///     fn schema(_: Contract) -> String { "lines of text".to_owned() }
///     fn checker(_: Contract) -> Result<Checker, CodecError> { Ok(None) }
/// }
///
/// assert_eq!(Lines::encode(&vec!["a".to_owned(), "b".to_owned()])?, b"a\nb");
/// assert_eq!(<Lines as Describe<Vec<String>>>::registered(), None);
/// # Ok::<(), CodecError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{E}` has no schema in the format `{Self}`",
    note = "JSON needs `#[derive(schemars::JsonSchema)]` on the event",
    note = "Avro needs `#[derive(apache_avro::AvroSchema)]`, or a file in `schema = \"…\"` and `#[derive(serde::Serialize, serde::Deserialize)]`",
    note = "Protobuf needs `#[derive(prost::Message)]` and a file in `schema = \"…\"`",
    note = "a format of your own needs `impl eventferry::codec::Describe<{E}>`"
)]
pub trait Describe<E: ?Sized>: Format {
    /// The schema, as the format's tools read it.
    fn schema(contract: Contract) -> String;

    /// What checks encoded events against the schema; none where the format cannot express what the schema forbids, or where the
    /// checker is not built in (then [`Encode`] is not either).
    ///
    /// # Errors
    /// [`CodecErrorKind::Schema`] if the schema itself is wrong.
    fn checker(contract: Contract) -> Result<Checker, CodecError>;

    /// What a writer puts on the wire, as a schema registry takes it; none where the format is of no kind that registries know.
    fn registered() -> Option<Schema> {
        None
    }
}

/// A compiled schema.
pub trait Check: Send + Sync {
    /// Checks an encoded event.
    ///
    /// # Errors
    /// [`CodecErrorKind::Refused`] with what the schema forbids; [`CodecErrorKind::Decode`] if the bytes cannot be read at all.
    fn check(&self, bytes: &[u8]) -> Result<(), CodecError>;
}
