//! What the brokers' side costs: one partition in trouble, and transactions.

use std::error::Error;
use std::time::{Duration, Instant};

use eventferry::outbox::NewRecord;
use eventferry::publish::kafka::KafkaPublisher;
use eventferry::publish::partitioner::partition_of;
use eventferry::relay::Relay;
use eventferry::store::postgres::PostgresStore;
use eventferry::{OpenTransaction, TableName};
use eventferry_tests::kafka::TestTopic;
use eventferry_tests::own_kafka::OwnKafka;
use eventferry_tests::postgres;
use sqlx::PgPool;

use super::{BYTES, floor, say};

/// The client alone, in turns with and without transactions.
pub(super) async fn transactions(kafka: &str, events: u64) -> Result<(), Box<dyn Error>> {
    for _ in 0..3 {
        floor("without transactions", KafkaPublisher::builder(kafka).build()?, kafka, events).await?;
        let publisher = KafkaPublisher::builder(kafka).transactions(Duration::from_mins(1)).build()?;
        floor("a transaction per batch", publisher, kafka, events).await?;
    }
    Ok(())
}

/// How fast three of four partitions are, by what happens to the broker of the fourth.
pub(super) async fn partitions(events: u64) -> Result<(), Box<dyn Error>> {
    const AGGREGATES: u64 = 2_000;
    let brokers = OwnKafka::builder().nodes(2).start().await.ok_or("there is no Kafka to start")?;
    let away = |n: u64| partition_of(format!("a{n}").as_bytes(), 4) == 2;
    for trouble in ["all well", "no leader", "a frozen leader", "all well"] {
        let db = postgres::fresh().await.ok_or("EVENTFERRY_PG_URL is not set")?;
        PostgresStore::migrate(&db.pool, &TableName::default()).await?;
        let topic = TestTopic::create_on(&brokers.brokers(), &[1, 1, 2, 1]).await;
        fill(&db.pool, topic.name(), events, AGGREGATES).await?;
        match trouble {
            "no leader" => brokers.kill(2).await,
            "a frozen leader" => brokers.freeze(2).await,
            _ => {}
        }
        let healthy = (0..events).filter(|n| !away(n % AGGREGATES)).count() as u64;
        let publisher = KafkaPublisher::builder(brokers.brokers()).build()?;
        let relay = Relay::builder(PostgresStore::new(db.pool.clone()), publisher).build()?;
        let start = Instant::now();
        let relay = relay.start().await?;
        relay.wait_for(|stats| stats.acked >= healthy).await?;
        say(trouble, healthy, start.elapsed())?;
        match trouble {
            "no leader" => brokers.start_again(2).await,
            "a frozen leader" => brokers.thaw(2).await,
            _ => {}
        }
        relay.wait_for(|stats| stats.acked >= events).await?;
        relay.stop().await?;
        brokers.until_brokers(2).await;
    }
    Ok(())
}

async fn fill(pool: &PgPool, topic: &str, events: u64, aggregates: u64) -> Result<(), Box<dyn Error>> {
    for start in (0..events).step_by(2_000) {
        let record = |n| NewRecord::new(topic, "thing", &format!("a{}", n % aggregates), "Happened", Some(vec![b'x'; BYTES]));
        let mut tx = pool.begin().await?;
        tx.insert(&TableName::default(), (start..(start + 2_000).min(events)).map(record).collect())
            .await?;
        tx.commit().await?;
    }
    Ok(())
}
