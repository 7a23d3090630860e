//! A row of the outbox: as it is written, and as a relay reads it.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::event::{Headers, Message, MessageId, headers};
use crate::outbox::lane::lane_of;
use crate::outbox::state::Status;

/// An encoded event on its way into the table.
///
/// Built by the registry from a typed event; a store writes it as it is. `Debug` shows no payload, key or header value.
///
/// # Examples
/// ```
/// use eventferry::outbox::NewRecord;
///
/// let mut record = NewRecord::new("orders", "order", "42", "OrderPaid", Some(br#"{"cents":500}"#.to_vec()));
/// record.headers.set("tenant-id", "acme");
/// assert_eq!((record.key.as_deref(), record.event_version, record.ordered), (Some("42"), 1, true));
/// assert_eq!(record.order_key(), eventferry::order_key("order", "42"));
/// assert!(!format!("{record:?}").contains("acme"));
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewRecord {
    /// The event's identity.
    pub message_id: MessageId,
    /// The kind of aggregate.
    pub aggregate_type: String,
    /// Which aggregate; without NUL.
    pub aggregate_id: String,
    /// False for events that take no place in the order of their aggregate.
    pub ordered: bool,
    /// The topic.
    pub topic: String,
    /// The key.
    pub key: Option<String>,
    /// The partition, where the event names one.
    pub partition: Option<i32>,
    /// The event's name.
    pub event_type: String,
    /// The event's schema version.
    pub event_version: u32,
    /// The encoded event; none for a tombstone.
    pub payload: Option<Vec<u8>>,
    /// The media type of the payload.
    pub content_type: String,
    /// The user's headers and the trace context.
    pub headers: Headers,
    /// Not before this time; such an event is not ordered.
    pub deliver_at: Option<SystemTime>,
}

impl NewRecord {
    /// A record with what every record has: a fresh message id, ordered, the aggregate id as the key, version 1, no headers.
    pub fn new(topic: &str, aggregate_type: &str, aggregate_id: &str, event_type: &str, payload: Option<Vec<u8>>) -> Self {
        Self {
            message_id: MessageId::random(),
            aggregate_type: aggregate_type.to_owned(),
            aggregate_id: aggregate_id.to_owned(),
            ordered: true,
            topic: topic.to_owned(),
            key: Some(aggregate_id.to_owned()),
            partition: None,
            event_type: event_type.to_owned(),
            event_version: 1,
            payload,
            content_type: "application/json".to_owned(),
            headers: Headers::new(),
            deliver_at: None,
        }
    }

    /// The order key of the record's aggregate.
    pub fn order_key(&self) -> i64 {
        crate::outbox::lane::order_key(&self.aggregate_type, &self.aggregate_id)
    }
}

impl fmt::Debug for NewRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewRecord")
            .field("message_id", &self.message_id)
            .field("aggregate_type", &self.aggregate_type)
            .field("topic", &self.topic)
            .field("event_type", &self.event_type)
            .field("payload_bytes", &self.payload.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

/// A row as a relay reads it.
///
/// `Debug` shows no payload, key or header value.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The row's id; rises in commit order within one aggregate.
    pub id: i64,
    /// The event's identity.
    pub message_id: MessageId,
    /// What the event is kept in order by.
    pub order_key: i64,
    /// False where the event left its place in the order: order none, scheduled, or requeued from dead.
    pub ordered: bool,
    /// Where the row stood when it was read.
    pub status: Status,
    /// Refusals counted so far.
    pub attempts: u32,
    /// How long until the row is due, by the database's clock; zero if it is due.
    pub due_in: Duration,
    /// The kind of aggregate.
    pub aggregate_type: String,
    /// Which aggregate.
    pub aggregate_id: String,
    /// The topic.
    pub topic: String,
    /// The key.
    pub key: Option<String>,
    /// The partition, where the event names one.
    pub partition: Option<i32>,
    /// The event's name.
    pub event_type: String,
    /// The event's schema version.
    pub event_version: u32,
    /// The encoded event.
    pub payload: Payload,
    /// The media type of the payload.
    pub content_type: String,
    /// The stored headers.
    pub headers: Headers,
    /// When the row was written, by the database's clock.
    pub created_at: SystemTime,
}

/// The payload of a row that was read.
///
/// # Examples
/// ```
/// use eventferry::outbox::Payload;
///
/// assert_eq!([Payload::Tombstone, Payload::Bytes(b"{}".to_vec()), Payload::Deferred(1 << 20)].map(|p| p.len()), [0, 2, 1 << 20]);
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Payload {
    /// A tombstone.
    Tombstone,
    /// The bytes.
    Bytes(Vec<u8>),
    /// Too large to wait in memory: this many bytes, read by id when the event's turn comes.
    Deferred(usize),
}

impl Payload {
    /// The size in bytes, whether loaded or not.
    pub fn len(&self) -> usize {
        match self {
            Self::Tombstone => 0,
            Self::Bytes(bytes) => bytes.len(),
            Self::Deferred(len) => *len,
        }
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tombstone => f.write_str("Tombstone"),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Deferred(len) => write!(f, "Deferred({len} bytes)"),
        }
    }
}

impl Record {
    /// A pending, ordered row as a store would return it; stores set the rest by field.
    pub fn new(id: i64, new: NewRecord, created_at: SystemTime) -> Self {
        Self {
            id,
            order_key: new.order_key(),
            message_id: new.message_id,
            ordered: new.ordered && new.deliver_at.is_none(),
            status: if new.deliver_at.is_some() {
                Status::Scheduled
            } else {
                Status::Pending
            },
            attempts: 0,
            due_in: Duration::ZERO,
            aggregate_type: new.aggregate_type,
            aggregate_id: new.aggregate_id,
            topic: new.topic,
            key: new.key,
            partition: new.partition,
            event_type: new.event_type,
            event_version: new.event_version,
            payload: new.payload.map_or(Payload::Tombstone, Payload::Bytes),
            content_type: new.content_type,
            headers: new.headers,
            created_at,
        }
    }

    /// What names this row for acks and verdicts: an id may come back after a failover, the pair does not.
    ///
    /// # Examples
    /// ```
    /// use std::time::SystemTime;
    /// use eventferry::outbox::{NewRecord, Record, RowId};
    ///
    /// let record = Record::new(7, NewRecord::new("orders", "order", "42", "OrderPaid", None), SystemTime::UNIX_EPOCH);
    /// assert_eq!(record.row(), RowId::new(7, record.message_id));
    /// ```
    pub fn row(&self) -> RowId {
        RowId {
            id: self.id,
            message_id: self.message_id,
        }
    }

    /// The lane the row belongs to.
    pub fn lane(&self) -> u8 {
        lane_of(self.order_key)
    }

    /// Whether an operator asked that this waiting row is never delivered. Only rows that are scheduled or failed can be asked for.
    pub fn is_discard_asked(&self) -> bool {
        matches!(self.status, Status::Scheduled | Status::Failed) && self.headers.get(headers::OPERATOR_DISCARD_ASKED).is_some()
    }

    /// The event as it travels, with the standard headers written over the stored ones. `source` names the outbox and its server.
    ///
    /// The traces of operators ([`STORED_ONLY`](headers::STORED_ONLY)) stay behind.
    ///
    /// A payload that was deferred must be loaded first; it would travel as a tombstone.
    ///
    /// # Examples
    /// ```
    /// use std::time::SystemTime;
    /// use eventferry::IncomingMessage;
    /// use eventferry::outbox::{NewRecord, Record};
    ///
    /// let new = NewRecord::new("orders", "order", "42", "OrderPaid", Some(b"{}".to_vec()));
    /// let message = Record::new(7, new, SystemTime::UNIX_EPOCH).into_message("shop");
    /// assert_eq!((message.event_type(), message.position()), (Some("OrderPaid"), Some(7)));
    /// assert_eq!(message.headers().get("event-time"), Some("1970-01-01T00:00:00.000000Z"));
    /// ```
    pub fn into_message(self, source: &str) -> Message {
        let mut out = Headers::with_capacity(self.headers.len() + 11);
        out.set(headers::MESSAGE_ID, self.message_id.to_string());
        out.set(headers::AGGREGATE_TYPE, self.aggregate_type);
        out.set(headers::AGGREGATE_ID, self.aggregate_id);
        out.set(headers::EVENT_TYPE, self.event_type);
        out.set(headers::EVENT_VERSION, self.event_version.to_string());
        out.set(headers::CONTENT_TYPE, self.content_type);
        out.set(headers::EVENT_POSITION, self.id.to_string());
        out.set(headers::EVENT_SOURCE, source);
        out.set(headers::EVENT_TIME, crate::clock::rfc3339(self.created_at));
        if !self.ordered {
            out.set(headers::EVENT_ORDER, "none");
        }
        for (name, value) in self.headers.iter() {
            if out.get(name).is_none() && !headers::STORED_ONLY.contains(&name) {
                out.set(name.to_owned(), value);
            }
        }
        let payload = match self.payload {
            Payload::Bytes(bytes) => Some(bytes),
            Payload::Tombstone | Payload::Deferred(_) => None,
        };
        Message {
            topic: self.topic,
            key: self.key,
            partition: self.partition,
            payload,
            headers: out,
        }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("id", &self.id)
            .field("message_id", &self.message_id)
            .field("order_key", &self.order_key)
            .field("ordered", &self.ordered)
            .field("status", &self.status)
            .field("attempts", &self.attempts)
            .field("topic", &self.topic)
            .field("event_type", &self.event_type)
            .field("payload", &self.payload)
            .finish_non_exhaustive()
    }
}

/// A row's id together with its message id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct RowId {
    /// The row's id.
    pub id: i64,
    /// The event's identity.
    pub message_id: MessageId,
}

impl RowId {
    /// Names a row.
    pub const fn new(id: i64, message_id: MessageId) -> Self {
        Self { id, message_id }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn traces_of_operators_do_not_travel() {
        let mut new = NewRecord::new("orders", "order", "42", "OrderCreated", None);
        new.headers.set("tenant-id", "7");
        for name in headers::STORED_ONLY {
            new.headers.set(name, "2026-11-21T00:00:00Z alice");
        }
        let mut record = Record::new(1, new, UNIX_EPOCH);
        assert!(!record.is_discard_asked(), "a pending row cannot be asked for");
        record.status = Status::Failed;
        assert!(record.is_discard_asked());
        let message = record.into_message("here");
        assert_eq!(message.headers().get("tenant-id"), Some("7"));
        for name in headers::STORED_ONLY {
            assert_eq!(message.headers().get(name), None, "{name}");
        }
    }
}
