//! What a dead event looks like on the dead-letter topic.

use super::core::DeadLetter;
use crate::clock;
use crate::event::{Message, headers};

/// What is told of the reason, at most.
const REASON_MAX: usize = 1000;

/// The original message with the dead-letter headers, for the dead-letter topic. Key, payload and message id stay.
pub(super) fn message(letter: DeadLetter) -> Message {
    let DeadLetter {
        topic,
        mut message,
        mut reason,
        class,
        attempts,
    } = letter;
    reason.truncate(reason.floor_char_boundary(REASON_MAX));
    message.headers.set(headers::DLQ_REASON, reason);
    message.headers.set(headers::DLQ_ERROR_CLASS, class);
    message
        .headers
        .set(headers::DLQ_ORIGINAL_TOPIC, std::mem::replace(&mut message.topic, topic));
    message.headers.set(headers::DLQ_FAILED_AT, clock::rfc3339(clock::now()));
    message.headers.set(headers::DLQ_ATTEMPTS, attempts.to_string());
    // The original's partition means nothing on another topic.
    message.partition = None;
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_keeps_what_it_was() {
        let message = Message::new("orders", "{}")
            .with_key("42")
            .with_partition(3)
            .with_header("message-id", "m");
        let reason = "ä".repeat(600);
        let dead = super::message(DeadLetter {
            topic: "dlq".into(),
            message,
            reason,
            class: "rejected",
            attempts: 3,
        });
        assert_eq!(
            (dead.topic(), dead.key(), dead.partition(), dead.payload()),
            ("dlq", Some("42"), None, Some(&b"{}"[..]))
        );
        let header = |name| dead.headers().get(name).unwrap();
        assert_eq!(
            (header("message-id"), header("dlq-original-topic"), header("dlq-attempts")),
            ("m", "orders", "3")
        );
        assert_eq!((header("dlq-reason").len(), header("dlq-error-class")), (1000, "rejected"));
    }
}
