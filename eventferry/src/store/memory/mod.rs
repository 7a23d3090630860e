//! The reference store: the contract in the plainest code, in memory, with nothing but the standard library.
//!
//! It models what makes a database hard to read from: ids are drawn when a row is inserted, rows become visible when their transaction
//! commits, and a lock on each aggregate, held from the insert to the end of the transaction, makes the two agree within an aggregate.

mod inbox;
mod operate;
#[cfg(all(test, feature = "relay"))]
pub(crate) mod rehearsal;
mod relay;
mod schemas;
mod state;
mod transaction;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use crate::event::{MessageId, TableName};
use crate::outbox::{Record, Status};
use crate::store::{DEFAULT_LEASE, StoreError, StoreErrorKind};
use state::State;

pub use transaction::MemoryTransaction;

/// An outbox in memory, for tests and examples: everything a database does, except to outlive the process.
///
/// Clones share one table. Begin a transaction, enqueue in it, commit it; rows are there from the commit on.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), eventferry::StoreError> {
/// use eventferry::outbox::{NewRecord, Status};
/// use eventferry::store::memory::MemoryStore;
/// use eventferry::{OpenTransaction, TableName};
///
/// let store = MemoryStore::new();
/// let record = NewRecord::new("orders", "order", "42", "OrderCreated", Some(b"{}".to_vec()));
/// let id = record.message_id;
///
/// let mut tx = store.begin();
/// tx.insert(&TableName::default(), vec![record]).await?;
/// assert_eq!(store.status_of(id), None);
/// tx.commit();
/// assert_eq!(store.status_of(id), Some(Status::Pending));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    table: TableName,
    lease: Duration,
    clock: Box<dyn Fn() -> SystemTime + Send + Sync>,
    state: Mutex<State>,
}

impl MemoryStore {
    /// An empty outbox named `outbox`, on the machine's clock.
    pub fn new() -> Self {
        Self::with_clock(crate::clock::now)
    }

    /// An empty outbox on a clock of the caller's, which takes the place of the database's.
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    /// use std::time::{Duration, UNIX_EPOCH};
    ///
    /// use eventferry::store::memory::MemoryStore;
    ///
    /// let seconds = Arc::new(AtomicU64::new(1_000));
    /// let hand = Arc::clone(&seconds);
    /// let store = MemoryStore::with_clock(move || UNIX_EPOCH + Duration::from_secs(hand.load(Relaxed)));
    /// seconds.fetch_add(60, Relaxed); // a minute later, as far as the store knows
    /// # assert!(store.rows().is_empty());
    /// ```
    pub fn with_clock(clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self::with_clock_and_lease(DEFAULT_LEASE, clock)
    }

    pub(crate) fn with_clock_and_lease(lease: Duration, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self {
            shared: Arc::new(Shared {
                table: TableName::default(),
                lease,
                clock: Box::new(clock),
                state: Mutex::new(State::new(format!("memory/{}", Uuid::now_v7()))),
            }),
        }
    }

    /// Begins a transaction. Dropping it rolls it back.
    ///
    /// # Examples
    /// ```
    /// # use eventferry::outbox::NewRecord;
    /// # use eventferry::store::memory::MemoryStore;
    /// # use eventferry::{OpenTransaction, TableName};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), eventferry::StoreError> {
    /// let store = MemoryStore::new();
    /// let mut tx = store.begin();
    /// tx.insert(&TableName::default(), vec![NewRecord::new("orders", "order", "42", "OrderPaid", None)]).await?;
    /// drop(tx); // an early return, an error, a panic
    /// assert!(store.rows().is_empty());
    /// # Ok(()) }
    /// ```
    pub fn begin(&self) -> MemoryTransaction {
        MemoryTransaction::new(self.clone())
    }

    /// Every committed row, by id, settled ones included; payloads are never deferred here.
    pub fn rows(&self) -> Vec<Record> {
        let now = self.now();
        let state = self.state();
        state.visible().map(|row| row.whole(now)).collect()
    }

    /// Where the committed row of a message id stands; none if there is no such row.
    pub fn status_of(&self, message_id: MessageId) -> Option<Status> {
        self.state().by_message_id(message_id).map(|row| row.record.status)
    }

    /// What was last said to be wrong with the committed row of a message id.
    ///
    /// # Examples
    /// ```
    /// # #[cfg(feature = "relay")] {
    /// # use eventferry::outbox::NewRecord;
    /// # use eventferry::{OpenTransaction, PublishErrorKind, TableName};
    /// # use eventferry::{publish::memory::MemoryPublisher, relay::Relay, store::memory::MemoryStore};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (store, broker) = (MemoryStore::new(), MemoryPublisher::new());
    /// # let record = NewRecord::new("orders", "order", "42", "OrderPaid", None);
    /// # let id = record.message_id;
    /// # let mut tx = store.begin();
    /// # tx.insert(&TableName::default(), vec![record]).await?;
    /// # tx.commit();
    /// broker.fail_next(PublishErrorKind::Rejected);
    /// let relay = Relay::builder(store.clone(), broker).build()?.start().await?;
    /// relay.wait_for(|stats| stats.dead == 1).await?;
    /// assert!(store.last_error_of(id).is_some_and(|error| error.contains("orders")));
    /// # relay.stop().await?;
    /// # Ok(()) }
    /// # run()?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn last_error_of(&self, message_id: MessageId) -> Option<String> {
        self.state().by_message_id(message_id).and_then(|row| row.last_error.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere cannot leave the state half changed: no method that changes it can panic in between.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Microseconds since 1970 by this store's clock.
    fn now(&self) -> i64 {
        crate::clock::micros((self.shared.clock)())
    }

    fn check_table(&self, table: &TableName) -> Result<(), StoreError> {
        if *table == self.shared.table {
            return Ok(());
        }
        Err(StoreError::new(
            StoreErrorKind::Misconfigured,
            format!(
                "table `{table}` does not exist: a memory store has the table `{}` only",
                self.shared.table
            ),
        ))
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("MemoryStore")
            .field("source", &state.source)
            .field("rows", &state.visible().count())
            .finish_non_exhaustive()
    }
}
