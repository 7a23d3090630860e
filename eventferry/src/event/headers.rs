//! Headers of a message, and every header name that eventferry itself writes.

use std::borrow::Cow;

/// The event's identity; the same on every redelivery.
pub const MESSAGE_ID: &str = "message-id";
/// The kind of aggregate the event is about.
pub const AGGREGATE_TYPE: &str = "aggregate-type";
/// Which aggregate of its type the event is about.
pub const AGGREGATE_ID: &str = "aggregate-id";
/// The media type of the payload.
pub const CONTENT_TYPE: &str = "content-type";
/// The W3C trace id alone, for consumers that only log it.
pub const TRACE_ID: &str = "trace-id";
/// W3C Trace Context.
pub const TRACEPARENT: &str = "traceparent";
/// W3C Trace Context, vendor part.
pub const TRACESTATE: &str = "tracestate";
/// The event's name.
pub const EVENT_TYPE: &str = "event-type";
/// The event's schema version.
pub const EVENT_VERSION: &str = "event-version";
/// The fingerprint of the event's schema, for a relay that frames payloads.
pub const EVENT_SCHEMA: &str = "event-schema";
/// The id that a schema registry gave the event's schema: the payload begins with the frame that carries it.
pub const EVENT_SCHEMA_ID: &str = "event-schema-id";
/// The row's id in its outbox, in decimal.
pub const EVENT_POSITION: &str = "event-position";
/// Which outbox on which server the position belongs to.
pub const EVENT_SOURCE: &str = "event-source";
/// `none` where the event left its place in the order of its aggregate.
pub const EVENT_ORDER: &str = "event-order";
/// The id of the key that the payload is encrypted with.
pub const EVENT_KEY_ID: &str = "event-key-id";
/// When the event was written, as RFC 3339 in UTC.
pub const EVENT_TIME: &str = "event-time";
/// Why a dead letter died.
pub const DLQ_REASON: &str = "dlq-reason";
/// The kind of failure that killed a dead letter.
pub const DLQ_ERROR_CLASS: &str = "dlq-error-class";
/// The topic a dead letter was meant for.
pub const DLQ_ORIGINAL_TOPIC: &str = "dlq-original-topic";
/// When a dead letter died, as RFC 3339 in UTC.
pub const DLQ_FAILED_AT: &str = "dlq-failed-at";
/// How many attempts a dead letter had.
pub const DLQ_ATTEMPTS: &str = "dlq-attempts";
/// In the table only: who brought a dead row back, and when.
pub const OPERATOR_REQUEUED: &str = "operator-requeued";
/// In the table only: who let the successors of a dead row go on, and when.
pub const OPERATOR_RELEASED: &str = "operator-released";
/// In the table only: who decided that a row is never delivered, and when.
pub const OPERATOR_DISCARDED: &str = "operator-discarded";
/// In the table only: who asked that a waiting row is never delivered, and when. The relay that holds the row's lane settles it.
pub const OPERATOR_DISCARD_ASKED: &str = "operator-discard-asked";

/// Headers of the table that do not travel: they name people, and whom the event reaches need not know who moved its row. What a consumer
/// must know of a move is in [`EVENT_ORDER`].
pub const STORED_ONLY: [&str; 4] = [OPERATOR_REQUEUED, OPERATOR_RELEASED, OPERATOR_DISCARDED, OPERATOR_DISCARD_ASKED];

/// The names a user may not set, because eventferry writes them itself.
///
/// # Examples
/// ```
/// use eventferry::event::headers;
///
/// assert!(headers::RESERVED.contains(&headers::MESSAGE_ID));
/// assert!(!headers::RESERVED.contains(&"tenant-id"));
/// ```
pub const RESERVED: [&str; 25] = [
    MESSAGE_ID,
    AGGREGATE_TYPE,
    AGGREGATE_ID,
    CONTENT_TYPE,
    TRACE_ID,
    TRACEPARENT,
    TRACESTATE,
    EVENT_TYPE,
    EVENT_VERSION,
    EVENT_SCHEMA,
    EVENT_SCHEMA_ID,
    EVENT_KEY_ID,
    EVENT_POSITION,
    EVENT_SOURCE,
    EVENT_ORDER,
    EVENT_TIME,
    DLQ_REASON,
    DLQ_ERROR_CLASS,
    DLQ_ORIGINAL_TOPIC,
    DLQ_FAILED_AT,
    DLQ_ATTEMPTS,
    OPERATOR_REQUEUED,
    OPERATOR_RELEASED,
    OPERATOR_DISCARDED,
    OPERATOR_DISCARD_ASKED,
];

/// Says what is wrong with a header name a user chose, in a form a `const` assertion can use.
pub(crate) const fn header_problem(name: &str) -> Option<&'static str> {
    let bytes = name.as_bytes();
    if bytes.is_empty() {
        return Some("a header name must not be empty");
    }
    if bytes.len() > 255 {
        return Some("a header name has at most 255 bytes");
    }
    let mut i = 0;
    while i < bytes.len() {
        // The token characters of RFC 9110, which every broker's headers can carry.
        let token = bytes[i].is_ascii_alphanumeric()
            || matches!(
                bytes[i],
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            );
        if !token {
            return Some("a header name has only letters, digits and `-_.!#$%&'*+^|~`");
        }
        i += 1;
    }
    let mut i = 0;
    while i < RESERVED.len() {
        if same_ignoring_case(bytes, RESERVED[i].as_bytes()) {
            return Some("this header is written by eventferry itself; choose another name");
        }
        i += 1;
    }
    None
}

const fn same_ignoring_case(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if !a[i].eq_ignore_ascii_case(&b[i]) {
            return false;
        }
        i += 1;
    }
    true
}

/// The headers of a message: names and texts, in the order they were set, each name once.
///
/// Names are compared exactly, as brokers do.
///
/// # Examples
/// ```
/// use eventferry::Headers;
///
/// let mut headers = Headers::new();
/// headers.set("tenant-id", "7");
/// headers.set("tenant-id", "8");
/// assert_eq!(headers.get("tenant-id"), Some("8"));
/// assert_eq!(headers.len(), 1);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Cow<'static, str>, String)>);

impl Headers {
    /// No headers.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// No headers yet, with room for `capacity`.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Sets a header, in place of one of the same name.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(n, _)| *n == name) {
            Some(slot) => slot.1 = value,
            None => self.0.push((name, value)),
        }
    }

    /// Takes a header out; nothing happens if it is not there.
    ///
    /// # Examples
    /// ```
    /// let mut headers = eventferry::Headers::new();
    /// headers.set("tenant-id", "7");
    /// headers.remove("tenant-id");
    /// assert!(headers.is_empty() && headers.get("tenant-id").is_none());
    /// ```
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(n, _)| n != name);
    }

    /// The value of a header.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Puts a header in the place of another one, and answers what that said; nothing happens if it is not there.
    pub(crate) fn exchange(&mut self, name: &str, by: &'static str, value: String) -> Option<String> {
        let slot = self.0.iter_mut().find(|(n, _)| n == name)?;
        slot.0 = Cow::Borrowed(by);
        Some(std::mem::replace(&mut slot.1, value))
    }

    /// Makes room for more.
    pub(crate) fn reserve(&mut self, more: usize) {
        self.0.reserve(more);
    }

    /// Takes out all but the first ones.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// The headers, in the order they were set.
    ///
    /// # Examples
    /// ```
    /// let mut headers = eventferry::Headers::with_capacity(2);
    /// headers.set("tenant-id", "7");
    /// headers.set("region", "eu");
    /// assert_eq!(headers.iter().collect::<Vec<_>>(), [("tenant-id", "7"), ("region", "eu")]);
    /// ```
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_ref(), v.as_str()))
    }

    /// How many headers there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, String)> for Headers {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        let mut headers = Self::new();
        for (name, value) in pairs {
            headers.set(name, value);
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_in_the_table_is_reserved() {
        for name in STORED_ONLY {
            assert!(RESERVED.contains(&name), "{name}");
        }
    }

    #[test]
    fn users_may_not_set_what_eventferry_writes() {
        for name in RESERVED {
            assert!(header_problem(name).is_some(), "{name}");
        }
        assert!(header_problem("Message-ID").is_some(), "brokers that fold case would mix them up");
        assert!(header_problem("tenant-id").is_none());
        assert!(header_problem("tenant id").is_some());
        assert!(header_problem("").is_some());
    }
}
