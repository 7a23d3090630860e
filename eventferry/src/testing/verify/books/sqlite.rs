//! SQLite.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Executor, Row, Sqlite, SqlitePool, Transaction};
use uuid::Uuid;

use crate::clock::from_micros;
use crate::store::{StoreError, StoreErrorKind};
use crate::testing::verify::Journal;
use crate::testing::verify::books::{Books, BooksError, Entry};

/// An outbox on SQLite, with its journal in a table of the same file, `eventferry_verify_journal`.
///
/// Of three transactions one begins as a writer (`BEGIN IMMEDIATE`), one becomes a writer with its first insert, and one reads first, so that SQLite
/// refuses it where another has committed in between. A commit's time is that at which the journal was written, a little earlier.
#[derive(Debug, Clone)]
pub struct SqliteBooks {
    pool: SqlitePool,
    begun: Arc<AtomicU32>,
}

impl SqliteBooks {
    /// Makes the table, unless it is there.
    ///
    /// # Errors
    /// If the file cannot be opened, or somebody else writes to it for longer than the busy timeout.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn open(pool: SqlitePool) -> Result<Self, sqlx::Error> {
        pool.execute(sqlx::raw_sql(include_str!("../sql/sqlite_journal.sql"))).await?;
        Ok(Self {
            pool,
            begun: Arc::default(),
        })
    }
}

impl Books for SqliteBooks {
    type Transaction = Transaction<'static, Sqlite>;

    async fn begin(&self) -> Result<Self::Transaction, BooksError> {
        let turn = self.begun.fetch_add(1, Ordering::Relaxed) % 3;
        if turn == 0 {
            return self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed);
        }
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        if turn == 1 {
            let read = sqlx::query("SELECT max(rowid) FROM eventferry_verify_journal");
            read.fetch_one(&mut *transaction).await.map_err(failed)?;
        }
        Ok(transaction)
    }

    async fn enter(&self, transaction: &mut Self::Transaction, entries: &[Entry]) -> Result<(), BooksError> {
        let entered = entries.iter().map(|entry| {
            let id = Uuid::from(entry.message_id).simple().to_string();
            serde_json::json!([entry.aggregate, id])
        });
        sqlx::query(include_str!("../sql/sqlite_enter.sql"))
            .bind(entered.collect::<serde_json::Value>().to_string())
            .execute(&mut **transaction)
            .await
            .map_err(failed)?;
        Ok(())
    }

    async fn savepoint(&self, transaction: &mut Self::Transaction) -> Result<bool, BooksError> {
        transaction.execute("SAVEPOINT verify").await.map_err(failed)?;
        Ok(true)
    }

    async fn end_savepoint(&self, transaction: &mut Self::Transaction, kept: bool) -> Result<(), BooksError> {
        if !kept {
            // In SQLite it stays, to be gone back to again, until it is released.
            transaction.execute("ROLLBACK TO verify").await.map_err(failed)?;
        }
        transaction.execute("RELEASE verify").await.map_err(failed)?;
        Ok(())
    }

    async fn commit(&self, transaction: Self::Transaction) -> Result<(), BooksError> {
        transaction.commit().await.map_err(failed)
    }

    async fn rollback(&self, transaction: Self::Transaction) -> Result<(), BooksError> {
        transaction.rollback().await.map_err(failed)
    }

    async fn read(&self) -> Result<Journal, BooksError> {
        let rows = sqlx::query(include_str!("../sql/sqlite_read_journal.sql"))
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?;
        let mut journal = Journal::new();
        for row in rows {
            let id: Uuid = row.try_get(1)?;
            journal.commit(row.try_get(0)?, id.into(), from_micros(row.try_get(2)?));
        }
        Ok(journal)
    }
}

/// `SQLITE_BUSY` and `SQLITE_LOCKED`, in every form, as the kind that is worth repeating; anything else as it is.
fn failed(error: sqlx::Error) -> BooksError {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    match code.map(|extended| extended & 0xff) {
        Some(5 | 6) => StoreError::new(StoreErrorKind::Contention, "failed to write a journal: somebody else is writing")
            .with_source(error)
            .into(),
        _ => error.into(),
    }
}
