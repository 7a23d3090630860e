//! A publisher for which one event is the end of its process.

use eventferry::Message;
use eventferry::publish::kafka::KafkaPublisher;
use eventferry::publish::{BoxFuture, Delivery, Full, Pipelined, PublishError, Publisher, Report, Seat, Session};

/// Kafka, but aborts the process when it is given the event of this payload.
pub(crate) struct Poisoned {
    kafka: KafkaPublisher,
    payload: Option<Vec<u8>>,
}

fn look(payload: Option<&[u8]>, message: &Message) {
    if payload.is_some() && message.payload() == payload {
        std::process::abort();
    }
}

impl Poisoned {
    pub(crate) fn new(kafka: KafkaPublisher, payload: Option<String>) -> Self {
        let payload = payload.map(String::into_bytes);
        Self { kafka, payload }
    }
}

impl Publisher for Poisoned {
    async fn publish(&self, message: &Message) -> Result<Delivery, PublishError> {
        look(self.payload.as_deref(), message);
        self.kafka.publish(message).await
    }

    fn pipelined(&self) -> Option<&dyn Pipelined> {
        Some(self)
    }
}

impl Pipelined for Poisoned {
    fn open<'a>(&'a self, seat: Seat<'a>) -> BoxFuture<'a, Result<Box<dyn Session>, PublishError>> {
        Box::pin(async move {
            let session = self.kafka.open(seat).await?;
            let payload = self.payload.clone();
            Ok(Box::new(PoisonedSession { session, payload }) as Box<dyn Session>)
        })
    }

    fn groups(&self) -> u8 {
        self.kafka.groups()
    }

    fn partitions<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<u32, PublishError>> {
        self.kafka.partitions(topic)
    }
}

struct PoisonedSession {
    session: Box<dyn Session>,
    payload: Option<Vec<u8>>,
}

impl Session for PoisonedSession {
    fn hand_over(&mut self, token: u64, partition: i32, message: Message) -> Result<(), Full> {
        look(self.payload.as_deref(), &message);
        self.session.hand_over(token, partition, message)
    }

    fn reports(&mut self) -> BoxFuture<'_, Vec<Report>> {
        self.session.reports()
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, Vec<Report>> {
        self.session.close()
    }
}
