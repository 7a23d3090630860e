//! A relay in a process that is told to go: SIGTERM (or Ctrl-C), a drain, and no duplicates for the next one.
//!
//! Needs nothing: store and broker are in memory. It sends itself the signal in the middle of the work, as a scheduler would.
//!
//! ```sh
//! cargo run --example graceful_shutdown
//! ```
//! prints
//! ```text
//! carrying 5000 events
//! SIGTERM: stopping
//! stopped: every event that was sent is acked
//! a second relay carried the rest: 5000 sent, 0 twice
//! each walker's steps came in order
//! ```
#![expect(clippy::print_stdout, reason = "an example prints what it does")]

use std::collections::HashSet;
use std::error::Error;
use std::process::Command;

use eventferry::publish::memory::MemoryPublisher;
use eventferry::relay::Relay;
use eventferry::store::memory::MemoryStore;
use eventferry::{IncomingMessage, OutboxEvent, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

const EVENTS: u32 = 5_000;

#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "steps", aggregate_type = "walker")]
struct Step {
    #[outbox(aggregate_id)]
    walker: u32,
    number: u32,
}

define_outbox! {
    /// What walkers publish.
    type Walk;

    /// One event of a walker.
    #[derive(Debug)]
    enum WalkEvent { Step }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (store, broker, events) = (MemoryStore::new(), MemoryPublisher::new(), Walk::new()?);
    let mut tx = store.begin();
    for number in 0..EVENTS {
        let walker = number % 50;
        events.enqueue(&mut tx, Step { walker, number }).await?;
    }
    tx.commit();

    // Before the relay: a signal that comes earlier would end the process at once.
    let mut terminate = signal(SignalKind::terminate())?;
    let relay = Relay::builder(store.clone(), broker.clone()).build()?.start().await?;
    println!("carrying {EVENTS} events");
    relay.wait_for(|stats| stats.delivered > 500).await?;
    Command::new("kill").arg("-TERM").arg(std::process::id().to_string()).status()?;

    tokio::select! {
        _ = terminate.recv() => println!("SIGTERM: stopping"),
        _ = tokio::signal::ctrl_c() => println!("Ctrl-C: stopping"),
    }
    // Stops sending, waits for what is under way, records it, and hands the lanes back. Give the process time for it.
    let first = relay.stop().await?;
    if first.delivered == first.acked {
        println!("stopped: every event that was sent is acked");
    }

    // The next start of the service carries on.
    let relay = Relay::builder(store, broker.clone()).build()?.start().await?;
    relay.wait_for(|stats| first.acked + stats.acked >= EVENTS.into()).await?;
    relay.stop().await?;
    let sent = broker.messages("steps");
    let different: HashSet<_> = sent.iter().map(IncomingMessage::message_id).collect();
    let twice = sent.len() - different.len();
    println!("a second relay carried the rest: {} sent, {twice} twice", different.len());

    let mut last = [None; 50];
    for message in &sent {
        let WalkEvent::Step(step) = events.decode(message)?;
        let before = last[step.walker as usize].replace(step.number);
        if before >= Some(step.number) {
            return Err(format!("step {} of walker {} came out of order", step.number, step.walker).into());
        }
    }
    println!("each walker's steps came in order");
    Ok(())
}
