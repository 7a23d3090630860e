//! A database and topics for an example that needs real servers, so that it can be run on servers in use without touching anything of theirs.

use std::error::Error;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use uuid::Uuid;

use crate::address;

/// How long a question to the broker may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many partitions a topic gets that is made here.
const PARTITIONS: i32 = 6;

/// A fresh database, and topics read from where they ended when the example began.
#[derive(Debug)]
pub struct Sandbox {
    name: String,
    pool: PgPool,
    brokers: String,
    start: TopicPartitionList,
}

impl Sandbox {
    /// Runs `body` with a fresh database on `EVENTFERRY_PG_URL` and topics on `EVENTFERRY_KAFKA`, and drops the database, however `body` ends.
    ///
    /// # Errors
    /// What `body` answers, or which server could not be reached and why.
    pub async fn with(topics: &[&str], body: impl AsyncFnOnce(&Self) -> Result<(), Box<dyn Error>>) -> Result<(), Box<dyn Error>> {
        let (url, brokers) = (address("EVENTFERRY_PG_URL")?, address("EVENTFERRY_KAFKA")?);
        // A malformed address is shown to nobody: it may hold a password.
        let options: PgConnectOptions = url
            .parse()
            .map_err(|_| "EVENTFERRY_PG_URL is not an address such as `postgres://user@host:5432/database`")?;
        let start = topics_of(&brokers, topics)
            .await
            .map_err(|e| Failed(format!("failed to prepare topics on Kafka at `{brokers}`"), e))?;
        let at = format!("{}:{}", options.get_host(), options.get_port());
        // One connection and no pool: a pool would try again until its time is up, and then not say why.
        let server = PgConnection::connect_with(&options).await;
        let mut server = server.map_err(|e| Failed(format!("failed to connect to PostgreSQL at `{at}`"), Box::new(e)))?;
        let name = format!("example_{}", Uuid::now_v7().simple());
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut server)
            .await?;
        let pool = PgPoolOptions::new().max_connections(20).connect_lazy_with(options.database(&name));
        let sandbox = Self {
            name,
            pool,
            brokers,
            start,
        };
        let result = body(&sandbox).await;
        sandbox.pool.close().await;
        // FORCE: a relay that an error left running has connections of its own.
        sqlx::query(AssertSqlSafe(format!("DROP DATABASE {} WITH (FORCE)", sandbox.name)))
            .execute(&mut server)
            .await?;
        result
    }

    /// The name of the fresh database, which no other run has.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Connections to the fresh database.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The brokers' address.
    pub fn kafka(&self) -> &str {
        &self.brokers
    }

    /// A consumer of all partitions, from where they ended when the example began.
    ///
    /// # Errors
    /// If the client cannot be made.
    pub fn consumer(&self) -> Result<StreamConsumer, Box<dyn Error>> {
        let consumer: StreamConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("group.id", &self.name)
            .set("enable.auto.commit", "false")
            .create()?;
        consumer.assign(&self.start)?;
        Ok(consumer)
    }
}

/// Says where each partition ends, and makes the topics that are missing.
async fn topics_of(brokers: &str, topics: &[&str]) -> Result<TopicPartitionList, Box<dyn Error>> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", "none");
    let consumer: BaseConsumer = config.create()?;
    let wanted: Vec<_> = topics.iter().map(|&topic| topic.to_owned()).collect();
    let mut start = tokio::task::spawn_blocking(move || ends_of(&consumer, &wanted)).await??;

    let missing: Vec<_> = topics.iter().filter(|topic| start.elements_for_topic(topic).is_empty()).collect();
    let new: Vec<_> = missing
        .iter()
        .map(|topic| NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1)))
        .collect();
    if new.is_empty() {
        return Ok(start);
    }
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    for made in admin
        .create_topics(&new, &AdminOptions::new().operation_timeout(Some(PATIENCE)))
        .await?
    {
        match made {
            // Another example may have been quicker.
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(Failed(format!("topic `{topic}` was not made"), Box::new(code)).into()),
        }
    }
    for topic in missing {
        for partition in 0..PARTITIONS {
            start.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
    }
    Ok(start)
}

fn ends_of(consumer: &BaseConsumer, topics: &[String]) -> KafkaResult<TopicPartitionList> {
    let mut ends = TopicPartitionList::new();
    // All topics: to ask for one that is missing makes the client expect it.
    let metadata = consumer.fetch_metadata(None, PATIENCE)?;
    for topic in metadata
        .topics()
        .iter()
        .filter(|topic| topics.iter().any(|name| name == topic.name()))
    {
        for partition in topic.partitions() {
            let end = end_of(consumer, topic.name(), partition.id())?;
            ends.add_partition_offset(topic.name(), partition.id(), Offset::Offset(end))?;
        }
    }
    Ok(ends)
}

/// A partition that somebody has just made has no leader for a moment.
fn end_of(consumer: &BaseConsumer, topic: &str, partition: i32) -> KafkaResult<i64> {
    let until = Instant::now() + PATIENCE;
    loop {
        match consumer.fetch_watermarks(topic, partition, PATIENCE) {
            Ok((_, end)) => return Ok(end),
            // The client asks anew who leads it.
            Err(error) if Instant::now() < until && has_no_leader_yet(&error) => drop(consumer.fetch_metadata(Some(topic), PATIENCE)?),
            Err(error) => return Err(error),
        }
    }
}

fn has_no_leader_yet(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::NotLeaderForPartition | RDKafkaErrorCode::LeaderNotAvailable | RDKafkaErrorCode::UnknownTopicOrPartition)
    )
}

/// What was attempted, and its cause.
#[derive(Debug)]
struct Failed(String, Box<dyn Error>);

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Failed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.1)
    }
}
