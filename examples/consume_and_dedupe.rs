//! A consumer that handles each event once, although the broker may bring it twice: the inbox.
//!
//! The consumer remembers the message's id in the transaction of its own change, so that both commit or neither does. Needs nothing: the
//! consumer's database is a SQLite file, and librdkafka serves Kafka's protocol inside this process.
//!
//! ```sh
//! cargo run --example consume_and_dedupe
//! ```
//! prints
//! ```text
//! kettle: First, 2 in stock now
//! kettle: Duplicate, 2 in stock now
//! kettle: First, 5 in stock now
//! a message of somebody else: skipped, the set has no such event
//! ```
#![expect(clippy::print_stdout, reason = "an example prints what it does")]

use std::error::Error;
use std::time::Duration;

use eventferry::consume::Inbox;
use eventferry::publish::kafka::KafkaPublisher;
use eventferry::store::sqlite::SqliteStore;
use eventferry::{Message, OutboxEvent, Publisher, TableName, define_outbox};
use rdkafka::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::mocking::MockCluster;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;

#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "deliveries", aggregate_type = "article")]
struct Delivered {
    #[outbox(aggregate_id)]
    article: String,
    pieces: i64,
}

define_outbox! {
    /// What suppliers publish.
    type SupplierEvents;

    /// One event of a supplier.
    #[derive(Debug)]
    enum SupplierEvent { Delivered }
}

/// What a relay would send.
fn message(id: &str, event: &str, payload: &str) -> Message {
    Message::new("deliveries", payload)
        .with_key("kettle")
        .with_header("message-id", id)
        .with_header("event-type", event)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let kafka = MockCluster::new(1)?;
    kafka.create_topic("deliveries", 1, 1)?;
    let publisher = KafkaPublisher::builder(kafka.bootstrap_servers()).build()?;
    let first = message(
        "018f6b1e-0000-7000-8000-000000000001",
        "Delivered",
        r#"{"article":"kettle","pieces":2}"#,
    );
    let second = message(
        "018f6b1e-0000-7000-8000-000000000002",
        "Delivered",
        r#"{"article":"kettle","pieces":3}"#,
    );
    let foreign = message("018f6b1e-0000-7000-8000-000000000003", "PriceChanged", "{}");
    // The first one twice, as after the crash of a relay.
    for message in [&first, &first, &second, &foreign] {
        publisher.publish(message).await?;
    }

    let file = std::env::temp_dir().join(format!("eventferry-dedupe-{}.db", std::process::id()));
    let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(&file).create_if_missing(true)).await?;
    SqliteStore::migrate(&pool, &TableName::default()).await?;
    sqlx::query("CREATE TABLE stock (article TEXT PRIMARY KEY, pieces INTEGER)")
        .execute(&pool)
        .await?;

    let events = SupplierEvents::new()?;
    let inbox = Inbox::new("stock-keeper");
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap_servers())
        .set("group.id", "stock-keeper")
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()?;
    consumer.subscribe(SupplierEvents::TOPICS)?;
    for _ in 0..4 {
        let message = tokio::time::timeout(Duration::from_secs(30), consumer.recv()).await??;
        let SupplierEvent::Delivered(delivered) = match events.decode(&message) {
            Err(error) if error.is_unknown() => {
                println!("a message of somebody else: skipped, the set has no such event");
                continue;
            }
            decoded => decoded?,
        };
        let mut tx = pool.begin().await?;
        let accepted = inbox.accept(&mut tx, &message).await?;
        if accepted.is_first() {
            let add = sqlx::query("INSERT INTO stock VALUES (?1, ?2) ON CONFLICT DO UPDATE SET pieces = pieces + ?2");
            add.bind(&delivered.article).bind(delivered.pieces).execute(&mut *tx).await?;
        }
        let (pieces,): (i64,) = sqlx::query_as("SELECT pieces FROM stock").fetch_one(&mut *tx).await?;
        tx.commit().await?;
        // Only now: a crash before this line brings the message again, and the inbox knows it.
        consumer.commit_message(&message, CommitMode::Async)?;
        println!("{}: {accepted:?}, {pieces} in stock now", delivered.article);
    }
    pool.close().await;
    Ok(std::fs::remove_file(file)?)
}
