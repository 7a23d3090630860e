//! Places orders and pays every second one. Each order is one transaction: its row and its events. A relay in the same process carries them.
//!
//! ```sh
//! tests/run -- bash -c 'cargo run -p shop-producer -- 100 && cargo run -p shop-consumer -- 100'
//! ```
#![expect(clippy::print_stdout, reason = "a command line program")]

use std::error::Error;

use eventferry::TableName;
use eventferry::publish::kafka::KafkaPublisher;
use eventferry::relay::Relay;
use eventferry::store::postgres::PostgresStore;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use shop_events::{OrderId, OrderPaid, OrderPlaced, ShopEvents};
use sqlx::PgPool;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let orders: u64 = std::env::args().nth(1).ok_or("say how many orders")?.parse()?;
    let pool = PgPool::connect(&std::env::var("EVENTFERRY_PG_URL")?).await?;
    let brokers = std::env::var("EVENTFERRY_KAFKA")?;

    // What a migration and an operator would have done.
    let table = TableName::new("shop.outbox")?;
    sqlx::query("CREATE SCHEMA IF NOT EXISTS shop").execute(&pool).await?;
    sqlx::query("CREATE TABLE IF NOT EXISTS shop.orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, total_cents bigint NOT NULL)")
        .execute(&pool)
        .await?;
    PostgresStore::migrate(&pool, &table).await?;
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", &brokers).create()?;
    let topics = ShopEvents::TOPICS
        .iter()
        .map(|topic| NewTopic::new(topic, 4, TopicReplication::Fixed(1)));
    // One that is there already is as good.
    admin.create_topics(&topics.collect::<Vec<_>>(), &AdminOptions::new()).await?;

    let store = PostgresStore::new(pool.clone()).table(table.clone());
    let relay = Relay::builder(store, KafkaPublisher::builder(brokers).build()?)
        .build()?
        .start()
        .await?;
    let events = ShopEvents::new()?.table(table);
    let mut written = 0;
    for n in 1..=orders {
        let mut tx = pool.begin().await?;
        let total_cents = n * 10;
        let (id,): (i64,) = sqlx::query_as("INSERT INTO shop.orders (total_cents) VALUES ($1) RETURNING id")
            .bind(i64::try_from(total_cents)?)
            .fetch_one(&mut *tx)
            .await?;
        let order_id = OrderId(u64::try_from(id)?);
        let placed = OrderPlaced {
            order_id,
            total_cents,
            tenant: Some("berlin".to_owned()),
            receipt_to: Some(format!("customer-{n}@shop.example")),
        };
        let mut drafts = vec![events.event(placed)];
        if n % 2 == 0 {
            drafts.push(events.event(OrderPaid { order_id }));
        }
        written += events.enqueue_all(&mut tx, drafts).await?.len() as u64;
        tx.commit().await?;
    }
    relay.wait_for(|stats| stats.acked >= written).await?;
    relay.stop().await?;
    println!("{orders} orders placed, {written} events sent");
    Ok(())
}
