//! A broker that eventferry does not know: implement one method, and say by its errors whose fault a failure is.
//!
//! The "broker" here is a file with one line for each event. Needs nothing: the store is the one in memory.
//!
//! ```sh
//! cargo run --example custom_publisher
//! ```
//! prints
//! ```text
//! the disk is away: 3 events wait, none has lost an attempt
//! written: temperature of oven-1 is 180
//! written: temperature of oven-1 is 200
//! dead: failed to write to `temperatures`: 83 bytes, and a line has 64
//! ```
#![expect(clippy::print_stdout, reason = "an example prints what it does")]

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use eventferry::outbox::Status;
use eventferry::publish::Scope;
use eventferry::relay::Relay;
use eventferry::store::memory::MemoryStore;
use eventferry::{Delivery, Message, OutboxEvent, PublishError, PublishErrorKind, Publisher, define_outbox};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

#[derive(Debug, Serialize, Deserialize, JsonSchema, OutboxEvent)]
#[outbox(topic = "temperatures", aggregate_type = "sensor")]
struct Measured {
    #[outbox(aggregate_id)]
    sensor: String,
    degrees: i32,
}

define_outbox! {
    /// What the kitchen publishes.
    type Kitchen;

    /// One event of the kitchen.
    #[derive(Debug)]
    enum KitchenEvent { Measured }
}

/// Appends each payload to a file named after the topic.
struct Lines {
    folder: PathBuf,
    /// Counts the calls, for this program's own output.
    calls: watch::Sender<u32>,
}

impl Lines {
    fn append(&self, message: &Message) -> Result<Delivery, PublishError> {
        let topic = message.topic();
        let payload = message.payload().unwrap_or_default();
        if payload.len() > 64 {
            // It will never fit, however often it is tried: dead at once.
            let text = format!("failed to write to `{topic}`: {} bytes, and a line has 64", payload.len());
            return Err(PublishError::new(PublishErrorKind::Rejected, text));
        }
        // Nobody's fault: everything waits, nothing is counted.
        let kind = PublishErrorKind::Unavailable(Scope::Publisher);
        let away = |error: std::io::Error| PublishError::new(kind, format!("failed to write to `{topic}`")).with_source(error);
        let path = self.folder.join(topic);
        let mut file = File::options().append(true).create(true).open(path).map_err(away)?;
        file.write_all(&[payload, b"\n"].concat()).map_err(away)?;
        // `Ok` promises that the event is kept.
        file.sync_data().map_err(away)?;
        Ok(Delivery::default())
    }
}

impl Publisher for Lines {
    async fn publish(&self, message: &Message) -> Result<Delivery, PublishError> {
        let result = self.append(message);
        self.calls.send_modify(|calls| *calls += 1);
        result
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = MemoryStore::new();
    let events = Kitchen::new()?;
    let mut tx = store.begin();
    let long = "a sensor with a name that is much longer than it should be".to_owned();
    for (sensor, degrees) in [("oven-1".to_owned(), 180), ("oven-1".to_owned(), 200), (long, 7)] {
        events.enqueue(&mut tx, Measured { sensor, degrees }).await?;
    }
    tx.commit();

    let folder = std::env::temp_dir().join(format!("eventferry-custom-publisher-{}", std::process::id()));
    let calls = watch::Sender::new(0);
    let publisher = Lines { folder, calls };
    let (folder, mut called) = (publisher.folder.clone(), publisher.calls.subscribe());
    let relay = Relay::builder(store.clone(), publisher).build()?.start().await?;
    called.wait_for(|calls| *calls > 0).await?;
    let waiting = store.rows().iter().filter(|row| row.attempts == 0).count();
    println!("the disk is away: {waiting} events wait, none has lost an attempt");

    std::fs::create_dir(&folder)?;
    relay.wait_for(|stats| stats.acked == 2 && stats.dead == 1).await?;
    relay.stop().await?;
    for line in std::fs::read_to_string(folder.join("temperatures"))?.lines() {
        // Without the header `event-type` the topic's only event is meant.
        let KitchenEvent::Measured(measured) = events.decode(&Message::new("temperatures", line))?;
        println!("written: temperature of {} is {}", measured.sensor, measured.degrees);
    }
    for row in store.rows() {
        if store.status_of(row.message_id) == Some(Status::Dead) {
            println!("dead: {}", store.last_error_of(row.message_id).unwrap_or_default());
        }
    }
    Ok(std::fs::remove_dir_all(folder)?)
}
