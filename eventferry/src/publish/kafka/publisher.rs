//! The publisher: which client an event goes to, and what a failure means.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;

use crate::event::Message;
use crate::publish::kafka::alone::{Trial, Trials};
use crate::publish::kafka::clock::WallClock;
use crate::publish::kafka::config::KafkaPublisherBuilder;
use crate::publish::kafka::current::{MAKE, PlainClient};
use crate::publish::kafka::error::{failure, kind_of};
use crate::publish::kafka::session::KafkaSession;
use crate::publish::kafka::settings::Settings;
use crate::publish::kafka::topics::Topics;
use crate::publish::kafka::transactions::TransactionalSession;
use crate::publish::partitioner::partition_of;
use crate::publish::{BoxFuture, Delivery, Pipelined, PublishError, PublishErrorKind, Publisher, Scope, Seat, Session};

/// Into how many groups the lanes are divided when each has a transactional id of its own.
const GROUPS: u8 = 8;
/// How long a topic's number of partitions is believed before the broker is asked again.
const COUNT_AGE: Duration = Duration::from_mins(1);
/// The same where an event names a partition that is not there.
const MISSING_AGE: Duration = Duration::from_secs(1);

/// Publishes to Kafka.
///
/// A delivery is an offset in the log that all in-sync replicas have; with fewer than two of them required (`min.insync.replicas`) the loss
/// of one broker can still lose events. Topics are never created by publishing.
///
/// An event goes to the partition it names, else to its key's (murmur2, as in Kafka's Java client), else to any.
///
/// [`publish`](Publisher::publish) answers within [`publish_deadline`](KafkaPublisherBuilder::publish_deadline), whatever the broker does.
/// It is cancel safe in that nothing breaks: an event whose publish is dropped may still arrive. All calls need a tokio runtime. Dropping the
/// publisher gives up what is in flight, on a thread of its own.
///
/// # Examples
/// ```
/// use eventferry::publish::kafka::KafkaPublisher;
///
/// let publisher = KafkaPublisher::builder("kafka-1:9092,kafka-2:9092").set("compression.type", "gzip").build()?;
///
/// let error = KafkaPublisher::builder("kafka-1:9092").set("acks", "1").build().unwrap_err();
/// assert!(error.to_string().contains("`acks` may not be set"));
/// # Ok::<(), eventferry::PublishError>(())
/// ```
#[derive(Debug)]
pub struct KafkaPublisher {
    pub(super) settings: Settings,
    plain: Arc<PlainClient>,
    topics: Topics,
    trials: Trials,
}

impl KafkaPublisher {
    /// Starts building a publisher for brokers given as `host:port,host:port`.
    pub fn builder(brokers: impl Into<String>) -> KafkaPublisherBuilder {
        KafkaPublisherBuilder::new(brokers.into())
    }

    pub(super) fn new(settings: Settings) -> Result<Self, PublishError> {
        let clock = WallClock::start()?;
        let plain = Arc::new(PlainClient::new(&settings, clock.clone())?);
        Ok(Self {
            topics: Topics::new(Arc::clone(&plain)),
            trials: Trials::new(clock),
            plain,
            settings,
        })
    }

    /// Where an event goes; none lets the client choose.
    async fn partition(&self, message: &Message) -> Result<Option<i32>, PublishError> {
        let topic = message.topic();
        let time = self.settings.question_timeout();
        let mut count = self.topics.count(topic, COUNT_AGE, time).await?;
        if message.partition().is_some_and(|named| named >= 0 && named.unsigned_abs() >= count) {
            // The topic may have got it meanwhile.
            count = self.topics.count(topic, MISSING_AGE, time).await?;
        }
        match (message.partition(), message.key()) {
            (Some(partition), _) if u32::try_from(partition).is_ok_and(|p| p < count) => Ok(Some(partition)),
            (Some(partition), _) => Err(PublishError::new(
                if partition < 0 {
                    PublishErrorKind::Rejected
                } else {
                    PublishErrorKind::Unavailable(Scope::Partition)
                },
                format!(
                    "failed to publish to partition {partition} of topic `{topic}`: it has partitions 0 to {}",
                    count - 1
                ),
            )),
            (None, Some(key)) => Ok(Some(partition_of(key.as_bytes(), count))),
            (None, None) => Ok(None),
        }
    }

    /// Whether an event makes the broker close its connection, or only shared one with another that does.
    async fn try_alone(&self, message: &Message, partition: Option<i32>, until: Instant) -> Result<Delivery, PublishError> {
        let topic = message.topic();
        let partition = if let Some(partition) = partition {
            partition
        } else {
            let time = self.settings.question_timeout();
            let count = self.topics.count(topic, COUNT_AGE, time).await?;
            i32::try_from(fastrand::u32(..count.max(1))).unwrap_or(0)
        };
        match self.trials.try_alone(&self.settings, message, partition, until).await {
            Trial::Delivered(delivery) => Ok(delivery),
            Trial::Guilty => Err(PublishError::new(
                PublishErrorKind::Retriable,
                format!(
                    "failed to publish to topic `{topic}`: the broker closes the connection on this event, again and again and when it goes alone, \
                     and answers before and after; it may be larger than the broker's socket.request.max.bytes"
                ),
            )),
            Trial::Failed(code) => Err(self.judge(topic, code).await),
            Trial::Unanswered(code) => {
                let error = self.judge(topic, code).await;
                let kind = error.kind();
                Err(if matches!(kind, PublishErrorKind::Unavailable(_)) {
                    error
                } else {
                    failure(PublishErrorKind::Unavailable(Scope::Partition), "ask for", topic, code)
                })
            }
            Trial::Postponed => Err(failure(
                PublishErrorKind::Unavailable(Scope::Partition),
                "publish to",
                topic,
                RDKafkaErrorCode::BrokerTransportFailure,
            )),
        }
    }

    /// What a failed publish means. A timeout says nothing by itself, and a partition can be gone with its topic: so the broker is asked.
    async fn judge(&self, topic: &str, code: RDKafkaErrorCode) -> PublishError {
        if code == RDKafkaErrorCode::NoOffset {
            let text = format!("failed to publish to topic `{topic}`: the client reported success without an offset");
            return PublishError::new(PublishErrorKind::Retriable, text);
        }
        let mut kind = kind_of(code);
        if matches!(kind, PublishErrorKind::Unavailable(_)) {
            self.topics.doubt(topic).await;
        }
        let broker = kind == PublishErrorKind::Unavailable(Scope::Publisher);
        if broker || matches!(code, RDKafkaErrorCode::MessageTimedOut | RDKafkaErrorCode::UnknownPartition) {
            let time = self.settings.question_timeout();
            if let Err(error) = self.topics.count(topic, Duration::ZERO, time).await {
                return error;
            }
            if broker {
                // Another one answers: it is the leader of this partition that does not.
                kind = PublishErrorKind::Unavailable(Scope::Partition);
            }
        }
        failure(kind, "publish to", topic, code)
    }
}

impl Publisher for KafkaPublisher {
    async fn publish(&self, message: &Message) -> Result<Delivery, PublishError> {
        let until = Instant::now() + self.settings.publish_deadline;
        let partition = self.partition(message).await?;
        match self.plain.publish(message, partition).await? {
            Ok(delivery) => Ok(delivery),
            Err(RDKafkaErrorCode::BrokerTransportFailure) => self.try_alone(message, partition, until).await,
            // It was given up with its client: nobody knows what became of it.
            Err(code @ (RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight)) => Err(failure(
                PublishErrorKind::Unavailable(Scope::Partition),
                "publish to",
                message.topic(),
                code,
            )),
            Err(code) => Err(self.judge(message.topic(), code).await),
        }
    }

    fn pipelined(&self) -> Option<&dyn Pipelined> {
        Some(self)
    }
}

impl Pipelined for KafkaPublisher {
    fn groups(&self) -> u8 {
        if self.settings.transactions.is_some() { GROUPS } else { 1 }
    }

    fn open<'a>(&'a self, seat: Seat<'a>) -> BoxFuture<'a, Result<Box<dyn Session>, PublishError>> {
        let settings = self.settings.clone();
        if let Some(transactions) = settings.transactions {
            let (outbox, group) = (seat.outbox.to_owned(), seat.group);
            return Box::pin(async move {
                let (plain, limit) = (self.plain.get().await?, MAKE + settings.metadata_timeout);
                let era = plain.era.clone();
                let open = move || TransactionalSession::open(&settings, transactions, Seat::new(&outbox, group), plain);
                let session = era.call(limit, open).await.ok_or_else(|| not_opened(limit))??;
                Ok(Box::new(session) as Box<dyn Session>)
            });
        }
        Box::pin(async move {
            let (plain, generation) = (self.plain.get().await?, self.topics.generation());
            let era = plain.era.clone();
            let open = move || KafkaSession::open(&settings, generation, plain);
            let session = era.call(MAKE, open).await.ok_or_else(|| not_opened(MAKE))??;
            if let Some(client) = session.client() {
                self.topics.inform(&client);
            }
            Ok(Box::new(session) as Box<dyn Session>)
        })
    }

    fn partitions<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<u32, PublishError>> {
        let time = self.settings.metadata_timeout;
        Box::pin(self.topics.count(topic, Duration::ZERO, time))
    }
}

fn not_opened(limit: Duration) -> PublishError {
    PublishError::new(
        PublishErrorKind::Unavailable(Scope::Publisher),
        format!("failed to open a Kafka session: its client was not ready within {limit:?}, or the wall clock of this host was set back"),
    )
}
