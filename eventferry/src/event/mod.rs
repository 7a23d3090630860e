//! What an event is: names, headers, messages. No I/O, no async, no format.

pub(crate) mod check;
pub mod cloud_events;
pub mod headers;
mod message;
mod names;
mod trace;

#[doc(inline)]
pub use cloud_events::CloudEvent;
#[doc(inline)]
pub use headers::Headers;
pub use message::{IncomingMessage, Message};
pub use names::{AggregateId, AggregateType, MessageId, NameError, Operator, TableName, Topic};
pub use trace::{TraceContext, TraceContextError};

use std::marker::PhantomData;

/// A type whose values are written to an outbox: where they go, and what they are about.
///
/// Derive it. Everything the derive fills in is plain data, so that a type can also be described by hand where no attribute says
/// what is wanted.
///
/// # Examples
/// ```
/// use eventferry::OutboxEvent;
/// use eventferry::event::Oldest;
///
/// struct Plain; // a format of one's own; usually `eventferry::codec::Json`
///
/// struct Ping {
///     host: String,
/// }
///
/// impl OutboxEvent for Ping {
///     type Listed = Self;
///     type Format = Plain;
///     type Previous = Oldest;
///     const TOPIC: &'static str = "pings";
///     const NAME: &'static str = "Ping";
///     const AGGREGATE_TYPE: &'static str = "host";
///
///     fn aggregate_id(&self) -> String {
///         self.host.clone()
///     }
/// }
///
/// assert_eq!(Ping { host: "a".to_owned() }.key().as_deref(), Some("a"));
/// assert_eq!(Ping::VERSION, 1);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an outbox event",
    label = "add `#[derive(OutboxEvent)]` to this type",
    note = "an event says its topic and its aggregate: `#[outbox(topic = \"orders\", aggregate_type = \"order\")]`"
)]
pub trait OutboxEvent {
    /// The type that a set of events lists for this one: the type itself with every lifetime `'static`, or the event a view is of.
    type Listed: OutboxEvent;
    /// The format of the payload, such as [`Json`](crate::codec::Json).
    type Format;
    /// [`UpcastFrom`] the version before this one, or [`Oldest`].
    type Previous;
    /// The topic the event is sent to.
    const TOPIC: &'static str;
    /// The event's name on the wire, in the header `event-type`.
    const NAME: &'static str;
    /// The version of the payload, in the header `event-version`.
    const VERSION: u32 = 1;
    /// The kind of thing the event is about.
    const AGGREGATE_TYPE: &'static str;
    /// Whether the event takes a place in the order of its aggregate.
    #[cfg_attr(feature = "derive", doc = include_str!("examples/event_ordered.md"))]
    const ORDERED: bool = true;
    /// Whether a macro has checked the names already, at a better place than the set of events can.
    #[doc(hidden)]
    const CHECKED: bool = false;

    /// Which aggregate of its type the event is about.
    fn aggregate_id(&self) -> String;

    /// The key the broker partitions by; the aggregate id unless the event says otherwise.
    #[cfg_attr(feature = "derive", doc = include_str!("examples/event_key.md"))]
    fn key(&self) -> Option<String> {
        Some(self.aggregate_id())
    }

    /// The partition, for the rare event that names one itself.
    #[cfg_attr(feature = "derive", doc = include_str!("examples/event_partition.md"))]
    fn partition(&self) -> Option<i32> {
        None
    }

    /// What of the event is repeated in headers, for consumers that route without reading payloads.
    #[cfg_attr(feature = "derive", doc = include_str!("examples/event_headers.md"))]
    fn headers(&self) -> Headers {
        Headers::new()
    }
}

/// The version before this one, for [`OutboxEvent::Previous`]: older payloads are read as `P` and converted by `From`.
#[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/upcast.md"))]
#[derive(Debug)]
pub struct UpcastFrom<P>(PhantomData<fn() -> P>);

/// There is no version before this one, for [`OutboxEvent::Previous`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Oldest;
