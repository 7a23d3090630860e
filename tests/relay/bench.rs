//! How fast the relay drains a backlog here, beside what the broker's client alone does in the same run.
//!
//! `tests/run -- cargo run --release -p eventferry-tests --all-features --bin relay-bench [EVENTS]`. Compare the lines of one run with each
//! other; figures of different machines, or of different hours of one machine, say nothing.
//!
//! In place of EVENTS: `latency [SECONDS]` of one healthy aggregate beside millions of rows that wait, `held [EVENTS]` for the rate beside a
//! transaction held open and rows that wait, `purge` of a million rows while events flow. These start a PostgreSQL of their own, with fsync.
//! `partitions [EVENTS]` for the rate of three partitions while a fourth has no leader or a frozen one, on two brokers of its own; `refused
//! [EVENTS]` for the rate of all others while one event in a hundred is more than its topic takes; `transactions [EVENTS]` for the client
//! alone with and without them.

mod brokers;
mod load;

use std::error::Error;
use std::time::{Duration, Instant};

use eventferry::outbox::NewRecord;
use eventferry::publish::kafka::KafkaPublisher;
use eventferry::publish::partitioner::partition_of;
use eventferry::publish::{Pipelined, Seat};
use eventferry::relay::Relay;
use eventferry::store::postgres::PostgresStore;
use eventferry::{Message, OpenTransaction, Retention, TableName};
use eventferry_tests::kafka::TestTopic;
use eventferry_tests::{postgres, servers};

const BYTES: usize = 500;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let kafka = servers::require("kafka").ok_or("EVENTFERRY_KAFKA is not set")?;
    let mut args = std::env::args().skip(1);
    let (what, count) = (args.next(), args.next().map(|n| n.parse()).transpose()?);
    let events: u64 = match what.as_deref() {
        None => 200_000,
        Some("latency") => return load::latency(&kafka, count.unwrap_or(50)).await,
        Some("held") => return load::held(&kafka, count.unwrap_or(200_000)).await,
        Some("purge") => return load::purge(&kafka).await,
        Some("partitions") => return brokers::partitions(count.unwrap_or(400_000)).await,
        Some("refused") => return brokers::refused(&kafka, count.unwrap_or(200_000)).await,
        Some("transactions") => return brokers::transactions(&kafka, count.unwrap_or(100_000)).await,
        Some(events) => events.parse()?,
    };
    let alone = KafkaPublisher::builder(&kafka).build()?;
    floor("floor: the client alone, 12 partitions", alone, &kafka, events).await?;
    for (label, aggregates, partitions, retention) in [
        ("10,000 aggregates, 1 partition, delete", 10_000, 1, Retention::Delete),
        ("1 aggregate, 1 partition, delete", 1, 1, Retention::Delete),
        ("10,000 aggregates, 12 partitions, delete", 10_000, 12, Retention::Delete),
        ("10,000 aggregates, 12 partitions, keep", 10_000, 12, Retention::default()),
    ] {
        let seconds = drain(&kafka, events, aggregates, partitions, retention).await?;
        say(label, events, seconds)?;
    }
    Ok(())
}

fn say(label: &str, events: u64, time: Duration) -> load::Outcome {
    let rate = u128::from(events) * 1_000_000 / time.as_micros().max(1);
    load::say(&format!("{label}: {events} events in {:.2} s, {rate} a second", time.as_secs_f64()))
}

/// The client alone: the same messages, from memory, through one session.
async fn floor(label: &str, publisher: KafkaPublisher, kafka: &str, events: u64) -> Result<(), Box<dyn Error>> {
    let topic = TestTopic::create(kafka, 12, &[]).await;
    let mut session = publisher.open(Seat::new("", 0)).await?;
    let start = Instant::now();
    let (mut sent, mut back) = (0, 0);
    while back < events {
        while sent < events && sent - back < 10_000 {
            let key = format!("a{}", sent % 10_000);
            let message = Message::new(topic.name(), vec![b'x'; BYTES]).with_key(key.clone());
            if session.hand_over(sent, partition_of(key.as_bytes(), 12), message).is_err() {
                break;
            }
            sent += 1;
        }
        back += session.reports().await.len() as u64;
    }
    say(label, events, start.elapsed())?;
    drop(session.close().await);
    Ok(())
}

async fn drain(kafka: &str, events: u64, aggregates: u64, partitions: i32, retention: Retention) -> Result<Duration, Box<dyn Error>> {
    let db = postgres::fresh().await.ok_or("EVENTFERRY_PG_URL is not set")?;
    PostgresStore::migrate(&db.pool, &TableName::default()).await?;
    let topic = TestTopic::create(kafka, partitions, &[]).await;
    for start in (0..events).step_by(2_000) {
        let records = (start..(start + 2_000).min(events))
            .map(|n| {
                NewRecord::new(
                    topic.name(),
                    "thing",
                    &format!("a{}", n % aggregates),
                    "Happened",
                    Some(vec![b'x'; BYTES]),
                )
            })
            .collect();
        let mut tx = db.pool.begin().await?;
        tx.insert(&TableName::default(), records).await?;
        tx.commit().await?;
    }
    let store = PostgresStore::new(db.pool.clone());
    let relay = Relay::builder(store, KafkaPublisher::builder(kafka).build()?)
        .retention(retention)
        .build()?;
    let start = Instant::now();
    let relay = relay.start().await?;
    relay.wait_for(|stats| stats.acked >= events).await?;
    let time = start.elapsed();
    let stats = relay.stop().await?;
    if stats.strays != 0 {
        return Err(format!("{} strays", stats.strays).into());
    }
    Ok(time)
}
