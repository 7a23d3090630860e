//! Messages that are CloudEvents as well.

use std::future::Future;

use crate::event::{Message, cloud_events};
use crate::publish::rewritten::{Rewrite, RewrittenSession, gone};
use crate::publish::{BoxFuture, Delivery, Learns, Pipelined, Presence, PublishError, Publisher, Seat, Session};

/// Adds the headers of a [CloudEvent] in binary mode to every message, as the [Kafka protocol binding] names them (`ce_id` and so on).
///
/// Our own headers stay, so eventferry's consumers need nothing. The payload is not touched. An event is a CloudEvent of the type
/// `event-type`, with the message id as its id; `source` and what else is told is listed at [`cloud_events`].
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
/// let publisher = CloudEvents::new(broker.clone(), "https://shop.example/orders");
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
    pub fn new(publisher: P, source: impl Into<String>) -> Self {
        Self {
            publisher,
            source: Source(source.into().into()),
        }
    }
}

impl Rewrite for Source {
    fn rewrite(&self, message: &mut Message) -> Result<(), PublishError> {
        cloud_events::add_headers(message, &self.0);
        Ok(())
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
