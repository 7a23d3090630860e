//! The wire form of an event, in both directions.

use std::fmt;

use crate::event::headers::{self, Headers};
use crate::event::names::MessageId;

/// An event as it travels: what the relay hands to a broker, and what plain parts look like to a consumer.
///
/// `Debug` shows sizes and header names, never a payload or a header's value.
///
/// # Examples
/// ```
/// use eventferry::{IncomingMessage, Message};
///
/// let message = Message::new("orders", br#"{"id":1}"#.to_vec()).with_header("event-type", "OrderCreated");
/// assert_eq!(message.event_type(), Some("OrderCreated"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    pub(crate) topic: String,
    pub(crate) key: Option<String>,
    pub(crate) partition: Option<i32>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) headers: Headers,
}

impl Message {
    /// A message with a payload, without key or headers.
    pub fn new(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            topic: topic.into(),
            key: None,
            partition: None,
            payload: Some(payload.into()),
            headers: Headers::new(),
        }
    }

    /// A message without a payload: a tombstone.
    ///
    /// # Examples
    /// ```
    /// use eventferry::Message;
    ///
    /// let deleted = Message::tombstone("customers").with_key("7"); // compaction forgets what it has of this key
    /// assert_eq!((deleted.payload(), deleted.key()), (None, Some("7")));
    /// ```
    pub fn tombstone(topic: impl Into<String>) -> Self {
        Self {
            topic: topic.into(),
            key: None,
            partition: None,
            payload: None,
            headers: Headers::new(),
        }
    }

    /// Sets the key.
    ///
    /// # Examples
    /// ```
    /// use eventferry::Message;
    ///
    /// let message = Message::new("orders", "paid").with_key("42").with_header("tenant-id", "7");
    /// assert_eq!((message.topic(), message.key(), message.partition()), ("orders", Some("42"), None));
    /// assert_eq!(message.headers().get("tenant-id"), Some("7"));
    /// ```
    #[must_use = "the message is returned, not changed in place"]
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the partition explicitly; brokers without partitions ignore it.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(eventferry::Message::new("orders", "paid").with_partition(3).partition(), Some(3));
    /// ```
    #[must_use = "the message is returned, not changed in place"]
    pub fn with_partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Sets a header.
    #[must_use = "the message is returned, not changed in place"]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.set(name.into(), value);
        self
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The key, which brokers with partitions choose the partition by.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// The partition the writer asked for.
    pub fn partition(&self) -> Option<i32> {
        self.partition
    }

    /// The payload; none for a tombstone.
    pub fn payload(&self) -> Option<&[u8]> {
        self.payload.as_deref()
    }

    /// The headers.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("payload_bytes", &self.payload.as_ref().map(Vec::len))
            .field("headers", &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Whatever a consumer received: the message type of a broker's client, or plain parts.
///
/// Implement the three required methods for your client's type; everything else follows from the headers. The trait can be used as
/// `&dyn IncomingMessage`.
///
/// # Examples
/// A message of a broker that eventferry knows nothing of:
/// ```
/// use eventferry::IncomingMessage;
///
/// struct Job { queue: String, body: Vec<u8>, properties: Vec<(String, Vec<u8>)> }
///
/// impl IncomingMessage for Job {
///     fn topic(&self) -> &str { &self.queue }
///     fn payload(&self) -> Option<&[u8]> { Some(&self.body) }
///     fn header(&self, name: &str) -> Option<&[u8]> {
///         self.properties.iter().rfind(|(known, _)| known == name).map(|(_, value)| value.as_slice())
///     }
/// }
///
/// let properties = vec![("event-type".to_owned(), b"OrderCreated".to_vec())];
/// let job = Job { queue: "orders".to_owned(), body: b"{}".to_vec(), properties };
/// assert_eq!((job.event_type(), job.message_id()), (Some("OrderCreated"), None)); // and `events.decode(&job)`
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message eventferry can read",
    note = "implement `IncomingMessage` for it, or build a `Message` from its topic, payload and headers",
    note = "for rdkafka's message types switch on the feature `kafka` of eventferry"
)]
pub trait IncomingMessage {
    /// The topic (subject, stream, queue) the message came from.
    fn topic(&self) -> &str;

    /// The payload; none for a tombstone.
    fn payload(&self) -> Option<&[u8]>;

    /// The partition of the log it was read from; none where the broker has no partitions or the client does not tell.
    fn log_partition(&self) -> Option<i32> {
        None
    }

    /// The value of a header; the last one if the broker allows several of a name.
    fn header(&self, name: &str) -> Option<&[u8]>;

    /// A header as text; none if it is missing or not UTF-8.
    ///
    /// # Examples
    /// ```
    /// use eventferry::{IncomingMessage, Message};
    ///
    /// let message = Message::new("orders", "paid").with_header("tenant-id", "7");
    /// assert_eq!(message.text_header("tenant-id"), Some("7"));
    /// assert_eq!(message.header("tenant-id"), Some(&b"7"[..]));
    /// ```
    fn text_header(&self, name: &str) -> Option<&str> {
        self.header(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The event's identity, the same on every redelivery.
    ///
    /// # Examples
    /// ```
    /// use eventferry::{IncomingMessage, Message, MessageId};
    ///
    /// let id = MessageId::random();
    /// let message = Message::new("orders", "paid").with_header("message-id", id.to_string());
    /// assert_eq!(message.message_id(), Some(id));
    /// assert_eq!(Message::new("orders", "paid").with_header("message-id", "1").message_id(), None);
    /// ```
    fn message_id(&self) -> Option<MessageId> {
        self.text_header(headers::MESSAGE_ID).and_then(|id| id.parse().ok())
    }

    /// The event's name.
    fn event_type(&self) -> Option<&str> {
        self.text_header(headers::EVENT_TYPE)
    }

    /// The event's schema version.
    ///
    /// # Examples
    /// ```
    /// use eventferry::{IncomingMessage, Message};
    ///
    /// let message = Message::new("orders", "{}").with_header("event-type", "OrderCreated").with_header("event-version", "2");
    /// assert_eq!((message.event_type(), message.event_version()), (Some("OrderCreated"), Some(2)));
    /// ```
    fn event_version(&self) -> Option<u32> {
        self.text_header(headers::EVENT_VERSION).and_then(|v| v.parse().ok())
    }

    /// The kind of aggregate the event is about.
    fn aggregate_type(&self) -> Option<&str> {
        self.text_header(headers::AGGREGATE_TYPE)
    }

    /// Which aggregate of its type the event is about.
    fn aggregate_id(&self) -> Option<&str> {
        self.text_header(headers::AGGREGATE_ID)
    }

    /// The row's id in the outbox it came from.
    ///
    /// # Examples
    /// ```
    /// use eventferry::{IncomingMessage, Message};
    ///
    /// let message = Message::new("orders", "{}").with_header("event-position", "1042").with_header("aggregate-id", "42");
    /// assert_eq!((message.position(), message.aggregate_id()), (Some(1042), Some("42")));
    /// ```
    fn position(&self) -> Option<i64> {
        self.text_header(headers::EVENT_POSITION).and_then(|v| v.parse().ok())
    }
}

impl IncomingMessage for Message {
    fn topic(&self) -> &str {
        &self.topic
    }

    fn payload(&self) -> Option<&[u8]> {
        self.payload.as_deref()
    }

    fn log_partition(&self) -> Option<i32> {
        self.partition
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.get(name).map(str::as_bytes)
    }
}

impl<M: IncomingMessage + ?Sized> IncomingMessage for &M {
    fn topic(&self) -> &str {
        (**self).topic()
    }

    fn payload(&self) -> Option<&[u8]> {
        (**self).payload()
    }

    fn log_partition(&self) -> Option<i32> {
        (**self).log_partition()
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        (**self).header(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_value() {
        let text = format!(
            "{:?}",
            Message::new("t", "4111 1111")
                .with_key("secret-key")
                .with_header("tenant-id", "acme")
        );
        assert!(text.contains("tenant-id") && text.contains("payload_bytes: Some(9)"), "{text}");
        for hidden in ["4111", "secret-key", "acme"] {
            assert!(!text.contains(hidden), "{text}");
        }
    }
}
