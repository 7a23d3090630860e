//! PostgreSQL.

use sqlx::{Connection, Executor, PgPool, Postgres, Row, Transaction};
use uuid::Uuid;

use crate::clock::from_micros;
use crate::testing::verify::Journal;
use crate::testing::verify::books::{Books, BooksError, Entry};

/// An outbox on PostgreSQL, with its journal in two tables of the same database, `eventferry_verify_counter` and `eventferry_verify_journal`.
///
/// With `track_commit_timestamp = on` a commit's time is the server's; otherwise the time at which the journal was written, which is a
/// little earlier.
#[derive(Debug, Clone)]
pub struct PostgresBooks {
    pool: PgPool,
}

impl PostgresBooks {
    /// Makes the two tables, unless they are there.
    ///
    /// # Errors
    /// If the database is away, or the role may create nothing.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn open(pool: PgPool) -> Result<Self, sqlx::Error> {
        pool.execute(sqlx::raw_sql(include_str!("../sql/postgres_journal.sql"))).await?;
        Ok(Self { pool })
    }
}

impl Books for PostgresBooks {
    type Transaction = Transaction<'static, Postgres>;

    async fn begin(&self) -> Result<Self::Transaction, BooksError> {
        Ok(self.pool.begin().await?)
    }

    async fn enter(&self, transaction: &mut Self::Transaction, entries: &[Entry]) -> Result<(), BooksError> {
        let aggregates: Vec<_> = entries.iter().map(|entry| entry.aggregate.as_str()).collect();
        let ids: Vec<_> = entries.iter().map(|entry| Uuid::from(entry.message_id)).collect();
        sqlx::query(include_str!("../sql/postgres_enter.sql"))
            .bind(aggregates)
            .bind(ids)
            .execute(&mut **transaction)
            .await?;
        Ok(())
    }

    async fn savepoint(&self, transaction: &mut Self::Transaction) -> Result<bool, BooksError> {
        transaction.execute("SAVEPOINT verify").await?;
        Ok(true)
    }

    async fn end_savepoint(&self, transaction: &mut Self::Transaction, kept: bool) -> Result<(), BooksError> {
        let end = if kept {
            "RELEASE SAVEPOINT verify"
        } else {
            "ROLLBACK TO SAVEPOINT verify"
        };
        transaction.execute(end).await?;
        Ok(())
    }

    async fn commit(&self, transaction: Self::Transaction) -> Result<(), BooksError> {
        Ok(transaction.commit().await?)
    }

    async fn rollback(&self, transaction: Self::Transaction) -> Result<(), BooksError> {
        Ok(transaction.rollback().await?)
    }

    async fn read(&self) -> Result<Journal, BooksError> {
        // A connection of its own: those of the pool may be the ones that were cut.
        let mut connection = sqlx::PgConnection::connect_with(&self.pool.connect_options()).await?;
        let setting: String = sqlx::query_scalar("SHOW track_commit_timestamp").fetch_one(&mut connection).await?;
        let rows = sqlx::query(include_str!("../sql/postgres_read_journal.sql"))
            .bind(setting == "on")
            .fetch_all(&mut connection)
            .await?;
        let mut journal = Journal::new();
        for row in rows {
            let id: Uuid = row.try_get(1)?;
            journal.commit(row.try_get(0)?, id.into(), from_micros(row.try_get(2)?));
        }
        drop(connection.close().await);
        Ok(journal)
    }
}
