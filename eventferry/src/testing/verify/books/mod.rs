//! The store under test, and the journal that its own transactions keep.

mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::error::Error;
use std::future::Future;

use crate::event::MessageId;
use crate::store::OpenTransaction;
use crate::testing::verify::Journal;

pub use memory::{JournalledTransaction, MemoryBooks};
#[cfg(feature = "postgres")]
pub use postgres::PostgresBooks;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteBooks;

/// What went wrong with a database under test; the writers go on with their next transaction.
pub type BooksError = Box<dyn Error + Send + Sync>;

/// One event that a transaction wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its aggregate's id.
    pub aggregate: String,
    /// Its identity.
    pub message_id: MessageId,
}

/// A database under test, in which each transaction writes a journal beside its events.
///
/// The journal is the truth the log is compared with, so it must be written in the transaction of the events and say in which order the
/// transactions of an aggregate committed: count up a row of the aggregate, which stays locked until the transaction ends.
/// Implement it to verify a store of your own; `PostgresBooks` and `SqliteBooks` do it in SQL, [`MemoryBooks`] is the shortest.
///
/// An error that is a [`StoreError`](crate::StoreError) of kind `Contention` says that nothing was written and the whole transaction is to be
/// repeated; the writers do so.
///
/// # Cancel safety
/// A transaction that takes too long is given up in the middle of a call: what it wrote must then be gone with it, or be committed as a whole.
pub trait Books: Clone + Send + Sync + 'static {
    /// A transaction of the store.
    type Transaction: OpenTransaction + 'static;

    /// Begins a transaction.
    ///
    /// # Errors
    /// If the database is away.
    fn begin(&self) -> impl Future<Output = Result<Self::Transaction, BooksError>> + Send;

    /// Enters events that this transaction has just inserted, in the order of the inserts.
    ///
    /// # Errors
    /// If the transaction is lost.
    fn enter(&self, transaction: &mut Self::Transaction, entries: &[Entry]) -> impl Future<Output = Result<(), BooksError>> + Send;

    /// Sets a savepoint, or answers false where the store has none.
    ///
    /// # Errors
    /// If the transaction is lost.
    fn savepoint(&self, transaction: &mut Self::Transaction) -> impl Future<Output = Result<bool, BooksError>> + Send {
        let _ = transaction;
        async { Ok(false) }
    }

    /// Ends the savepoint: keeps what came after it, or undoes it.
    ///
    /// # Errors
    /// If the transaction is lost.
    fn end_savepoint(&self, transaction: &mut Self::Transaction, kept: bool) -> impl Future<Output = Result<(), BooksError>> + Send {
        let _ = (transaction, kept);
        async { Ok(()) }
    }

    /// Commits.
    ///
    /// # Errors
    /// If it is not known that the transaction committed.
    fn commit(&self, transaction: Self::Transaction) -> impl Future<Output = Result<(), BooksError>> + Send;

    /// Rolls back.
    ///
    /// # Errors
    /// If the connection is lost.
    fn rollback(&self, transaction: Self::Transaction) -> impl Future<Output = Result<(), BooksError>> + Send;

    /// What committed so far. Asked when the writers have ended.
    ///
    /// # Errors
    /// If the database is away.
    fn read(&self) -> impl Future<Output = Result<Journal, BooksError>> + Send;
}
