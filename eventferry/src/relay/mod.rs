//! Carries committed events from the store to the broker, in order per aggregate.
//!
//! A [`Relay`] knows no event type: it moves bytes and headers. Any number of relays may carry one outbox; the database alone shares the
//! lanes among them. `core` decides, the other files do: each stage is one task, and the facts of all of them meet in one more.

mod ack;
mod conductor;
mod config;
mod core;
mod dead_letter;
mod error;
mod lanes;
mod maintain;
mod observe;
mod publish;
mod read;
mod sessions;

use std::fmt;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use self::config::RelayConfig;
pub use self::config::{RelayBuilder, RelayConfigError};
use self::core::Fact;
pub use self::core::Stats;
pub use self::error::{RelayError, RelayErrorKind};
use crate::publish::{Pipelined, Publisher};
use crate::store::{RelayId, Store};

/// Carries the events of one outbox to one publisher.
///
/// # Examples
/// Events written in memory, carried to a broker in memory:
/// ```
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use eventferry::outbox::NewRecord;
/// use eventferry::publish::memory::MemoryPublisher;
/// use eventferry::relay::Relay;
/// use eventferry::store::memory::MemoryStore;
/// use eventferry::{OpenTransaction, TableName};
///
/// let (store, broker) = (MemoryStore::new(), MemoryPublisher::new());
/// let relay = Relay::builder(store.clone(), broker.clone()).build()?.start().await?;
///
/// let mut tx = store.begin();
/// tx.insert(&TableName::default(), vec![NewRecord::new("orders", "order", "42", "OrderPaid", Some(b"{}".to_vec()))]).await?;
/// tx.commit();
///
/// relay.wait_for(|stats| stats.acked == 1).await?;
/// assert_eq!(broker.messages("orders").len(), 1);
/// relay.stop().await?;
/// # Ok(()) }
/// # tokio::runtime::Runtime::new()?.block_on(run())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a relay carries nothing until it is started"]
pub struct Relay<S, P> {
    store: S,
    publisher: P,
    config: RelayConfig,
}

impl<S, P> fmt::Debug for Relay<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("config", &self.config).finish_non_exhaustive()
    }
}

impl<S: Store, P: Publisher> Relay<S, P> {
    /// Sets up a relay from a store to a publisher.
    pub fn builder(store: S, publisher: P) -> RelayBuilder<S, P> {
        RelayBuilder::new(store, publisher)
    }

    /// Checks the outbox, registers this relay and begins to carry events.
    ///
    /// The broker is not asked: one that is away is waited for.
    ///
    /// # Errors
    /// [`RelayErrorKind::Start`], if the database cannot be reached, or the outbox is missing or set up so that a promise cannot hold; the
    /// source says which command mends it.
    ///
    /// # Cancel safety
    /// Dropping the future leaves no lane leased; the relay may be counted as alive for one lease length.
    ///
    /// # Examples
    /// [`Relay`] shows a whole run, [`RelayError`] what a start that fails says.
    pub async fn start(self) -> Result<RelayHandle, RelayError> {
        let id = RelayId::random();
        let opened = self.store.open(id).await.map_err(RelayError::start)?;
        for warning in &opened.warnings {
            tracing::warn!(relay = %id, "{warning}");
        }
        let (facts, inbox) = mpsc::unbounded_channel();
        let (stats, watched) = watch::channel(Stats::default());
        let groups = self.publisher.pipelined().map(Pipelined::groups);
        let core = core::Core::new(self.config.core(opened.lease, groups, self.publisher.learns().is_some()));
        tracing::info!(relay = %id, lease = ?opened.lease, "relay started");
        let stages = conductor::Stages::new(Arc::new(self.store), Arc::new(self.publisher), id, &opened, &self.config, &facts);
        let task = tokio::spawn(conductor::conduct(core, inbox, stages, stats));
        Ok(RelayHandle {
            id,
            facts,
            stats: watched,
            warnings: opened.warnings,
            task: Some(task),
        })
    }
}

/// A relay that runs.
///
/// # Examples
/// In a service: started beside it, watched, and stopped before it ends.
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use eventferry::publish::memory::MemoryPublisher;
/// use eventferry::relay::Relay;
/// use eventferry::store::memory::MemoryStore;
///
/// let relay = Relay::builder(MemoryStore::new(), MemoryPublisher::new()).build()?.start().await?;
/// let stats = relay.wait_for(|stats| stats.lanes == 64).await?; // it is alone, so it carries all lanes
/// assert!(!stats.broker_away && relay.warnings().is_empty());
///
/// let last = relay.stop().await?;
/// assert_eq!((last.delivered, last.known), (0, 0));
/// # Ok(()) }
/// ```
#[must_use = "dropping the handle stops the relay"]
#[derive(Debug)]
pub struct RelayHandle {
    id: RelayId,
    facts: mpsc::UnboundedSender<Fact>,
    stats: watch::Receiver<Stats>,
    warnings: Vec<String>,
    task: Option<JoinHandle<()>>,
}

impl RelayHandle {
    /// This start's identity, as it stands in the outbox's table of relays.
    pub fn id(&self) -> RelayId {
        self.id
    }

    /// Settings of the database under which a promise rests on luck, one sentence each, as found at the start.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # #[cfg(feature = "sqlite")] {
    /// # use eventferry::{TableName, publish::memory::MemoryPublisher, relay::Relay, store::sqlite::SqliteStore};
    /// use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
    ///
    /// let options = SqliteConnectOptions::new().filename(":memory:").synchronous(SqliteSynchronous::Off);
    /// let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
    /// SqliteStore::migrate(&pool, &TableName::default()).await?;
    ///
    /// let relay = Relay::builder(SqliteStore::new(pool), MemoryPublisher::new()).build()?.start().await?;
    /// assert!(relay.warnings().iter().any(|warning| warning.starts_with("synchronous is below FULL")));
    /// # relay.stop().await?;
    /// # }
    /// # Ok(()) }
    /// ```
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Counters since the start.
    pub fn stats(&self) -> Stats {
        *self.stats.borrow()
    }

    /// Waits until the counters satisfy a condition.
    ///
    /// # Errors
    /// [`RelayErrorKind::Ended`], if the relay ended before.
    ///
    /// # Cancel safety
    /// Cancel safe.
    ///
    /// # Examples
    /// In a test of a service, in place of sleeping:
    /// ```
    /// # use std::time::Duration;
    /// # use eventferry::{publish::memory::MemoryPublisher, relay::Relay, store::memory::MemoryStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let relay = Relay::builder(MemoryStore::new(), MemoryPublisher::new()).build()?.start().await?;
    /// let ready = relay.wait_for(|stats| stats.lanes > 0);
    /// let stats = tokio::time::timeout(Duration::from_secs(10), ready).await??;
    /// assert_eq!(stats.lanes, 64);
    /// # relay.stop().await?;
    /// # Ok(()) }
    /// ```
    pub async fn wait_for(&self, condition: impl FnMut(&Stats) -> bool) -> Result<Stats, RelayError> {
        let mut stats = self.stats.clone();
        match stats.wait_for(condition).await {
            Ok(stats) => Ok(*stats),
            Err(_) => Err(RelayError::ended()),
        }
    }

    /// Something that producers in this process can use to spare the poll interval.
    ///
    /// # Examples
    /// ```
    /// # use std::time::Duration;
    /// # use eventferry::outbox::NewRecord;
    /// # use eventferry::publish::memory::MemoryPublisher;
    /// # use eventferry::relay::Relay;
    /// # use eventferry::store::memory::MemoryStore;
    /// # use eventferry::{OpenTransaction, TableName};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (store, broker, hour) = (MemoryStore::new(), MemoryPublisher::new(), Duration::from_hours(1));
    /// let relay = Relay::builder(store.clone(), broker).poll(hour, hour).build()?.start().await?; // it hardly ever looks
    /// # relay.wait_for(|stats| stats.lanes == 64).await?;
    /// let waker = relay.waker();
    ///
    /// let mut tx = store.begin();
    /// # tx.insert(&TableName::default(), vec![NewRecord::new("orders", "order", "42", "OrderPaid", None)]).await?;
    /// // ... events.enqueue(&mut tx, order).await?;
    /// tx.commit();
    /// waker.wake();
    /// assert_eq!(relay.wait_for(|stats| stats.acked == 1).await?.delivered, 1);
    /// # relay.stop().await?;
    /// # Ok(()) }
    /// ```
    pub fn waker(&self) -> Waker {
        Waker(self.facts.clone())
    }

    /// Stops gracefully: sends nothing more, waits for what is in flight, records it, and hands every lane back.
    ///
    /// Takes at most the drain time. Events whose delivery is not known by then will be delivered again.
    ///
    /// # Errors
    /// [`RelayErrorKind::Panicked`], if a task of the relay panicked.
    ///
    /// # Cancel safety
    /// Dropping the future does not undo the stop.
    ///
    /// # Examples
    /// When the process is asked to end:
    /// ```
    /// # use eventferry::{publish::memory::MemoryPublisher, relay::Relay, store::memory::MemoryStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let asked_to_end = std::future::ready(()); // tokio::signal::ctrl_c(), or SIGTERM
    /// let relay = Relay::builder(MemoryStore::new(), MemoryPublisher::new()).build()?.start().await?;
    /// asked_to_end.await;
    /// let last = relay.stop().await?;
    /// assert_eq!(last.known, 0, "nothing is left in memory");
    /// # Ok(()) }
    /// ```
    pub async fn stop(mut self) -> Result<Stats, RelayError> {
        self.ask_to_stop();
        if let Some(task) = self.task.take() {
            task.await.map_err(RelayError::panicked)?;
        }
        Ok(self.stats())
    }

    fn ask_to_stop(&self) {
        // A relay that has ended needs no asking.
        drop(self.facts.send(Fact::Stop));
    }
}

impl Drop for RelayHandle {
    fn drop(&mut self) {
        self.ask_to_stop();
    }
}

/// Wakes a relay in the same process: call it after a commit that enqueued something.
#[derive(Debug, Clone)]
pub struct Waker(mpsc::UnboundedSender<Fact>);

impl Waker {
    /// Makes the relay read now. Cheap; calls between two reads count as one.
    pub fn wake(&self) {
        drop(self.0.send(Fact::Wake));
    }
}
