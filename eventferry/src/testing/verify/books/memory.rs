//! The store in memory.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock;
use crate::event::TableName;
use crate::outbox::NewRecord;
use crate::store::memory::{MemoryStore, MemoryTransaction};
use crate::store::{BoxFuture, OpenTransaction, Receipt, StoreError};
use crate::testing::verify::Journal;
use crate::testing::verify::books::{Books, BooksError, Entry};

/// An outbox in memory. Its transactions commit under one lock, so their order is known.
#[derive(Debug, Clone, Default)]
pub struct MemoryBooks {
    store: MemoryStore,
    journal: Arc<Mutex<Journal>>,
}

/// A transaction of the store in memory, and what it will enter into the journal.
pub struct JournalledTransaction {
    inner: MemoryTransaction,
    entries: Vec<Entry>,
}

impl MemoryBooks {
    /// The books of a store.
    pub fn new(store: MemoryStore) -> Self {
        Self {
            store,
            journal: Arc::default(),
        }
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books for MemoryBooks {
    type Transaction = JournalledTransaction;

    async fn begin(&self) -> Result<Self::Transaction, BooksError> {
        Ok(JournalledTransaction {
            inner: self.store.begin(),
            entries: Vec::new(),
        })
    }

    async fn enter(&self, transaction: &mut Self::Transaction, entries: &[Entry]) -> Result<(), BooksError> {
        transaction.entries.extend_from_slice(entries);
        Ok(())
    }

    async fn commit(&self, transaction: Self::Transaction) -> Result<(), BooksError> {
        let mut journal = self.journal();
        let at = clock::now();
        transaction.inner.commit();
        for entry in transaction.entries {
            journal.commit(&entry.aggregate, entry.message_id, at);
        }
        Ok(())
    }

    async fn rollback(&self, transaction: Self::Transaction) -> Result<(), BooksError> {
        transaction.inner.rollback();
        Ok(())
    }

    async fn read(&self) -> Result<Journal, BooksError> {
        Ok(self.journal().clone())
    }
}

impl OpenTransaction for JournalledTransaction {
    fn insert<'a>(&'a mut self, table: &'a TableName, records: Vec<NewRecord>) -> BoxFuture<'a, Result<Vec<Receipt>, StoreError>> {
        self.inner.insert(table, records)
    }
}

impl fmt::Debug for JournalledTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalledTransaction")
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}
