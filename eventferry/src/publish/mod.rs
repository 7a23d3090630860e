//! The broker seam: what a relay asks of a broker.
//!
//! A new broker writes [`Publisher::publish`] and nothing else. [`Pipelined`] is for a client that can keep many events of one aggregate in
//! flight without ever breaking the prefix rule; only Kafka's needs it.

mod cloud_events;
mod error;
mod framed;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod memory;
pub mod partitioner;
mod rewritten;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

pub use cloud_events::CloudEvents;
pub use error::{PublishError, PublishErrorKind, Scope};
pub use framed::Framed;

use crate::event::Message;

/// A boxed future, where a trait must be usable as `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A broker's word that it has an event.
///
/// # Examples
/// ```
/// use eventferry::Delivery;
///
/// let delivery = Delivery::at(3, 1042);
/// assert_eq!((delivery.partition, delivery.offset), (Some(3), Some(1042)));
/// assert_eq!(Delivery::default().offset, None, "a broker that tells no place");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Delivery {
    /// The partition, where the broker has partitions.
    pub partition: Option<i32>,
    /// The offset or sequence number, where the broker gives one.
    pub offset: Option<i64>,
}

impl Delivery {
    /// A delivery to a place in a partitioned log.
    pub const fn at(partition: i32, offset: i64) -> Self {
        Self {
            partition: Some(partition),
            offset: Some(offset),
        }
    }
}

/// What a broker that was asked without an event says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a broker answers, does not, or cannot be asked")]
pub enum Presence {
    /// It answers: what went wrong with an event has to do with the event.
    There,
    /// It does not: nothing is any event's fault.
    Away,
    /// It cannot be asked: no event ever comes under suspicion for a lost connection.
    Unknown,
}

/// Delivers events to a broker.
///
/// `Ok` means that the broker has the event and will keep it by its own promise of durability; a publisher that answers `Ok` for an
/// event which can still be lost breaks the outbox. The relay calls `publish` for many aggregates at once, and for one aggregate only after the
/// call before has ended.
///
/// # Examples
/// A broker that keeps events in a list:
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use std::sync::Mutex;
///
/// use eventferry::publish::Scope;
/// use eventferry::{Delivery, Message, PublishError, PublishErrorKind, Publisher};
///
/// struct List(Mutex<Vec<Message>>);
///
/// impl Publisher for List {
///     async fn publish(&self, message: &Message) -> Result<Delivery, PublishError> {
///         let Ok(mut list) = self.0.lock() else {
///             let away = PublishErrorKind::Unavailable(Scope::Publisher);
///             return Err(PublishError::new(away, format!("failed to publish to `{}`: the list is lost", message.topic())));
///         };
///         list.push(message.clone());
///         Ok(Delivery::default())
///     }
/// }
///
/// let list = List(Mutex::default());
/// list.publish(&Message::new("orders", "paid")).await?;
/// assert_eq!(list.0.into_inner().map(|list| list.len()).ok(), Some(1));
/// # Ok::<(), PublishError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Publisher: Send + Sync + 'static {
    /// Delivers one event.
    ///
    /// # Errors
    /// See [`PublishErrorKind`]: the kind decides whose fault it is.
    ///
    /// # Cancel safety
    /// The relay drops the future at its deadline and later tries the same event again; the event may arrive twice.
    fn publish(&self, message: &Message) -> impl Future<Output = Result<Delivery, PublishError>> + Send;

    /// Whether the broker is there, asked without an event.
    ///
    /// An outage is one only if a question without events fails too: a broker that drops the connection whenever it sees one certain event
    /// looks like one that is away. Asked only after such losses, and before an event of a lane whose relays died again and again. A publisher
    /// with a pipelined side is asked for the topic's partitions instead.
    ///
    /// # Cancel safety
    /// The relay drops the future at its deadline and takes that for [`Presence::Away`].
    fn probe(&self) -> impl Future<Output = Presence> + Send {
        std::future::ready(Presence::Unknown)
    }

    /// The pipelined side of this publisher, if it has one.
    fn pipelined(&self) -> Option<&dyn Pipelined> {
        None
    }

    /// The side of this publisher that must know an event's schema before it can deliver it, if it has one.
    fn learns(&self) -> Option<&dyn Learns> {
        None
    }
}

/// A publisher that must know an event's schema before it can deliver it.
///
/// The relay asks once for each topic and each schema that an event of it names in the header
/// [`event-schema`](crate::event::headers::EVENT_SCHEMA), and hands the first of those events over when the answer is good. Until then they
/// wait, and nothing is counted; events of other schemas go on.
pub trait Learns: Send + Sync {
    /// Gets ready for events of a schema on a topic.
    ///
    /// # Errors
    /// [`PublishErrorKind::Unavailable`] with [`Scope::Topic`]; every kind is taken for that one, and the relay asks again.
    ///
    /// # Cancel safety
    /// The relay drops the future at its deadline and asks again.
    fn learn<'a>(&'a self, topic: &'a str, schema: &'a str) -> BoxFuture<'a, Result<(), PublishError>>;
}

impl<P: Publisher> Publisher for Arc<P> {
    fn publish(&self, message: &Message) -> impl Future<Output = Result<Delivery, PublishError>> + Send {
        P::publish(self, message)
    }

    fn probe(&self) -> impl Future<Output = Presence> + Send {
        P::probe(self)
    }

    fn pipelined(&self) -> Option<&dyn Pipelined> {
        P::pipelined(self)
    }

    fn learns(&self) -> Option<&dyn Learns> {
        P::learns(self)
    }
}

/// What a session is for: an outbox, and a group of its lanes.
///
/// A broker that fences does so by seat: of two sessions with the same seat only the younger one can deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Seat<'a> {
    /// The identity of the outbox, the same for every relay of it.
    pub outbox: &'a str,
    /// The group of lanes, from 0; always 0 where there is only one.
    pub group: u8,
}

impl<'a> Seat<'a> {
    /// The seat of a group of an outbox's lanes.
    pub const fn new(outbox: &'a str, group: u8) -> Self {
        Self { outbox, group }
    }
}

/// A publisher that can keep many events of one aggregate in flight.
///
#[doc = include_str!("examples/pipelined.md")]
pub trait Pipelined: Send + Sync {
    /// Opens a session: one broker client from creation to destruction, for the lanes of one [`Seat`].
    ///
    /// Where [`groups`](Self::groups) is above 1, a session fences every older one of its seat: open one only while the lanes of the seat
    /// are leased, and after a [`PublishErrorKind::Fenced`] only once those leases were taken again.
    ///
    /// # Errors
    /// [`PublishErrorKind::Unavailable`] if no client can be made now; [`PublishErrorKind::Rejected`] if its settings are wrong;
    /// [`PublishErrorKind::Fenced`] if another session took the seat while this one was being opened.
    fn open<'a>(&'a self, seat: Seat<'a>) -> BoxFuture<'a, Result<Box<dyn Session>, PublishError>>;

    /// Into how many groups the lanes of an outbox are divided, each with a session of its own: 1 unless the broker itself fences.
    ///
    /// It never changes while the publisher lives, and divides the number of lanes (64).
    fn groups(&self) -> u8 {
        1
    }

    /// How many partitions a topic has; asked before a topic's first event and once in a while after.
    ///
    /// # Errors
    /// [`PublishErrorKind::Unavailable`] with [`Scope::Topic`] if the topic is unknown or may not be written;
    /// [`PublishErrorKind::Rejected`] if no topic can have that name.
    fn partitions<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<u32, PublishError>>;
}

/// One broker client, to which events are handed over without waiting.
///
/// **Prefix rule**: of the events handed over for one partition, in that order, those delivered before a failure are a prefix: if one
/// fails, none after it is delivered by this session. [`Pipelined`] shows one.
pub trait Session: Send {
    /// Hands over an event for a partition; its report comes later, under `token`.
    ///
    /// # Errors
    /// [`Full`] gives the message back when the session's own queue has no room, or when the session is over: wait for
    /// [`reports`](Self::reports), then hand it over again, to this session or (if a report was an error) to the next one. Never an attempt.
    fn hand_over(&mut self, token: u64, partition: i32, message: Message) -> Result<(), Full>;

    /// Waits for reports, at least one, in any order between partitions.
    ///
    /// After any report that is an error the session is over: the caller hands nothing more over and calls [`close`](Self::close). Such a
    /// report concerns the session, not the event: a client may refuse a whole batch for one event's sake, so no attempt is counted for it
    /// and the event goes on by [`Publisher::publish`], which judges it alone. A broker that is away ends no session: reports stay out
    /// until it is back, and [`Pipelined::partitions`] is the probe that tells.
    ///
    /// # Cancel safety
    /// Cancel safe: no report is lost.
    fn reports(&mut self) -> BoxFuture<'_, Vec<Report>>;

    /// Gives up what is still queued, takes every remaining report and destroys the client. One that does not end within seconds is left to
    /// end by itself: what it still delivers is the rest of its run, in order: events whose outcome was unknown.
    ///
    /// Events handed over that are in no report, here or before, were not confirmed: their outcome is unknown.
    fn close(self: Box<Self>) -> BoxFuture<'static, Vec<Report>>;
}

/// The session's queue has no room.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "a plain carrier that is taken apart by whoever called")]
pub struct Full(pub Message);

/// What became of one event that was handed over.
#[derive(Debug)]
#[non_exhaustive]
pub struct Report {
    /// The token of the hand-over.
    pub token: u64,
    /// The broker's word.
    pub result: Result<Delivery, PublishError>,
}

impl Report {
    /// A report on a hand-over.
    pub fn new(token: u64, result: Result<Delivery, PublishError>) -> Self {
        Self { token, result }
    }
}
