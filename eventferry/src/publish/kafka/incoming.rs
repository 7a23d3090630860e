//! Messages of rdkafka's consumers, read in place.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rdkafka::message::{BorrowedMessage, Header, Headers, Message as _, OwnedMessage};

use crate::event::IncomingMessage;

macro_rules! incoming {
    ($message:ty) => {
        impl IncomingMessage for $message {
            fn topic(&self) -> &str {
                rdkafka::Message::topic(self)
            }

            fn payload(&self) -> Option<&[u8]> {
                rdkafka::Message::payload(self)
            }

            fn log_partition(&self) -> Option<i32> {
                Some(rdkafka::Message::partition(self))
            }

            fn header(&self, name: &str) -> Option<&[u8]> {
                let headers = self.headers()?;
                // Kafka allows a name several times; the last one is the one that counts.
                (0..headers.count())
                    .rev()
                    .filter_map(|place| readable(headers, place))
                    .find(|h| h.key == name)?
                    .value
            }
        }
    };
}

/// A header; none where its name is no UTF-8. Brokers carry such names, and rdkafka panics on them: whoever may write to a topic could end its
/// consumers by one message.
fn readable(headers: &impl Headers, place: usize) -> Option<Header<'_, &[u8]>> {
    catch_unwind(AssertUnwindSafe(|| headers.try_get(place))).ok().flatten()
}

incoming!(BorrowedMessage<'_>);
incoming!(OwnedMessage);

#[cfg(test)]
mod tests {
    use rdkafka::Timestamp;
    use rdkafka::message::{Header, OwnedHeaders};

    use super::*;

    fn message(payload: Option<Vec<u8>>, headers: Option<OwnedHeaders>) -> OwnedMessage {
        OwnedMessage::new(payload, None, "orders".to_owned(), Timestamp::NotAvailable, 0, 7, headers)
    }

    #[test]
    fn an_rdkafka_message_is_read_in_place() {
        let headers = OwnedHeaders::new()
            .insert(Header {
                key: "event-type",
                value: Some("Old"),
            })
            .insert(Header {
                key: "event-type",
                value: Some("OrderCreated"),
            })
            .insert(Header::<&str> {
                key: "nothing",
                value: None,
            });
        let message = message(Some(b"{}".to_vec()), Some(headers));
        let incoming: &dyn IncomingMessage = &message;
        assert_eq!((incoming.topic(), incoming.payload()), ("orders", Some(&b"{}"[..])));
        assert_eq!(incoming.event_type(), Some("OrderCreated"), "the last of several counts");
        assert_eq!(incoming.header("nothing"), None);
        assert_eq!(incoming.header("Event-Type"), None, "names are compared exactly");
    }

    #[test]
    fn a_tombstone_without_headers_is_a_message_too() {
        let message = message(None, None);
        assert_eq!(IncomingMessage::payload(&message), None);
        assert_eq!(message.message_id(), None);
    }
}
