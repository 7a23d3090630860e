//! What the macros expand to; not for direct use, and outside semantic versioning.

pub use std::convert::From;
pub use std::fmt::Display;
pub use std::option::Option;
pub use std::string::String;

use crate::codec::{Checker, CodecError, Contract, Decode, Describe, Encode, Format};

#[cfg(feature = "json")]
pub use crate::codec::Json;
#[cfg(feature = "avro")]
pub use crate::codec::avro::{Avro, SchemaFile};
#[cfg(feature = "protobuf")]
pub use crate::codec::protobuf::{ProtoFile, Protobuf};
pub use crate::event::check::{check_header, check_label, check_topic, check_upcast, check_version};
pub use crate::event::{Headers, Oldest, OutboxEvent, UpcastFrom};
pub use crate::registry::{Entry, EventOf, EventSet, Outbox};

/// Stands beside the error of a derive that did not understand the format. It can do everything, so that one mistake gives one error.
#[derive(Debug)]
#[non_exhaustive]
pub struct NotUnderstood;

impl Format for NotUnderstood {
    const CONTENT_TYPE: &'static str = "";
}

#[diagnostic::do_not_recommend]
impl<E: ?Sized> Encode<E> for NotUnderstood {
    fn encode(_: &E) -> Result<Vec<u8>, CodecError> {
        Ok(Vec::new())
    }
}

#[diagnostic::do_not_recommend]
impl<E> Decode<'_, E> for NotUnderstood {
    fn decode(_: &[u8]) -> Result<E, CodecError> {
        Err(CodecError::decode("its format is not known"))
    }
}

#[diagnostic::do_not_recommend]
impl<E: ?Sized> Describe<E> for NotUnderstood {
    fn schema(_: Contract) -> String {
        String::new()
    }

    fn checker(_: Contract) -> Result<Checker, CodecError> {
        Ok(None)
    }
}

/// A field or an expression as the text of an id, a key or a header.
pub fn text<T: Display + ?Sized>(value: &T) -> String {
    value.to_string()
}

/// The name of the event at a place. The event itself is asked for so that no variant's field counts as never read.
pub fn name_at<S: EventSet, E>(_: &E, index: usize) -> &'static str {
    S::ENTRIES[index].name()
}

/// What can name a partition.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a partition",
    label = "a partition is an `i32`, or an `Option<i32>` where only some events name one"
)]
pub trait Partition {
    fn partition(self) -> Option<i32>;
}

impl Partition for i32 {
    fn partition(self) -> Option<i32> {
        Some(self)
    }
}

impl Partition for Option<i32> {
    fn partition(self) -> Option<i32> {
        self
    }
}

pub fn partition<T: Partition>(value: T) -> Option<i32> {
    value.partition()
}

/// A header of an event; none where the value is none.
pub fn header<T: Display + ?Sized>(headers: &mut Headers, name: &'static str, value: Option<&T>) {
    if let Some(value) = value {
        headers.set(name, value.to_string());
    }
}

/// Fails at the attribute where `upcast_from` names a type without a way up.
pub const fn check_from<E: From<P>, P>() {}

#[track_caller]
pub const fn assert_distinct<S: EventSet>() {
    crate::registry::assert_distinct::<S>();
}

pub const fn count_topics<S: EventSet>() -> usize {
    crate::registry::count_topics::<S>()
}

pub const fn collect_topics<S: EventSet, const N: usize>() -> [&'static str; N] {
    crate::registry::collect_topics::<S, N>()
}
