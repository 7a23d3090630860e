//! The plain client: one event, one request, one answer.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message as _, OwnedHeaders};
use rdkafka::metadata::Metadata;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, PurgeConfig, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};
use tokio::sync::oneshot;

use crate::event::Message;
use crate::mutant::{Mutant, mutant};
use crate::publish::kafka::client;
use crate::publish::kafka::config::setup_failure;
use crate::publish::kafka::error::code_of;
use crate::publish::kafka::settings::Settings;
use crate::publish::{Delivery, PublishError};

/// What came back for an event.
pub(super) type Answer = Result<Delivery, RDKafkaErrorCode>;

/// A client without idempotence: no producer id, so no sequence another event could hang on, and no acknowledgement that is only implied.
#[derive(Clone)]
pub(super) struct PlainProducer(Arc<Destroyed>);

impl fmt::Debug for PlainProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainProducer")
    }
}

impl PlainProducer {
    pub(super) fn new(settings: &Settings) -> Result<Self, PublishError> {
        Self::of(&settings.plain())
    }

    fn of(config: &ClientConfig) -> Result<Self, PublishError> {
        let producer = ThreadedProducer::from_config_and_context(config, PlainContext::default()).map_err(|error| setup_failure(&error))?;
        Ok(Self(Arc::new(Destroyed(Some(producer)))))
    }

    /// A client for a single suspect.
    pub(super) fn alone(settings: &Settings) -> Result<Self, PublishError> {
        Self::of(&settings.alone())
    }

    /// Gives an event to the client; the answer comes through the receiver, whether or not somebody still waits for it.
    pub(super) fn send(&self, message: &Message, partition: Option<i32>) -> Result<oneshot::Receiver<Answer>, RDKafkaErrorCode> {
        let producer = self.0.producer()?;
        let (answer, receiver) = oneshot::channel();
        match producer.send(record(message, partition, Box::new(answer))) {
            Ok(()) => Ok(receiver),
            Err((error, _)) => Err(code_of(&error)),
        }
    }

    /// Asks the broker about one topic. Blocks.
    pub(super) fn metadata(&self, topic: &str, timeout: Duration) -> Result<Metadata, KafkaError> {
        let producer = self.0.producer().map_err(KafkaError::Global)?;
        let metadata = producer.client().fetch_metadata(Some(topic), timeout)?;
        *producer.context().trouble() = None;
        Ok(metadata)
    }

    /// Asks the leader of a partition, and nobody else, for something that costs it nothing. Blocks.
    pub(super) fn ask_leader(&self, topic: &str, partition: i32, timeout: Duration) -> Result<(), KafkaError> {
        let producer = self.0.producer().map_err(KafkaError::Global)?;
        producer.client().fetch_watermarks(topic, partition, timeout).map(drop)
    }

    /// Gives up everything that was not answered, as far as its threads hear of it. Waits for none of them.
    pub(super) fn give_up(&self) {
        if let Ok(producer) = self.0.producer() {
            producer.purge(PurgeConfig::default().queue().inflight().non_blocking());
        }
    }

    #[cfg(test)]
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Why no broker can be reached, if the client knows more than that none can.
    pub(super) fn trouble(&self) -> Option<RDKafkaErrorCode> {
        self.0.producer().ok().and_then(|producer| *producer.context().trouble())
    }
}

/// One record for either client.
pub(super) fn record<O: rdkafka::util::IntoOpaque>(message: &Message, partition: Option<i32>, opaque: O) -> BaseRecord<'_, str, [u8], O> {
    let mut record = BaseRecord::with_opaque_to(message.topic(), opaque);
    record.partition = partition;
    record.key = message.key();
    record.payload = message.payload();
    let headers = message.headers();
    if !headers.is_empty() {
        let room = OwnedHeaders::new_with_capacity(headers.len());
        record.headers = Some(
            headers
                .iter()
                .fold(room, |all, (key, value)| all.insert(Header { key, value: Some(value) })),
        );
    }
    record
}

/// Whether a success is one. Only an offset proves that the event is in the log: librdkafka can report success without one.
pub(crate) fn is_in_log(offset: i64) -> bool {
    offset >= 0 || mutant(Mutant::OffsetIgnored)
}

/// What a delivery report says.
pub(super) fn answer(report: &DeliveryResult<'_>) -> Answer {
    match report {
        Ok(message) if is_in_log(message.offset()) => Ok(Delivery::at(message.partition(), message.offset())),
        Ok(_) => Err(RDKafkaErrorCode::NoOffset),
        Err((error, _)) => Err(code_of(error)),
    }
}

/// Destroys the client on a thread of its own: that joins librdkafka's threads, which would stop an async thread for as long.
struct Destroyed(Option<ThreadedProducer<PlainContext>>);

impl Destroyed {
    fn producer(&self) -> Result<&ThreadedProducer<PlainContext>, RDKafkaErrorCode> {
        self.0.as_ref().ok_or(RDKafkaErrorCode::DestroyBroker)
    }
}

impl Drop for Destroyed {
    fn drop(&mut self) {
        destroy(self.0.take());
    }
}

/// Drops a client elsewhere. If no thread can be had it is dropped here, which is slower but leaks nothing.
pub(super) fn destroy<T: Send + 'static>(client: Option<T>) {
    if let Some(client) = client {
        let started = thread::Builder::new()
            .name("eventferry-kafka-close".to_owned())
            .spawn(move || drop(client));
        if let Err(error) = started {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "closed a Kafka client on its user's thread"
            );
        }
    }
}

#[derive(Default)]
struct PlainContext {
    trouble: Mutex<Option<RDKafkaErrorCode>>,
}

impl PlainContext {
    fn trouble(&self) -> std::sync::MutexGuard<'_, Option<RDKafkaErrorCode>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for PlainContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        client::log(level, facility, line);
    }

    fn stats_raw(&self, json: &[u8]) {
        client::stats(json);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(
            code @ (RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::SSL
            | RDKafkaErrorCode::Resolve),
        ) = error.rdkafka_error_code()
        {
            *self.trouble() = Some(code);
        }
        client::client_error(&error, reason);
    }
}

impl ProducerContext for PlainContext {
    type DeliveryOpaque = Box<oneshot::Sender<Answer>>;

    fn delivery(&self, report: &DeliveryResult<'_>, sender: Self::DeliveryOpaque) {
        // An error means that the publish was given up: the outbox still has the event.
        let _ = sender.send(answer(report));
    }
}
