//! Avro, through serde and apache-avro.
//!
//! The schema is derived from the type, or read from a file when the type is compiled. An event's fields say what Rust says: an `i64` is a
//! `long`, an enum of unit variants an `enum`, an `Option` a union with `null`. What Rust has no type for (times, dates, decimals) is in
//! [`logical`].

#[cfg(feature = "schema-registry")]
mod align;
#[cfg(feature = "schema-registry")]
mod alike;
mod compiled;
mod explain;
mod fit;
#[cfg(feature = "schema-registry")]
mod foreign;
mod input;
pub mod logical;
mod marked;
mod shape;
mod walk;

use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;

use apache_avro::AvroSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

pub use compiled::Compiled;
#[cfg(feature = "schema-registry")]
pub(crate) use foreign::Foreign;
pub(crate) use marked::Marked;

use crate::codec::{Check, Checker, CodecError, Contract, Decode, Describe, Encode, Format};
use crate::event::OutboxEvent;
use crate::schema::{Schema, SchemaKind};

/// Payloads as Avro's binary encoding, without a container and without a fingerprint: one datum, the event.
///
/// `S` says where the schema comes from: from the type ([`Derived`], so plain `Avro`), or from a [`SchemaFile`]. The derive writes either.
///
/// What is stored was checked: decimals fit their precision, uuids and texts are what they say, enums have the symbol. What is read is
/// walked through first, so that no length in it asks for memory that the payload does not pay for.
#[cfg_attr(feature = "derive", doc = include_str!("examples/avro.md"))]
pub struct Avro<S = Derived>(PhantomData<fn() -> S>);

impl<S> fmt::Debug for Avro<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Avro")
    }
}

/// The schema is the one that the type says of itself, with `#[derive(apache_avro::AvroSchema)]`.
#[derive(Debug)]
#[non_exhaustive]
pub struct Derived;

/// A schema that stands in a file; implemented by the derive for `schema = "…"`.
pub trait SchemaFile: 'static {
    /// The file's name, for errors.
    const PATH: &'static str;
    /// What is in it.
    const TEXT: &'static str;
}

/// Where the schema of an `E` comes from.
///
/// Implemented for what can stand in [`Avro`]; nothing to write.
#[diagnostic::on_unimplemented(
    message = "`{E}` has no Avro schema",
    note = "put `#[derive(apache_avro::AvroSchema)]` on the event, or name its file: `#[outbox(format = \"avro\", schema = \"schemas/order.avsc\")]`"
)]
pub trait Source<E: ?Sized> {
    /// The schema, compiled once for each type and kept for the life of the process.
    #[doc(hidden)]
    fn compiled() -> Result<&'static Compiled, CodecError>;
}

impl<E> Source<E> for Derived
where
    E: OutboxEvent + ?Sized,
    E::Listed: AvroSchema + 'static,
{
    fn compiled() -> Result<&'static Compiled, CodecError> {
        compiled::KEPT.of(TypeId::of::<E::Listed>(), || {
            Compiled::derived(<E::Listed as AvroSchema>::get_schema, E::NAME)
        })
    }
}

impl<E: ?Sized, F: SchemaFile> Source<E> for F {
    fn compiled() -> Result<&'static Compiled, CodecError> {
        compiled::KEPT.of(TypeId::of::<F>(), || Compiled::parsed(F::TEXT, F::PATH))
    }
}

impl<S> Format for Avro<S> {
    // The media type that Avro's own specification gives. CloudEvents and Confluent's serializers name none of their own.
    const CONTENT_TYPE: &'static str = "avro/binary";
    const ALSO_READ: &'static [&'static str] = &["application/avro", "application/vnd.apache.avro", "application/vnd.confluent.avro"];
    const KIND: Option<SchemaKind> = Some(SchemaKind::Avro);
}

impl<E: Serialize + ?Sized, S: Source<E>> Encode<E> for Avro<S> {
    fn encode(event: &E) -> Result<Vec<u8>, CodecError> {
        S::compiled()?.encode(event)
    }
}

impl<'de, E: DeserializeOwned, S: Source<E>> Decode<'de, E> for Avro<S> {
    fn decode(bytes: &'de [u8]) -> Result<E, CodecError> {
        S::compiled()?.decode(bytes)
    }
}

impl<E: ?Sized> Describe<E> for Avro<Derived>
where
    Derived: Source<E>,
{
    fn schema(_: Contract) -> String {
        text::<Derived, E>()
    }

    fn checker(_: Contract) -> Result<Checker, CodecError> {
        Ok(Some(Box::new(Checked(<Derived as Source<E>>::compiled()?))))
    }

    fn registered() -> Option<Schema> {
        registered::<Derived, E>()
    }
}

impl<E: Serialize + DeserializeOwned, F: SchemaFile> Describe<E> for Avro<F> {
    fn schema(_: Contract) -> String {
        F::TEXT.to_owned()
    }

    fn checker(_: Contract) -> Result<Checker, CodecError> {
        let compiled = <F as Source<E>>::compiled()?;
        fit::check::<E>(compiled, F::PATH)?;
        Ok(Some(Box::new(Checked(compiled))))
    }

    fn registered() -> Option<Schema> {
        registered::<F, E>()
    }
}

fn text<S: Source<E>, E: ?Sized>() -> String {
    // A schema that does not compile has been reported by the checker, which every set asks for first.
    S::compiled().map(|compiled| compiled.text().to_owned()).unwrap_or_default()
}

fn registered<S: Source<E>, E: ?Sized>() -> Option<Schema> {
    let compiled = S::compiled().ok()?;
    Some(Schema::new(SchemaKind::Avro, compiled.name(), compiled.text()))
}

struct Checked(&'static Compiled);

impl Check for Checked {
    fn check(&self, bytes: &[u8]) -> Result<(), CodecError> {
        self.0.check(bytes)
    }
}

/// An event whose own name is not compared with the record's: a view, and the struct of an old version, are called otherwise.
struct Root<E>(E);

impl<'de, E: Deserialize<'de>> Deserialize<'de> for Root<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        E::deserialize(Unnamed(deserializer)).map(Self)
    }
}

struct Unnamed<D>(D);

macro_rules! forward {
    ($($method:ident($($arg:ident: $ty:ty),*);)*) => {
        $(fn $method<V: serde::de::Visitor<'de>>(self, $($arg: $ty,)* visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method($($arg,)* visitor)
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Unnamed<D> {
    type Error = D::Error;

    forward! {
        deserialize_any(); deserialize_bool(); deserialize_char(); deserialize_str(); deserialize_string();
        deserialize_i8(); deserialize_i16(); deserialize_i32(); deserialize_i64(); deserialize_i128();
        deserialize_u8(); deserialize_u16(); deserialize_u32(); deserialize_u64(); deserialize_u128();
        deserialize_f32(); deserialize_f64(); deserialize_bytes(); deserialize_byte_buf();
        deserialize_option(); deserialize_unit(); deserialize_seq(); deserialize_map();
        deserialize_identifier(); deserialize_ignored_any();
        deserialize_tuple(len: usize);
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
    }

    fn deserialize_struct<V: serde::de::Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        // A record is read as a map of its fields, whatever it is called.
        self.0.deserialize_map(visitor)
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}
