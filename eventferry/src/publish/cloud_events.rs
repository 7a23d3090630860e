//! Messages that are CloudEvents as well.

use std::future::Future;

use crate::event::{Message, cloud_events};
use crate::publish::rewritten::{Rewrite, RewrittenSession, gone};
use crate::publish::{BoxFuture, Delivery, Learns, Pipelined, Presence, PublishError, PublishErrorKind, Publisher, Seat, Session};

/// Adds the headers of a [CloudEvent] in binary mode to every message, as the [Kafka protocol binding] names them (`ce_id` and so on).
///
/// Our own headers stay, so eventferry's consumers need nothing. The payload is not touched. An event is a CloudEvent of the type
/// `event-type`, with the message id as its id; `source` and what else is told is listed at [`cloud_events`].
///
/// A header that an event has by itself stays: one that sets `ce_subject` is of that subject, and one with `ce_id` is taken for a CloudEvent that
/// somebody else made and gets nothing. What no attribute may hold, such as an empty text or a line break, is left out; a message
/// without a message id or an event type is no CloudEvent and travels as it is.
///
/// [CloudEvent]: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
/// [Kafka protocol binding]: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
///
/// # Examples
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use eventferry::publish::{CloudEvents, memory::MemoryPublisher};
/// use eventferry::{Message, Publisher};
///
/// let broker = MemoryPublisher::new();
/// let publisher = CloudEvents::new(broker.clone(), "https://shop.example/orders")?;
/// let message = Message::new("orders", "{}").with_header("event-type", "OrderCreated").with_header("message-id", "42");
/// publisher.publish(&message).await?;
///
/// let headers = broker.messages("orders")[0].headers().clone();
/// assert_eq!(headers.get("ce_type"), Some("OrderCreated"));
/// assert_eq!(headers.get("ce_source"), Some("https://shop.example/orders"));
/// # Ok::<(), eventferry::PublishError>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct CloudEvents<P> {
    publisher: P,
    source: Source,
}

/// The `source` of every event: a URI reference.
#[derive(Debug, Clone)]
struct Source(std::sync::Arc<str>);

impl<P> CloudEvents<P> {
    /// Adds the headers to what `publisher` is given. `source` is a URI reference (RFC 3986) that names the service, such as
    /// `https://shop.example/orders`; with the message id it must tell every event from every other.
    ///
    /// # Errors
    /// [`PublishErrorKind::Rejected`] if `source` is empty, or has something that no URI reference can have, such as a space.
    pub fn new(publisher: P, source: impl Into<String>) -> Result<Self, PublishError> {
        let source: String = source.into();
        if !is_uri_reference(&source) {
            return Err(PublishError::new(
                PublishErrorKind::Rejected,
                "failed to make CloudEvents: `source` is no URI reference; give one that names the service, such as `https://shop.example/orders`",
            ));
        }
        Ok(Self {
            publisher,
            source: Source(source.into()),
        })
    }
}

/// Whether a text has only what a URI reference can have (RFC 3986), and has something.
fn is_uri_reference(text: &str) -> bool {
    let mut left = text.as_bytes();
    while let [byte, rest @ ..] = left {
        left = match (byte, rest) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => after,
            (byte, rest) if byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(byte) => rest,
            _ => return false,
        };
    }
    !text.is_empty()
}

impl Rewrite for Source {
    /// How many headers the message had: what is added stands behind them.
    type Undo = usize;

    fn rewrite(&self, message: &mut Message) -> Result<usize, PublishError> {
        let before = message.headers.len();
        cloud_events::add_headers(message, &self.0);
        Ok(before)
    }

    fn undo(message: &mut Message, before: usize) {
        message.headers.truncate(before);
    }
}

impl<P: Publisher> Publisher for CloudEvents<P> {
    async fn publish(&self, message: &Message) -> Result<Delivery, PublishError> {
        let mut message = message.clone();
        cloud_events::add_headers(&mut message, &self.source.0);
        self.publisher.publish(&message).await
    }

    fn probe(&self) -> impl Future<Output = Presence> + Send {
        self.publisher.probe()
    }

    fn pipelined(&self) -> Option<&dyn Pipelined> {
        self.publisher.pipelined().map(|_| self as &dyn Pipelined)
    }

    fn learns(&self) -> Option<&dyn Learns> {
        self.publisher.learns()
    }
}

impl<P: Publisher> Pipelined for CloudEvents<P> {
    fn open<'a>(&'a self, seat: Seat<'a>) -> BoxFuture<'a, Result<Box<dyn Session>, PublishError>> {
        Box::pin(async move {
            let pipelined = self.publisher.pipelined().ok_or_else(gone)?;
            Ok(RewrittenSession::boxed(pipelined.open(seat).await?, self.source.clone()))
        })
    }

    fn groups(&self) -> u8 {
        self.publisher.pipelined().map_or(1, Pipelined::groups)
    }

    fn partitions<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<u32, PublishError>> {
        match self.publisher.pipelined() {
            Some(pipelined) => pipelined.partitions(topic),
            None => Box::pin(async { Err(gone()) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::memory::MemoryPublisher;

    #[test]
    fn a_source_is_a_uri_reference() {
        let made = |source: &str| CloudEvents::new(MemoryPublisher::new(), source);
        for source in [
            "/",
            "urn:uuid:6e8bc430",
            "https://[::1]:80/a?b=c#d",
            "mailto:shop@example.com",
            "a%20b",
            "1-555",
        ] {
            assert!(made(source).is_ok(), "{source}");
        }
        for source in ["", " ", "my shop", "a\nb", "caf\u{e9}", "a%2", "%zz", "<a>", "a\\b", "{x}"] {
            let error = made(source).unwrap_err();
            assert_eq!(error.kind(), PublishErrorKind::Rejected, "{source}");
            assert!(error.to_string().contains("`source` is no URI reference"), "{error}");
        }
    }

    #[test]
    fn a_change_that_is_taken_back_leaves_nothing() {
        let given = Message::new("orders", "{}")
            .with_key("k")
            .with_header("message-id", "1")
            .with_header("event-type", "Paid")
            .with_header("ce_subject", "theirs");
        let (mut message, source) = (given.clone(), Source("/shop".into()));
        let Ok(undo) = source.rewrite(&mut message) else {
            panic!("nothing can go wrong")
        };
        assert_eq!(message.headers().get("ce_type"), Some("Paid"));
        Source::undo(&mut message, undo);
        assert_eq!(message, given);
    }
}
