//! A real broker seen from outside: topics of one's own, and what is really in their logs.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Headers, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use uuid::Uuid;

/// How long anything a test waits for may take.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// One record of a log, as a consumer without any of eventferry's code sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Logged {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// The key's bytes.
    pub key: Option<Vec<u8>>,
    /// The payload's bytes; none for a tombstone.
    pub payload: Option<Vec<u8>>,
    /// The headers, in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// The time that stands in the log, in milliseconds since 1970.
    pub timestamp: Option<i64>,
}

impl eventferry::IncomingMessage for Logged {
    fn topic(&self) -> &str {
        &self.topic
    }

    fn payload(&self) -> Option<&[u8]> {
        self.payload.as_deref()
    }

    fn log_partition(&self) -> Option<i32> {
        Some(self.partition)
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().rfind(|(n, _)| n == name)?.1.as_deref()
    }
}

/// A topic of a test's own, deleted when it is dropped.
#[derive(Debug)]
pub struct TestTopic {
    brokers: String,
    name: String,
}

impl TestTopic {
    /// Creates a topic with a name nobody else has, and topic settings such as `max.message.bytes`.
    ///
    /// # Panics
    /// If the broker refuses.
    pub async fn create(brokers: &str, partitions: i32, settings: &[(&str, &str)]) -> Self {
        let topic = Self::unborn(brokers);
        topic.be_born(partitions, settings).await;
        topic
    }

    /// Creates a topic whose partitions are each on the broker of that number, and nowhere else.
    ///
    /// # Panics
    /// If the broker refuses.
    pub async fn create_on(brokers: &str, leaders: &[i32]) -> Self {
        let topic = Self::unborn(brokers);
        let replicas: Vec<[i32; 1]> = leaders.iter().map(|leader| [*leader]).collect();
        let replicas: Vec<&[i32]> = replicas.iter().map(<[i32; 1]>::as_slice).collect();
        let count = i32::try_from(leaders.len()).expect("a number of partitions");
        create(brokers, &NewTopic::new(&topic.name, count, TopicReplication::Variable(&replicas))).await;
        topic.until_led(leaders.len()).await;
        topic
    }

    /// A name nobody else has, of a topic that does not exist yet.
    pub fn unborn(brokers: &str) -> Self {
        Self::named(brokers, &format!("t-{}", Uuid::new_v4()))
    }

    /// A topic that does not exist yet, by a name the caller knows to be new.
    pub fn named(brokers: &str, name: &str) -> Self {
        Self {
            brokers: brokers.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Creates the topic.
    ///
    /// # Panics
    /// If the broker refuses.
    pub async fn be_born(&self, partitions: i32, settings: &[(&str, &str)]) {
        let mut topic = NewTopic::new(&self.name, partitions, TopicReplication::Fixed(1));
        for (name, value) in settings {
            topic = topic.set(name, value);
        }
        create(&self.brokers, &topic).await;
        self.until_led(usize::try_from(partitions).expect("a number of partitions")).await;
    }

    /// Gives the topic more partitions.
    ///
    /// # Panics
    /// If the broker refuses.
    pub async fn grow_to(&self, partitions: usize) {
        let grown = NewPartitions::new(&self.name, partitions);
        for answer in admin(&self.brokers)
            .create_partitions([&grown], &options())
            .await
            .expect("the broker answers")
        {
            answer.expect("the topic has more partitions");
        }
        self.until_led(partitions).await;
    }

    /// Changes settings of the topic, such as `max.message.bytes`.
    ///
    /// # Panics
    /// If the broker refuses.
    pub async fn set(&self, settings: &[(&str, &str)]) {
        let mut topic = AlterConfig::new(ResourceSpecifier::Topic(&self.name));
        for (name, value) in settings {
            topic = topic.set(name, value);
        }
        let admin = admin(&self.brokers);
        let answers = admin.alter_configs([&topic], &options()).await;
        for answer in answers.expect("the broker answers") {
            answer.expect("the settings are changed");
        }
        // The controller has written them down; the broker hears of that a moment later.
        let begin = Instant::now();
        while !self.has(&admin, settings).await {
            assert!(begin.elapsed() < PATIENCE, "`{}` has other settings than {settings:?}", self.name);
        }
    }

    /// The topic's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Everything in the topic, by partition and offset.
    ///
    /// # Panics
    /// If the broker cannot be read.
    pub async fn log(&self) -> Vec<Logged> {
        let (brokers, topic) = (self.brokers.clone(), self.name.clone());
        tokio::task::spawn_blocking(move || read_log(&brokers, &topic))
            .await
            .expect("the reader does not panic")
    }

    /// The same with what stands in aborted and unfinished transactions.
    ///
    /// # Panics
    /// If the broker cannot be read.
    pub async fn uncommitted(&self) -> Vec<Logged> {
        let (brokers, topic) = (self.brokers.clone(), self.name.clone());
        tokio::task::spawn_blocking(move || read(&brokers, &topic, "read_uncommitted"))
            .await
            .expect("the reader does not panic")
    }

    /// The payloads of one partition as text, those of aborted and unfinished transactions too.
    ///
    /// # Panics
    /// If the broker cannot be read.
    pub async fn uncommitted_texts(&self, partition: i32) -> Vec<String> {
        let log = self.uncommitted().await.into_iter();
        let payloads = log
            .filter(|logged| logged.partition == partition)
            .map(|logged| logged.payload.unwrap_or_default());
        payloads.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
    }

    /// The payloads of one partition as text, in the order of the log.
    ///
    /// # Panics
    /// If the broker cannot be read.
    pub async fn texts(&self, partition: i32) -> Vec<String> {
        let of_partition = |logged: Logged| (logged.partition == partition).then(|| logged.payload.unwrap_or_default());
        let payloads = self.log().await.into_iter().filter_map(of_partition);
        payloads.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
    }

    /// Waits until so many partitions have a leader that answers: brokers know of them a moment after the controller has made them.
    async fn until_led(&self, partitions: usize) {
        let (admin, name) = (admin(&self.brokers), self.name.clone());
        let led = tokio::task::spawn_blocking(move || {
            let begin = Instant::now();
            while !is_led(&admin, &name, partitions) {
                assert!(begin.elapsed() < PATIENCE, "no leader of {partitions} partitions of `{name}`");
            }
        });
        led.await.expect("the topic is there");
    }

    /// Whether the broker says that these are the topic's settings.
    async fn has(&self, admin: &AdminClient<DefaultClientContext>, settings: &[(&str, &str)]) -> bool {
        let topic = ResourceSpecifier::Topic(&self.name);
        let answers = admin.describe_configs([&topic], &options()).await;
        answers.expect("the broker answers").iter().flatten().any(|topic| {
            let mut settings = settings.iter();
            settings.all(|(name, value)| topic.get(name).and_then(|entry| entry.value.as_deref()) == Some(*value))
        })
    }
}

impl TestTopic {
    /// Deletes the topic now; it can be born again.
    ///
    /// # Panics
    /// If the broker refuses.
    pub async fn die(&self) {
        let answers = admin(&self.brokers).delete_topics(&[&self.name], &options()).await;
        for answer in answers.expect("the broker answers") {
            answer.expect("the topic is deleted");
        }
    }
}

impl Drop for TestTopic {
    fn drop(&mut self) {
        let (brokers, name) = (self.brokers.clone(), self.name.clone());
        // Deleting is asynchronous and a drop is not; a topic that stays behind harms nobody.
        let deleted = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime
                .block_on(admin(&brokers).delete_topics(&[&name], &options()))
                .map_err(std::io::Error::other)
        });
        drop(deleted.join());
    }
}

/// Creates a topic.
async fn create(brokers: &str, topic: &NewTopic<'_>) {
    let (admin, begin) = (admin(brokers), Instant::now());
    loop {
        let answers = admin.create_topics([topic], &options()).await.expect("the broker answers");
        match answers.as_slice() {
            // The only broker, or that of a partition, is fenced: it has just come, or was slow to say that it is there.
            [Err((_, RDKafkaErrorCode::InvalidReplicationFactor | RDKafkaErrorCode::InvalidReplicaAssignment))]
                if begin.elapsed() < PATIENCE => {}
            [Ok(_)] => return,
            refused => panic!("the topic is not created: {refused:?}"),
        }
    }
}

/// Whether a topic has so many partitions, and the leader of each answers. Blocks.
fn is_led(admin: &AdminClient<DefaultClientContext>, topic: &str, partitions: usize) -> bool {
    const ANSWER: Duration = Duration::from_secs(5);
    let Ok(metadata) = admin.inner().fetch_metadata(Some(topic), ANSWER) else {
        return false;
    };
    let mut known = metadata.topics().iter().filter(|known| known.error().is_none());
    known.any(|known| {
        let mut known = known.partitions().iter();
        known.len() >= partitions && known.all(|partition| admin.inner().fetch_watermarks(topic, partition.id(), ANSWER).is_ok())
    })
}

fn admin(brokers: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()
        .expect("an admin client can be made")
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .operation_timeout(Some(PATIENCE))
        .request_timeout(Some(PATIENCE))
}

/// Everything in a topic that is not of an aborted or unfinished transaction. Blocks.
///
/// # Panics
/// If the broker cannot be read.
pub fn read_log(brokers: &str, topic: &str) -> Vec<Logged> {
    read(brokers, topic, "read_committed")
}

fn read(brokers: &str, topic: &str, isolation: &str) -> Vec<Logged> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "eventferry-tests")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", isolation)
        // How long the broker keeps back the news that there is no more.
        .set("fetch.wait.max.ms", "10")
        .create()
        .expect("a consumer can be made");
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).expect("the broker knows the topic");
    let mut open: usize = metadata.topics()[0].partitions().len();
    let mut all = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        all.add_partition_offset(topic, partition.id(), Offset::Beginning)
            .expect("a partition has an offset");
    }
    consumer.assign(&all).expect("partitions can be assigned");
    let mut log = Vec::new();
    while open > 0 {
        match consumer.poll(PATIENCE).expect("the log is read to its end in time") {
            Ok(message) => log.push(Logged {
                topic: topic.to_owned(),
                timestamp: message.timestamp().to_millis(),
                partition: message.partition(),
                offset: message.offset(),
                key: message.key().map(<[u8]>::to_vec),
                payload: message.payload().map(<[u8]>::to_vec),
                headers: message.headers().map_or_else(Vec::new, |headers| {
                    headers.iter().map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec))).collect()
                }),
            }),
            Err(KafkaError::PartitionEOF(_)) => open -= 1,
            // The broker that was restarted by a test, or a topic whose leader is being chosen.
            Err(KafkaError::MessageConsumption(
                RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::NotLeaderForPartition,
            )) => {}
            Err(error) => panic!("the log cannot be read: {error}"),
        }
    }
    log.sort_by_key(|logged| (logged.partition, logged.offset));
    log
}
