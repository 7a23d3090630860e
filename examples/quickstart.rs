//! The whole line in one program: an order and its event in one transaction, a relay, a broker, a typed consumer.
//!
//! Needs nothing: the database is a SQLite file, and librdkafka serves Kafka's own protocol inside this process.
//! ```sh
//! cargo run --example quickstart
//! ```
//! prints
//! ```text
//! committed    order 1, with its event
//! rolled back  order 2, and its event with it
//! refused      the schema of `OrderPlaced` forbids this event: `/cents` must be at least 1
//! committed    order 3 and its payment, in the transaction of the refused event
//! received     order 1: placed for 4200 cents
//! received     order 3: placed for 990 cents, then paid
//! stopped      the relay; nothing is left to send
//! ```
#![expect(clippy::print_stdout, reason = "an example prints what it does")]

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use eventferry::{OutboxEvent, TableName, define_outbox, publish::kafka::KafkaPublisher, relay::Relay, store::sqlite::SqliteStore};
use rdkafka::{ClientConfig, consumer::Consumer, consumer::StreamConsumer, mocking::MockCluster};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::{SqlitePool, SqliteTransaction, sqlite::SqliteConnectOptions};

#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
struct OrderPlaced {
    #[outbox(aggregate_id)]
    order: i64,
    #[schemars(range(min = 1))]
    cents: i64,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
struct OrderPaid {
    #[outbox(aggregate_id)]
    order: i64,
}

define_outbox! {
    /// Everything the shop publishes.
    type ShopEvents;

    /// One event of the shop, decoded.
    #[derive(Debug)]
    enum ShopEvent { OrderPlaced, OrderPaid }
}

/// Places an order: its row and its event.
async fn place(tx: &mut SqliteTransaction<'_>, events: &ShopEvents, order: i64, cents: i64) -> Result<(), Box<dyn Error>> {
    let insert = sqlx::query("INSERT INTO orders VALUES (?, ?)").bind(order).bind(cents);
    insert.execute(&mut **tx).await?;
    events.enqueue(tx, OrderPlaced { order, cents }).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::temp_dir().join(format!("eventferry-quickstart-{}.db", std::process::id()));
    let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(&file).create_if_missing(true)).await?;
    SqliteStore::migrate(&pool, &TableName::default()).await?;
    let create = sqlx::query("CREATE TABLE orders (id INTEGER PRIMARY KEY, cents INTEGER)");
    create.execute(&pool).await?;
    let kafka = MockCluster::new(1)?;
    kafka.create_topic("orders", 3, 1)?;

    // The producer: rows and events in one transaction.
    let events = ShopEvents::new()?;
    let mut tx = pool.begin().await?;
    place(&mut tx, &events, 1, 4200).await?;
    tx.commit().await?;
    println!("committed    order 1, with its event");

    let mut tx = pool.begin().await?;
    place(&mut tx, &events, 2, 100).await?;
    tx.rollback().await?;
    println!("rolled back  order 2, and its event with it");

    let mut tx = pool.begin().await?;
    if let Err(refused) = events.enqueue(&mut tx, OrderPlaced { order: 3, cents: 0 }).await {
        println!("refused      {refused}");
    }
    place(&mut tx, &events, 3, 990).await?;
    events.enqueue(&mut tx, OrderPaid { order: 3 }).await?;
    tx.commit().await?;
    println!("committed    order 3 and its payment, in the transaction of the refused event");

    // The relay: here in the same process, usually in one of its own.
    let publisher = KafkaPublisher::builder(kafka.bootstrap_servers()).build()?;
    let relay = Relay::builder(SqliteStore::new(pool.clone()), publisher).build()?.start().await?;

    // The consumer: knows the same set of events, and nothing of the database.
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka.bootstrap_servers())
        .set("group.id", "billing")
        .set("auto.offset.reset", "earliest")
        .create()?;
    consumer.subscribe(ShopEvents::TOPICS)?;
    let mut stories = BTreeMap::<i64, Vec<String>>::new();
    for _ in 0..3 {
        let message = tokio::time::timeout(Duration::from_secs(30), consumer.recv()).await??;
        let (order, story) = match events.decode(&message)? {
            ShopEvent::OrderPlaced(event) => (event.order, format!("placed for {} cents", event.cents)),
            ShopEvent::OrderPaid(event) => (event.order, "paid".to_owned()),
        };
        stories.entry(order).or_default().push(story);
    }
    for (order, story) in stories {
        println!("received     order {order}: {}", story.join(", then "));
    }
    relay.stop().await?;
    println!("stopped      the relay; nothing is left to send");
    Ok(std::fs::remove_file(file)?)
}
