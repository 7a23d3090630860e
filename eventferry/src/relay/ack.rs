//! The writing stage: acks and verdicts, one statement at a time.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::core::{Fact, WriteCommand};
use super::observe::Outage;
use crate::store::{RelayId, Retention, Store};

pub(super) async fn run<S: Store>(
    store: Arc<S>,
    id: RelayId,
    retention: Retention,
    mut commands: mpsc::UnboundedReceiver<WriteCommand>,
    facts: mpsc::UnboundedSender<Fact>,
) {
    let mut outage = Outage::new("record deliveries");
    while let Some(command) = commands.recv().await {
        let fact = match command {
            WriteCommand::Ack(rows) => Fact::Acked {
                ok: outage.note(store.done(&rows, retention).await).is_some(),
            },
            WriteCommand::Judge(verdicts) => {
                let outcomes = outage.note(store.fail(id, &verdicts).await);
                Fact::Judged { verdicts, outcomes }
            }
        };
        if facts.send(fact).is_err() {
            return;
        }
    }
}
