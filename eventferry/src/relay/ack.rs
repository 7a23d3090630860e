//! The writing stage: acks and verdicts, one statement at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::core::{Fact, WriteCommand};
use super::observe::Outage;
use crate::store::{RelayId, Retention, Store};

/// In leases. A commit that waits for synchronous replication goes on waiting in the server when its client has given up, so whoever gives up
/// quickly and comes again uses up the server's connections.
const WRITE_PATIENCE: u32 = 4;

pub(super) async fn run<S: Store>(
    store: Arc<S>,
    id: RelayId,
    lease: Duration,
    retention: Retention,
    mut commands: mpsc::UnboundedReceiver<WriteCommand>,
    facts: mpsc::UnboundedSender<Fact>,
) {
    let patience = lease * WRITE_PATIENCE;
    let (mut acks, mut failures) = (Outage::new("record deliveries", patience), Outage::new("record failures", patience));
    while let Some(command) = commands.recv().await {
        let fact = match command {
            WriteCommand::Ack(rows) => Fact::Acked {
                locked: acks.ask(store.done(&rows, retention)).await,
            },
            WriteCommand::Judge(verdicts) => {
                let outcomes = failures.ask(store.fail(id, &verdicts)).await;
                Fact::Judged { verdicts, outcomes }
            }
        };
        if facts.send(fact).is_err() {
            return;
        }
    }
}
