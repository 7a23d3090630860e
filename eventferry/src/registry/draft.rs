//! One event on its way into the outbox, encoded and checked.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use crate::codec::{self, CodecError, CodecErrorKind, Encode, Format, PayloadCipher};
use crate::event::headers::{self, header_problem};
use crate::event::{AggregateId, Headers, MessageId, OutboxEvent, TraceContext};
use crate::outbox::NewRecord;
use crate::registry::enqueue::Enqueue;
use crate::registry::{EnqueueError, EventOf, EventSet, Outbox};
use crate::store::OpenTransaction;

/// An event that was encoded and checked, with what is said of this one delivery.
///
/// Nothing of the typed event is left in it, so drafts of different events of a set fit one array. What was wrong with the event is kept
/// and returned when the draft is enqueued.
#[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/draft.md"))]
#[must_use = "a draft is not in the outbox until it is enqueued"]
pub struct Draft<'e, S> {
    pub(super) events: &'e Outbox<S>,
    pub(super) record: Result<NewRecord, EnqueueError>,
}

impl<S: EventSet> Outbox<S> {
    /// Encodes and checks an event, to say more of its delivery before it is enqueued.
    ///
    /// What is wrong with it is kept, and returned by [`Draft::enqueue`]. To enqueue an event as it is, use [`enqueue`](Self::enqueue).
    #[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/draft_event.md"))]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "an event that was written is used up; lending it would need `&` at every call"
    )]
    pub fn event<E>(&self, event: E) -> Draft<'_, S>
    where
        E: OutboxEvent,
        E::Listed: EventOf<S>,
        E::Format: Encode<E>,
    {
        Draft {
            events: self,
            record: self.record(&event),
        }
    }

    fn record<E>(&self, event: &E) -> Result<NewRecord, EnqueueError>
    where
        E: OutboxEvent,
        E::Listed: EventOf<S>,
        E::Format: Encode<E>,
    {
        let invalid = |what: &dyn fmt::Display| EnqueueError::invalid(E::NAME, what);
        let unfit = |e: CodecError| match e.kind() {
            CodecErrorKind::Refused => EnqueueError::refused(E::NAME, &e),
            CodecErrorKind::Encode | CodecErrorKind::Decode | CodecErrorKind::Schema => EnqueueError::encode(E::NAME, &e),
        };
        // A format that writes along its schema finds what the schema forbids while it writes.
        let payload = <E::Format as Encode<E>>::encode(event).map_err(unfit)?;
        if let Some(checker) = &self.shared.checkers[<E::Listed as EventOf<S>>::INDEX] {
            checker.check(&payload).map_err(unfit)?;
        }
        // The error of `AggregateId` would show the id, which is part of the payload.
        let aggregate_id = event.aggregate_id();
        if AggregateId::new(aggregate_id.as_str()).is_err() {
            return Err(invalid(&"its aggregate id holds a NUL character"));
        }
        let key = event.key();
        if key.as_deref().is_some_and(|key| key.contains('\0')) {
            return Err(invalid(&"its key holds a NUL character"));
        }
        let partition = event.partition();
        if partition.is_some_and(|partition| partition < 0) {
            return Err(invalid(&"its partition is negative"));
        }
        let mut record = NewRecord::new(E::TOPIC, E::AGGREGATE_TYPE, &aggregate_id, E::NAME, Some(payload));
        record.event_version = E::VERSION;
        record.ordered = E::ORDERED;
        record.key = key;
        record.partition = partition;
        <E::Format as Format>::CONTENT_TYPE.clone_into(&mut record.content_type);
        record.headers = event.headers();
        for (name, value) in record.headers.iter() {
            check_header(E::NAME, name, value)?;
        }
        let fingerprints = self.fingerprints.as_deref();
        if let Some(cipher) = &self.cipher {
            // Who reads by a schema registry could not read it: such an event names no schema.
            seal(&**cipher, &mut record).map_err(|e| EnqueueError::encode(E::NAME, &e))?;
        } else if let Some(fingerprint) = fingerprints.and_then(|all| all[<E::Listed as EventOf<S>>::INDEX].as_ref()) {
            record.headers.set(headers::EVENT_SCHEMA, fingerprint.as_str());
        }
        if let Some(context) = self.trace_source.and_then(|source| source()) {
            set_trace(&mut record.headers, &context);
        }
        Ok(record)
    }
}

impl<'e, S: EventSet> Draft<'e, S> {
    /// Sets the key, in place of the event's own: any text without NUL.
    ///
    /// Events of an aggregate that have different keys lie in different partitions: their order is then kept in the outbox, not for consumers.
    #[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/draft_key.md"))]
    pub fn key(self, key: impl Into<String>) -> Self {
        self.and_then(|record| {
            let key = key.into();
            if key.contains('\0') {
                return Err(EnqueueError::invalid(&record.event_type, "its key holds a NUL character"));
            }
            record.key = Some(key);
            Ok(())
        })
    }

    /// Leaves the key out: the broker spreads such events over its partitions, and their order is only kept by sending one at a time.
    #[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/draft_no_key.md"))]
    pub fn no_key(self) -> Self {
        self.and_then(|record| {
            record.key = None;
            Ok(())
        })
    }

    /// Names the partition, from 0 to 2,147,483,647, in place of the event's own and of what its key says.
    #[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/draft_partition.md"))]
    pub fn partition(self, partition: u32) -> Self {
        self.and_then(|record| {
            let partition = i32::try_from(partition);
            record.partition = Some(partition.map_err(|_| EnqueueError::invalid(&record.event_type, "its partition is above 2147483647"))?);
            Ok(())
        })
    }

    /// Sets a header, in place of one of the same name.
    ///
    /// A name that eventferry writes itself ([`RESERVED`](headers::RESERVED)) or that is not a token of RFC 9110, and a value with a control
    /// character other than a tab, are refused when the draft is enqueued.
    #[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/draft_header.md"))]
    pub fn header(self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.and_then(|record| {
            let (name, value) = (name.into(), value.into());
            check_header(&record.event_type, &name, &value)?;
            record.headers.set(name, value);
            Ok(())
        })
    }

    /// Sets the event's identity, in place of a random one, so that enqueuing the same thing twice writes it once.
    ///
    /// It is known for as long as the first row is in the table: after the relay's retention the same id is a new event.
    #[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/draft_message_id.md"))]
    pub fn message_id(self, id: impl Into<MessageId>) -> Self {
        self.and_then(|record| {
            record.message_id = id.into();
            Ok(())
        })
    }

    /// Delivers the event not before a time, by the database's clock and to the microsecond; usually within half a second after it.
    ///
    /// Such an event takes no place in the order of its aggregate, not even where the time is over. Takes the times of `std`, and of any
    /// library whose times convert into [`SystemTime`].
    #[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/draft_deliver_at.md"))]
    pub fn deliver_at(self, at: impl Into<SystemTime>) -> Self {
        self.and_then(|record| {
            record.deliver_at = Some(at.into());
            Ok(())
        })
    }

    /// Sets the trace the event belongs to, in place of what [`Outbox::trace_source`] says.
    #[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/draft_trace_context.md"))]
    pub fn trace_context(self, context: &TraceContext) -> Self {
        self.and_then(|record| {
            set_trace(&mut record.headers, context);
            Ok(())
        })
    }

    /// Writes the event in a transaction.
    ///
    /// # Errors
    /// See [`Outbox::enqueue`].
    ///
    /// # Cancel safety
    /// See [`Outbox::enqueue`].
    #[cfg_attr(all(feature = "derive", feature = "json-schema"), doc = include_str!("examples/draft_enqueue.md"))]
    pub fn enqueue<'a, Tx: OpenTransaction>(self, tx: &'a mut Tx) -> Enqueue<'a>
    where
        'e: 'a,
    {
        self.events.insert_one(tx, self.record)
    }

    fn and_then(mut self, change: impl FnOnce(&mut NewRecord) -> Result<(), EnqueueError>) -> Self {
        if let Ok(record) = &mut self.record
            && let Err(error) = change(record)
        {
            self.record = Err(error);
        }
        self
    }
}

fn seal(cipher: &dyn PayloadCipher, record: &mut NewRecord) -> Result<(), CodecError> {
    let context = codec::context(
        &record.event_type,
        record.event_version,
        &record.aggregate_type,
        &record.aggregate_id,
    );
    let sealed = cipher.seal(&context, record.payload.as_deref().unwrap_or_default())?;
    record.headers.set(headers::EVENT_KEY_ID, sealed.key_id);
    record.payload = Some(sealed.bytes);
    Ok(())
}

/// Refuses what a broker or a database could not carry. The value is not shown.
fn check_header(event: &str, name: &str, value: &str) -> Result<(), EnqueueError> {
    if let Some(problem) = header_problem(name) {
        let shown: String = name.chars().take(64).flat_map(char::escape_debug).collect();
        return Err(EnqueueError::invalid(event, format_args!("header `{shown}`: {problem}")));
    }
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(EnqueueError::invalid(
            event,
            format_args!("the value of header `{name}` holds a control character"),
        ));
    }
    Ok(())
}

fn set_trace(to: &mut Headers, context: &TraceContext) {
    to.set(headers::TRACEPARENT, context.traceparent());
    to.set(headers::TRACE_ID, context.trace_id());
    match context.tracestate() {
        Some(state) => to.set(headers::TRACESTATE, state),
        None => to.remove(headers::TRACESTATE),
    }
}

impl<S: EventSet> fmt::Debug for Draft<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft")
            .field("set", &S::NAME)
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}
