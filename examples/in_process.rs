//! A service without a broker: what it commits is handled in its own process, at least once, and booked exactly once.
//!
//! The relay carries each event to the handler of its type. A handler that fails is called again, and the inbox knows what it has done
//! already; an event that can never be handled stays in the table, dead, with the reason. Needs nothing: the database is a SQLite file.
//! ```sh
//! cargo run --example in_process
//! ```
//! prints
//! ```text
//! committed  order 1
//! booked     order 1: 4200 cents; but the handler fails after its commit
//! skipped    order 1: it is booked already
//! committed  a cancellation of order 1
//! dead       OrderCancelled: failed to handle `OrderCancelled` of topic `orders`: order 1 has been shipped
//! turnover   4200 cents
//! ```
#![expect(clippy::print_stdout, reason = "an example prints what it does")]

use std::error::Error;
use std::time::Duration;

use eventferry::consume::{Accepted, HandlerContext, HandlerError, Handlers, Inbox};
use eventferry::relay::Relay;
use eventferry::store::sqlite::SqliteStore;
use eventferry::{OutboxEvent, RetryPolicy, TableName, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};

#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
struct OrderPlaced {
    #[outbox(aggregate_id)]
    order: i64,
    cents: i64,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "orders", aggregate_type = "order")]
struct OrderCancelled {
    #[outbox(aggregate_id)]
    order: i64,
}

define_outbox! {
    /// Everything that happens in the shop.
    type ShopEvents;
    /// One event of the shop.
    enum ShopEvent { OrderPlaced, OrderCancelled }
}

/// Books an order, once: the inbox remembers the event in the transaction of the booking.
async fn book(pool: SqlitePool, event: OrderPlaced, ctx: HandlerContext) -> Result<(), HandlerError> {
    let OrderPlaced { order, cents } = event;
    let mut tx = pool.begin().await?;
    if Inbox::new("bookkeeping").accept(&mut tx, &ctx).await? == Accepted::Duplicate {
        println!("skipped    order {order}: it is booked already");
        return Ok(());
    }
    let insert = sqlx::query("INSERT INTO bookings VALUES (?, ?)").bind(order).bind(cents);
    insert.execute(&mut *tx).await?;
    tx.commit().await?;
    println!("booked     order {order}: {cents} cents; but the handler fails after its commit");
    // Any error is one more attempt; so would be a panic, and the end of the process.
    Err("the receipt was not printed")?
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::temp_dir().join(format!("eventferry-in-process-{}.db", std::process::id()));
    let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let options = options.journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePool::connect_with(options.clone()).await?;
    SqliteStore::migrate(&pool, &TableName::default()).await?;
    let create = sqlx::query("CREATE TABLE bookings (id INTEGER PRIMARY KEY, cents INTEGER)");
    create.execute(&pool).await?;

    // The handlers: the argument says of which event. A closure that captures nothing can be an async one.
    let (events, books) = (ShopEvents::new()?, pool.clone());
    let handlers = Handlers::new(events.clone())
        .on(move |event: OrderPlaced, ctx| book(books.clone(), event, ctx))
        .on(async |event: OrderCancelled, _ctx| Err(HandlerError::rejected(format!("order {} has been shipped", event.order))))
        .build()?;
    // The relay has connections of its own, which no handler can use up.
    let own = SqlitePool::connect_with(options).await?;
    let again = RetryPolicy::fixed(Duration::from_millis(20));
    let relay = Relay::builder(SqliteStore::new(own.clone()), handlers)
        .retry(again)
        .build()?
        .start()
        .await?;
    let waker = relay.waker();

    let mut tx = pool.begin().await?;
    events.enqueue(&mut tx, OrderPlaced { order: 1, cents: 4200 }).await?;
    println!("committed  order 1");
    tx.commit().await?;
    waker.wake(); // spares the wait for the next poll
    relay.wait_for(|stats| stats.acked == 1).await?;

    let mut tx = pool.begin().await?;
    events.enqueue(&mut tx, OrderCancelled { order: 1 }).await?;
    println!("committed  a cancellation of order 1");
    tx.commit().await?;
    waker.wake();
    relay.wait_for(|stats| stats.dead == 1).await?;
    relay.stop().await?;

    let dead = sqlx::query_as("SELECT event_type, last_error FROM outbox WHERE status = 4");
    let (event, reason): (String, String) = dead.fetch_one(&pool).await?;
    println!("dead       {event}: {reason}");
    let (turnover,): (i64,) = sqlx::query_as("SELECT sum(cents) FROM bookings").fetch_one(&pool).await?;
    println!("turnover   {turnover} cents");
    own.close().await;
    pool.close().await;
    Ok(std::fs::remove_file(file)?)
}
