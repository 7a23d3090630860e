//! The lease stage: heartbeats, taking and handing back lanes, on a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::core::{Fact, LeaseCommand, Now};
use super::observe::Outage;
use crate::store::{RelayId, Store};

pub(super) async fn run<S: Store>(
    store: Arc<S>,
    id: RelayId,
    lease: Duration,
    mut commands: mpsc::UnboundedReceiver<(Now, LeaseCommand)>,
    facts: mpsc::UnboundedSender<Fact>,
) {
    let mut outage = Outage::new("hold the relay's lanes", lease / 2);
    while let Some((asked_at, command)) = commands.recv().await {
        let fact = match command {
            LeaseCommand::Renew(held, doing) => match outage.ask(store.renew(id, &held, doing)).await {
                Some(answer) => Fact::Renewed { asked_at, held, answer },
                None => Fact::LeaseCallFailed,
            },
            LeaseCommand::Take(limit) => match outage.ask(store.take(id, limit)).await {
                Some(lanes) => Fact::Taken { asked_at, lanes },
                None => Fact::LeaseCallFailed,
            },
            LeaseCommand::TakeGroups { groups, size, limit } => match outage.ask(store.take_groups(id, &groups, size, limit)).await {
                Some(lanes) => Fact::Taken { asked_at, lanes },
                None => Fact::LeaseCallFailed,
            },
            LeaseCommand::Release(lanes) => {
                // Unreleased lanes are free when their leases are over.
                outage.ask(store.release(id, &lanes)).await;
                continue;
            }
            LeaseCommand::Forgive(lanes) => {
                // At worst the next owner is careful for nothing.
                outage.ask(store.forgive(id, &lanes)).await;
                continue;
            }
            LeaseCommand::Close => {
                outage.ask(store.close(id)).await;
                continue;
            }
        };
        if facts.send(fact).is_err() {
            return;
        }
    }
}
