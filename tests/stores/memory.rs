//! The memory store.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Duration, UNIX_EPOCH};

use eventferry::TableName;
use eventferry::store::memory::{MemoryStore, MemoryTransaction};
use eventferry::testing::conformance::store::Harness;

struct Memory {
    store: MemoryStore,
    table: TableName,
    seconds: Arc<AtomicI64>,
}

impl Memory {
    fn fresh() -> Self {
        let seconds = Arc::new(AtomicI64::new(1_700_000_000));
        let hand = Arc::clone(&seconds);
        let clock = move || UNIX_EPOCH + Duration::from_secs(hand.load(Relaxed).unsigned_abs());
        Self {
            store: MemoryStore::with_clock(clock),
            table: TableName::default(),
            seconds,
        }
    }
}

impl Harness for Memory {
    type Store = MemoryStore;
    type Transaction = MemoryTransaction;
    type Schemas = MemoryStore;
    const CONCURRENT_WRITERS: bool = true;

    fn store(&self) -> &MemoryStore {
        &self.store
    }

    fn table(&self) -> &TableName {
        &self.table
    }

    fn schemas(&self) -> &MemoryStore {
        &self.store
    }

    async fn begin(&self) -> MemoryTransaction {
        self.store.begin()
    }

    async fn commit(&self, tx: MemoryTransaction) {
        tx.commit();
    }

    async fn rollback(&self, tx: MemoryTransaction) {
        tx.rollback();
    }

    async fn move_clock(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Relaxed);
    }
}

eventferry::conformance_store!(conformance, Memory::fresh());
