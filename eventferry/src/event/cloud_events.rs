//! Our headers as those of a [CloudEvent] in binary mode, and the other way round, by the [Kafka protocol binding].
//!
//! | CloudEvents attribute | header | ours |
//! |---|---|---|
//! | `specversion` | `ce_specversion` | `1.0` |
//! | `id` | `ce_id` | `message-id` |
//! | `source` | `ce_source` | what the publisher is told |
//! | `type` | `ce_type` | `event-type` |
//! | `subject` | `ce_subject` | `aggregate-id` |
//! | `time` | `ce_time` | `event-time` |
//! | `datacontenttype` | `content-type` | `content-type` |
//! | `partitionkey` (extension) | `ce_partitionkey` | the key |
//! | `traceparent`, `tracestate` (extension) | `ce_traceparent`, `ce_tracestate` | `traceparent`, `tracestate` |
//!
//! [CloudEvent]: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
//! [Kafka protocol binding]: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md

use crate::event::headers;
use crate::event::{IncomingMessage, Message};

const ID: &str = "ce_id";

/// An attribute's header, and the header of ours that says the same.
const SAME: [(&str, &str); 6] = [
    (ID, headers::MESSAGE_ID),
    ("ce_type", headers::EVENT_TYPE),
    ("ce_subject", headers::AGGREGATE_ID),
    ("ce_time", headers::EVENT_TIME),
    ("ce_traceparent", headers::TRACEPARENT),
    ("ce_tracestate", headers::TRACESTATE),
];

/// Adds what makes a message a CloudEvent, behind the headers it has; none of those is changed.
///
/// A message that has an id as one is left alone, and so is one without what every CloudEvent has.
pub(crate) fn add_headers(message: &mut Message, source: &str) {
    let can_be_said = |name| message.headers.get(name).is_some_and(is_attribute);
    if message.headers.get(ID).is_some() || !can_be_said(headers::MESSAGE_ID) || !can_be_said(headers::EVENT_TYPE) {
        return;
    }
    message.headers.reserve(SAME.len() + 3);
    add(message, "ce_specversion", Some("1.0".to_owned()));
    add(message, "ce_source", Some(source.to_owned()));
    for (theirs, ours) in SAME {
        let value = message.headers.get(ours).map(str::to_owned);
        add(message, theirs, value);
    }
    let key = message.key.clone();
    add(message, "ce_partitionkey", key);
}

fn add(message: &mut Message, name: &'static str, value: Option<String>) {
    if let Some(value) = value.filter(|value| is_attribute(value))
        && message.headers.get(name).is_none()
    {
        message.headers.set(name, value);
    }
}

/// Whether the specification lets an attribute say that: no empty text, no control characters, nothing that is no character.
fn is_attribute(value: &str) -> bool {
    let is_none = |c: char| c.is_control() || matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe;
    !value.is_empty() && !value.chars().any(is_none)
}

/// A CloudEvent that somebody else wrote, read as one of our messages: `events.decode(&CloudEvent(&message))`.
///
/// Where a header of ours is missing, the attribute that says the same stands in for it. An id that is no UUID is not a message id: such an
/// event can be decoded and not be remembered by an inbox.
///
/// # Examples
/// ```
/// use eventferry::event::CloudEvent;
/// use eventferry::{IncomingMessage, Message};
///
/// let message = Message::new("orders", "{}").with_header("ce_type", "OrderCreated").with_header("ce_subject", "42");
/// let event = CloudEvent(&message);
/// assert_eq!(event.event_type(), Some("OrderCreated"));
/// assert_eq!(event.aggregate_id(), Some("42"));
/// ```
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "a plain wrapper that callers build")]
pub struct CloudEvent<M>(pub M);

impl<M: IncomingMessage> IncomingMessage for CloudEvent<M> {
    fn topic(&self) -> &str {
        self.0.topic()
    }

    fn payload(&self) -> Option<&[u8]> {
        self.0.payload()
    }

    fn log_partition(&self) -> Option<i32> {
        self.0.log_partition()
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.0.header(name).or_else(|| {
            let (theirs, _) = SAME.iter().find(|(_, ours)| *ours == name)?;
            self.0.header(theirs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Message {
        Message::new("orders", "{}")
            .with_key("k")
            .with_header(headers::MESSAGE_ID, "0197f3d2-0000-7000-8000-000000000001")
            .with_header(headers::EVENT_TYPE, "OrderCreated")
            .with_header(headers::AGGREGATE_ID, "")
            .with_header(headers::EVENT_TIME, "2026-11-21T00:00:00Z")
            .with_header(headers::CONTENT_TYPE, "application/json")
    }

    /// Every attribute as the header that a CloudEvent has for it in Kafka, and no other.
    #[test]
    fn each_attribute_is_told_once_by_its_header_and_ours_stay() {
        const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let before = ours()
            .with_header(headers::AGGREGATE_TYPE, "order")
            .with_header(headers::AGGREGATE_ID, "o-42")
            .with_header(headers::TRACE_ID, "4bf92f3577b34da6a3ce929d0e0e4736")
            .with_header(headers::TRACEPARENT, PARENT)
            .with_header(headers::TRACESTATE, "vendor=1");
        let mut message = before.clone();
        add_headers(&mut message, "/shop");
        let all: Vec<_> = message.headers().iter().collect();
        let (stayed, added) = all.split_at(before.headers().len());
        assert!(
            before.headers().iter().eq(stayed.iter().copied()),
            "`content-type` says `datacontenttype`"
        );
        assert_eq!(
            added,
            [
                ("ce_specversion", "1.0"),
                ("ce_source", "/shop"),
                ("ce_id", "0197f3d2-0000-7000-8000-000000000001"),
                ("ce_type", "OrderCreated"),
                ("ce_subject", "o-42"),
                ("ce_time", "2026-11-21T00:00:00Z"),
                ("ce_traceparent", PARENT),
                ("ce_tracestate", "vendor=1"),
                ("ce_partitionkey", "k"),
            ]
        );
        assert_eq!((message.key(), message.payload()), (before.key(), before.payload()));

        // And back: of such a message a reader without our headers finds what they say.
        let theirs = added
            .iter()
            .fold(Message::new("t", "{}"), |message, (name, value)| message.with_header(*name, *value));
        let theirs = theirs.with_header(headers::CONTENT_TYPE, "application/json");
        for (name, value) in before.headers().iter() {
            let is_told = ![headers::AGGREGATE_TYPE, headers::TRACE_ID].contains(&name);
            let found = CloudEvent(&theirs).text_header(name).map(str::to_owned);
            assert_eq!(found.as_deref(), is_told.then_some(value), "{name}");
        }
    }

    #[test]
    fn an_attribute_without_a_value_is_left_out() {
        let mut message = Message { key: None, ..ours() };
        add_headers(&mut message, "/shop");
        let added = message.headers().iter().filter(|(name, _)| name.starts_with("ce_"));
        let names: Vec<_> = added.map(|(name, _)| name).collect();
        assert_eq!(names, ["ce_specversion", "ce_source", "ce_id", "ce_type", "ce_time"]);
    }

    #[test]
    fn what_is_one_already_or_cannot_be_one_stays_as_it_is() {
        let mut nameless = ours();
        nameless.headers.remove(headers::EVENT_TYPE);
        let mut unidentified = ours();
        unidentified.headers.remove(headers::MESSAGE_ID);
        let odd = ours().with_header(headers::EVENT_TYPE, "Order\nCreated");
        for before in [ours().with_header("ce_id", "theirs"), nameless, unidentified, odd] {
            let mut message = before.clone();
            add_headers(&mut message, "/shop");
            assert_eq!(message, before);
        }
    }

    #[test]
    fn what_no_attribute_may_say_is_left_out_and_what_the_event_says_itself_stays() {
        let attribute = |value: &str| {
            let mut message = ours().with_header(headers::AGGREGATE_ID, value);
            add_headers(&mut message, "/shop");
            message.headers().get("ce_subject").map(str::to_owned)
        };
        for said in ["42", " ", "Größe \"x\"", "\u{10fffd}", "\u{202e}"] {
            assert_eq!(attribute(said).as_deref(), Some(said));
        }
        for odd in [
            "",
            "a\nb",
            "\0",
            "\u{7f}",
            "\u{85}",
            "\u{fdd0}",
            "\u{fdef}",
            "\u{ffff}",
            "\u{1fffe}",
        ] {
            assert_eq!(attribute(odd), None, "{odd:?}");
        }
        let mut message = ours()
            .with_header("ce_subject", "theirs")
            .with_header("ce_source", "theirs")
            .with_header("ce_region", "eu");
        add_headers(&mut message, "/shop");
        let header = |name| message.headers().get(name);
        assert_eq!(
            (header("ce_subject"), header("ce_source"), header("ce_region")),
            (Some("theirs"), Some("theirs"), Some("eu"))
        );
        assert_eq!(header("ce_id"), header(headers::MESSAGE_ID));
    }

    #[test]
    fn a_header_of_ours_goes_before_the_attribute() {
        let message = Message::new("t", "")
            .with_header("ce_id", "a")
            .with_header(headers::MESSAGE_ID, "b");
        assert_eq!(CloudEvent(&message).header(headers::MESSAGE_ID), Some(&b"b"[..]));
        assert_eq!(CloudEvent(&message).header("other"), None);
    }
}
