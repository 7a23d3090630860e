//! The usual line: a service on PostgreSQL, two relays beside it, Kafka, a consumer.
//!
//! Needs PostgreSQL and Kafka, which `tests/run` starts and stops. It makes a database and topics of its own.
//! ```sh
//! tests/run -- cargo run --example postgres_to_kafka
//! ```
//! prints
//! ```text
//! 10 accounts, 1000 transfers from 8 tasks at once
//! 2000 events received, each account's in the order of its commits
//! ```
#![expect(clippy::print_stdout, reason = "an example prints what it does")]

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use eventferry::publish::kafka::KafkaPublisher;
use eventferry::relay::Relay;
use eventferry::store::postgres::PostgresStore;
use eventferry::{IncomingMessage, OutboxEvent, TableName, define_outbox};
use eventferry_examples::exit;
use eventferry_examples::sandbox::Sandbox;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "bank-accounts", aggregate_type = "account")]
struct Booked {
    #[outbox(aggregate_id)]
    account: i32,
    /// How many bookings the account has, this one included: proof of the order, and no more than that.
    number: i64,
}

define_outbox! {
    /// What the bank publishes.
    type BankEvents;

    /// One event of the bank.
    #[derive(Debug)]
    enum BankEvent { Booked }
}

/// Moves money between two accounts: both rows and both events, or nothing.
async fn transfer(pool: &PgPool, events: &BankEvents, from: i32, to: i32) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut tx = pool.begin().await?;
    let mut booked = Vec::new();
    // In one order for everybody, so that two transfers cannot wait for each other.
    for account in [from.min(to), from.max(to)] {
        let change = if account == from { -1 } else { 1 };
        let (number,) =
            sqlx::query_as("UPDATE account SET balance = balance + $2, bookings = bookings + 1 WHERE id = $1 RETURNING bookings")
                .bind(account)
                .bind(change)
                .fetch_one(&mut *tx)
                .await?;
        booked.push(events.event(Booked { account, number }));
    }
    // Last, and all at once: the locks that keep the order are then held for a moment only.
    events.enqueue_all(&mut tx, booked).await?;
    Ok(tx.commit().await?)
}

async fn run(sandbox: &Sandbox) -> Result<(), Box<dyn Error>> {
    let pool = sandbox.pool();
    PostgresStore::migrate(pool, &TableName::default()).await?;
    let accounts = "CREATE TABLE account AS SELECT id, 0::bigint AS balance, 0::bigint AS bookings FROM generate_series(0, 9) AS id";
    sqlx::query(accounts).execute(pool).await?;

    let relay = async || -> Result<_, Box<dyn Error>> {
        let publisher = KafkaPublisher::builder(sandbox.kafka()).build()?;
        Ok(Relay::builder(PostgresStore::new(pool.clone()), publisher).build()?.start().await?)
    };
    let relays = [relay().await?, relay().await?];

    println!("10 accounts, 1000 transfers from 8 tasks at once");
    let events = BankEvents::new()?;
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let (pool, events) = (pool.clone(), events.clone());
            tokio::spawn(async move {
                for n in (task..1000).step_by(8) {
                    transfer(&pool, &events, n % 10, (n + 1 + n / 10 % 9) % 10).await?;
                }
                Ok::<_, Box<dyn Error + Send + Sync>>(())
            })
        })
        .collect();
    for task in tasks {
        task.await?.map_err(|error| error as Box<dyn Error>)?;
    }

    let consumer = sandbox.consumer()?;
    let (mut seen, mut bookings) = (HashSet::new(), HashMap::new());
    while seen.len() < 2000 {
        let message = tokio::time::timeout(Duration::from_mins(1), consumer.recv()).await??;
        let BankEvent::Booked(booked) = events.decode(&message)?;
        if seen.insert(message.message_id()) {
            let expected = bookings.entry(booked.account).or_insert(0);
            *expected += 1;
            if *expected != booked.number {
                return Err(format!("booking {} of account {} came as number {expected}", booked.number, booked.account).into());
            }
        }
    }
    println!("2000 events received, each account's in the order of its commits");
    for relay in relays {
        relay.stop().await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    exit(Sandbox::with(BankEvents::TOPICS, run).await)
}
