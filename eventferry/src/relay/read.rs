//! The reading stage: one task, one statement at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::core::{Fact, Loaded, ReadCommand};
use super::observe::Outage;
use crate::store::Store;

pub(super) async fn run<S: Store>(
    store: Arc<S>,
    lease: Duration,
    mut commands: mpsc::UnboundedReceiver<ReadCommand>,
    facts: mpsc::UnboundedSender<Fact>,
) {
    let mut outage = Outage::new("read the outbox", lease);
    while let Some(command) = commands.recv().await {
        let fact = match command {
            ReadCommand::Lanes { number, snapshot, lanes } => {
                let batch = outage.ask(store.read(snapshot.as_ref(), &lanes)).await;
                Fact::Read { number, batch }
            }
            ReadCommand::Skim { number, lanes } => Fact::Skimmed {
                number,
                found: outage.ask(store.skim(&lanes)).await,
            },
            ReadCommand::Aggregates { number, wanted, limit } => {
                let rows = outage.ask(store.read_aggregates(&wanted, limit)).await;
                Fact::Aggregates { number, rows }
            }
            ReadCommand::Due { number, lanes, limit } => Fact::Due {
                number,
                rows: outage.ask(store.read_due(&lanes, limit)).await,
            },
            ReadCommand::Payload { row, key } => {
                let payload = match outage.ask(store.read_payload(row)).await {
                    None => Loaded::Failed,
                    Some(None) => Loaded::Gone,
                    Some(Some(bytes)) => Loaded::Payload(bytes),
                };
                Fact::Loaded { row, key, payload }
            }
        };
        if facts.send(fact).is_err() {
            return;
        }
    }
}
