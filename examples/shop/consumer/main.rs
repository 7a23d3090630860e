//! Reads what the shop publishes until it has seen so many orders. It shares the events with the producer, and has neither sqlx nor a schema
//! validator in its dependencies.
#![expect(clippy::print_stdout, reason = "a command line program")]

use std::collections::{BTreeMap, HashSet};
use std::error::Error;

use eventferry::IncomingMessage;
use rdkafka::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use shop_events::{ShopEvent, ShopEvents};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let orders: usize = std::env::args().nth(1).ok_or("say how many orders")?.parse()?;
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", std::env::var("EVENTFERRY_KAFKA")?)
        .set("group.id", "billing")
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()?;
    consumer.subscribe(ShopEvents::TOPICS)?;

    let events = ShopEvents::new()?;
    let (mut seen, mut totals, mut paid) = (HashSet::new(), BTreeMap::new(), 0);
    while totals.len() < orders || paid < orders / 2 {
        let message = consumer.recv().await?;
        // Once each: a consumer with a database would ask `Inbox::accept` in its transaction.
        if !seen.insert(message.message_id()) {
            continue;
        }
        match events.decode(&message) {
            Ok(ShopEvent::OrderPlaced(placed)) => {
                totals.insert(placed.order_id, placed.total_cents);
            }
            // Never before its order: one aggregate's events come in the order of their commits.
            Ok(ShopEvent::OrderPaid(order)) if totals.contains_key(&order.order_id) => paid += 1,
            Ok(other) => return Err(format!("{other:?} came before its order").into()),
            // Somebody else's event on a shared topic, or one that is newer than this program.
            Err(error) if error.is_unknown() => {}
            Err(error) => return Err(error.into()),
        }
        consumer.commit_message(&message, CommitMode::Async)?;
    }
    println!(
        "{} orders over {} cents, {paid} of them paid",
        totals.len(),
        totals.values().sum::<u64>()
    );
    Ok(())
}
