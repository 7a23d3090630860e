//! Protobuf, through prost: the message's type in Rust, and the `.proto` file that describes it.

#[cfg(feature = "schema-registry")]
mod alike;
mod file;
mod fit;
mod marked;
mod probe;
mod strict;

use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;

use prost::Message;

#[cfg(feature = "schema-registry")]
pub(crate) use alike::are_alike;
pub use file::Parsed;
pub(crate) use marked::Marked;
pub(crate) use strict::Strict;

use crate::codec::{Check, Checker, CodecError, Contract, Decode, Describe, Encode, Format};
use crate::schema::{Schema, SchemaKind};

/// Payloads as Protobuf, without a length before them.
///
/// `F` is the file that describes the message; the derive makes it of `schema = "…"`. The type comes from prost, generated or written by
/// hand, and is compared with the file when the set is made. What is stored was checked against the file: no field it does not declare,
/// no number an enum of it has not.
///
/// # Examples
/// Without the derive, which writes the file's type from `schema = "order.proto"`:
/// ```
/// use eventferry::codec::protobuf::ProtoFile;
/// use eventferry::codec::{Contract, Decode, Describe, Encode, Protobuf};
///
/// struct OrderProto;
///
/// impl ProtoFile for OrderProto {
///     const PATH: &'static str = "order.proto";
///     const TEXT: &'static str = r#"syntax = "proto3"; package shop; message OrderPaid { uint64 order_id = 1; }"#;
///     const MESSAGE: &'static str = "OrderPaid";
/// }
///
/// #[derive(Clone, PartialEq, prost::Message)]
/// struct OrderPaid {
///     #[prost(uint64, tag = "1")]
///     order_id: u64,
/// }
///
/// let bytes = Protobuf::<OrderProto>::encode(&OrderPaid { order_id: 7 })?;
/// assert_eq!((&bytes[..], Protobuf::<OrderProto>::decode(&bytes)?), (&[8, 7][..], OrderPaid { order_id: 7 }));
/// assert!(<Protobuf<OrderProto> as Describe<OrderPaid>>::checker(Contract::Written).is_ok(), "the type fits the file");
/// # Ok::<(), eventferry::codec::CodecError>(())
/// ```
pub struct Protobuf<F>(PhantomData<fn() -> F>);

impl<F> fmt::Debug for Protobuf<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protobuf")
    }
}

/// A `.proto` file and one message of it; implemented by the derive for `schema = "…"` and `message = "…"`.
pub trait ProtoFile: 'static {
    /// The file's name, for errors.
    const PATH: &'static str;
    /// What is in it.
    const TEXT: &'static str;
    /// The message's name, with its package or without.
    const MESSAGE: &'static str;
}

impl<F> Format for Protobuf<F> {
    // The name under which the format is registered with IANA, and the one that CloudEvents uses for data.
    const CONTENT_TYPE: &'static str = "application/protobuf";
    const ALSO_READ: &'static [&'static str] = &["application/x-protobuf", "application/vnd.google.protobuf"];
    const KIND: Option<SchemaKind> = Some(SchemaKind::Protobuf);
}

impl<E: Message, F> Encode<E> for Protobuf<F> {
    fn encode(event: &E) -> Result<Vec<u8>, CodecError> {
        Ok(event.encode_to_vec())
    }
}

impl<E: Message + Default, F> Decode<'_, E> for Protobuf<F> {
    fn decode(bytes: &[u8]) -> Result<E, CodecError> {
        // Its text names the field, and never the value; but the field of another message than the one that was asked for.
        E::decode(bytes).map_err(|_| CodecError::decode("it is no such Protobuf message"))
    }
}

impl<E: Message + Default + fmt::Debug, F: ProtoFile> Describe<E> for Protobuf<F> {
    fn schema(_: Contract) -> String {
        F::TEXT.to_owned()
    }

    fn checker(contract: Contract) -> Result<Checker, CodecError> {
        let parsed = parsed::<F>()?;
        fit::check::<E>(parsed, F::PATH)?;
        Ok(Some(Box::new(Checked(parsed, contract))))
    }

    fn registered() -> Option<Schema> {
        // A file that is wrong has been reported by the checker, which every set asks for first.
        let parsed = parsed::<F>().ok()?;
        let mut schema = Schema::new(SchemaKind::Protobuf, parsed.name(), F::TEXT);
        schema.message_index = parsed.index();
        Some(schema)
    }
}

fn parsed<F: ProtoFile>() -> Result<&'static Parsed, CodecError> {
    file::KEPT.of(TypeId::of::<F>(), || Parsed::new(F::TEXT, F::PATH, F::MESSAGE))
}

struct Checked(&'static Parsed, Contract);

impl Check for Checked {
    fn check(&self, bytes: &[u8]) -> Result<(), CodecError> {
        self.0.check(bytes, self.1)
    }
}
