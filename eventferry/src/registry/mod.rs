//! The typed event set: what a producer enqueues and a consumer decodes.
//!
//! `define_outbox!` lists events once, as an enum; [`Outbox`] is everything that can be done with the list. Producers and consumers share
//! the crate that holds it: the producer adds a database and `json-schema`, the consumer neither.

mod assert_schemas;
#[cfg(feature = "contracts")]
pub mod book;
mod decode;
#[cfg(feature = "contracts")]
mod documents;
mod draft;
mod enqueue;
mod error;
#[cfg(any(feature = "json", feature = "avro", feature = "protobuf"))]
mod masked;
mod outbox;
#[cfg(feature = "schema-registry")]
mod resolve_error;
#[cfg(feature = "schema-registry")]
mod resolver;
mod set;
#[cfg(all(test, feature = "derive", feature = "json-schema"))]
mod tests;

pub use decode::Decrypted;
#[cfg(feature = "contracts")]
pub use documents::DocumentInfo;
pub use draft::Draft;
pub use enqueue::Enqueue;
pub use error::{DecodeError, DecodeErrorKind, EnqueueError, EnqueueErrorKind, SchemaError};
#[cfg(any(feature = "json", feature = "avro", feature = "protobuf"))]
pub use masked::MaskedPayload;
pub use outbox::Outbox;
#[cfg(feature = "schema-registry")]
pub use resolve_error::{ResolveError, ResolveErrorKind};
#[cfg(feature = "schema-registry")]
pub use resolver::Resolver;
pub use set::{Entry, Listable};

pub(crate) use set::{assert_distinct, collect_topics, count_topics};

/// A set of events: the enum that `define_outbox!` makes, with one variant for each.
///
/// Implemented by the macro only.
#[cfg_attr(all(feature = "derive", feature = "json"), doc = include_str!("examples/event_set.md"))]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a set of events",
    note = "`define_outbox!` makes one: `define_outbox! {{ pub type ShopEvents; pub enum ShopEvent {{ OrderCreated }} }}`"
)]
pub trait EventSet: Sized + 'static {
    /// The enum's name.
    const NAME: &'static str;
    /// The listed events, in the order of the enum.
    const ENTRIES: &'static [Entry<Self>];
    /// The topics of the listed events, each once, in the order of the enum.
    const TOPICS: &'static [&'static str];

    /// The name on the wire of the event that this is: a label for logs and metrics.
    fn event_name(&self) -> &'static str;
}

/// An event that the set `S` lists.
///
/// Implemented by `define_outbox!` only.
#[cfg_attr(all(feature = "derive", feature = "json"), doc = include_str!("examples/event_of.md"))]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event of `{S}`",
    label = "not listed in `{S}`",
    note = "add it to the enum `{S}` in `define_outbox!`"
)]
pub trait EventOf<S: EventSet> {
    /// The event's place in [`EventSet::ENTRIES`].
    const INDEX: usize;
}
