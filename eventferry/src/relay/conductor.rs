//! The one task in which all facts meet: it asks the core what to do and passes that on to the stages.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::config::RelayConfig;
use super::core::{Command, Core, Fact, LeaseCommand, Now, PublishCommand, ReadCommand, Stats, WriteCommand};
use super::{ack, lanes, maintain, observe, publish, read};
use crate::publish::Publisher;
use crate::store::{Opened, RelayId, Store};

/// Facts taken in before the core decides: acks and deliveries come in bursts.
const FACTS: usize = 1024;
/// How long the last statement of a stopping relay may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// Where commands go; dropping it ends every stage when it has done what it was told.
pub(super) struct Stages {
    read: mpsc::UnboundedSender<ReadCommand>,
    write: mpsc::UnboundedSender<WriteCommand>,
    lease: mpsc::UnboundedSender<(Now, LeaseCommand)>,
    publish: mpsc::UnboundedSender<PublishCommand>,
    tasks: JoinSet<()>,
    maintenance: JoinSet<()>,
}

impl Stages {
    pub(super) fn new<S: Store, P: Publisher>(
        store: Arc<S>,
        publisher: Arc<P>,
        id: RelayId,
        opened: &Opened,
        config: &RelayConfig,
        facts: &mpsc::UnboundedSender<Fact>,
    ) -> Self {
        let (read, reads) = mpsc::unbounded_channel();
        let (write, writes) = mpsc::unbounded_channel();
        let (lease, leases) = mpsc::unbounded_channel();
        let (publish, sends) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(read::run(store.clone(), opened.lease, reads, facts.clone()));
        tasks.spawn(ack::run(store.clone(), id, opened.lease, config.retention, writes, facts.clone()));
        tasks.spawn(lanes::run(store.clone(), id, opened.lease, leases, facts.clone()));
        tasks.spawn(publish::run(
            publisher,
            opened.outbox.as_str().into(),
            config.deadline,
            sends,
            facts.clone(),
        ));
        let mut maintenance = JoinSet::new();
        maintenance.spawn(maintain::run(store, opened.lease, config.retention));
        Self {
            read,
            write,
            lease,
            publish,
            tasks,
            maintenance,
        }
    }

    fn dispatch(&self, now: Now, command: Command) {
        let sent = match command {
            Command::Read(command) => self.read.send(command).is_ok(),
            Command::Write(command) => self.write.send(command).is_ok(),
            Command::Lease(command) => self.lease.send((now, command)).is_ok(),
            Command::Publish(command) => self.publish.send(command).is_ok(),
            Command::Tell(notice) => {
                observe::tell(&notice);
                true
            }
        };
        // A stage ends only after its sender is dropped, or by a panic, which `conduct` passes on.
        debug_assert!(sent, "a stage of the relay ended before its sender was dropped");
    }
}

pub(super) async fn conduct(mut core: Core, mut inbox: mpsc::UnboundedReceiver<Fact>, mut stages: Stages, stats: watch::Sender<Stats>) {
    let start = Instant::now();
    let mut facts = Vec::with_capacity(FACTS);
    while !core.is_closed() {
        let deadline = start + core.next_turn().min(start.elapsed() + Duration::from_mins(1));
        tokio::select! {
            biased;
            _ = inbox.recv_many(&mut facts, FACTS) => {}
            () = sleep_until(deadline) => {}
            Some(ended) = stages.tasks.join_next() => {
                // Only a panic ends a stage early; the panic becomes this task's, so that `stop` reports it.
                if let Err(error) = ended && let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
        }
        let now = start.elapsed();
        for command in core.turn(now, facts.drain(..)) {
            stages.dispatch(now, command);
        }
        let fresh = core.stats();
        stats.send_if_modified(|old| std::mem::replace(old, fresh) != fresh);
    }
    let Stages {
        read,
        write,
        lease,
        publish,
        mut tasks,
        mut maintenance,
    } = stages;
    // A stage ends when its commands do, so every sender must be gone before the stages are waited for.
    drop((read, write, lease, publish));
    maintenance.shutdown().await;
    let farewell = async { while tasks.join_next().await.is_some() {} };
    if timeout(FAREWELL, farewell).await.is_err() {
        tracing::warn!("the relay's last statements did not end in time; its lanes are free when their leases are over");
        tasks.shutdown().await;
    }
    tracing::info!(delivered = core.stats().delivered, "relay stopped");
}
