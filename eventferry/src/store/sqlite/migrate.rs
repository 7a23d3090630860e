//! Making an outbox, and taking it away.

use sqlx::{SqlStr, Sqlite, SqlitePool, Transaction};

use crate::event::TableName;
use crate::store::sqlite::error::error;
use crate::store::sqlite::{SQL, Sql, SqliteStore};
use crate::store::{StoreError, StoreErrorKind};

/// What makes each version and what undoes it, the oldest version first.
fn steps(sql: &Sql) -> [(&SqlStr, &SqlStr); 2] {
    [(&sql.up_1, &sql.down_1), (&sql.up_2, &sql.down_2)]
}

/// The version this build writes and reads.
pub(super) const VERSION: u32 = 2;

impl SqliteStore {
    /// Makes the outbox, or brings it to this build's version. Does nothing if it is there already.
    ///
    /// # Errors
    /// [`StoreErrorKind::Misconfigured`] if another table of the name is in the way, the outbox is of a later version, or the file is read-only or
    /// no SQLite database;
    /// [`StoreErrorKind::Contention`] if another connection writes for longer than the busy timeout.
    ///
    /// # Cancel safety
    /// All steps are one transaction: dropped before its end, nothing has changed.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use eventferry::TableName;
    /// use eventferry::store::sqlite::SqliteStore;
    ///
    /// let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    /// let table = TableName::new("sales_events")?;
    /// SqliteStore::migrate(&pool, &table).await?;
    /// SqliteStore::migrate(&pool, &table).await?;
    /// SqliteStore::migrate_down(&pool, &table).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn migrate(pool: &SqlitePool, table: &TableName) -> Result<(), StoreError> {
        let failed = |source| error("migrate", table, source);
        let sql = SQL.get(table, Sql::new);
        let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let there = version(&mut tx, table, &sql).await?.unwrap_or(0);
        if there > VERSION {
            return Err(wrong_version(table, there));
        }
        for (version, (up, _)) in (1..).zip(steps(&sql)) {
            if version > there {
                sqlx::raw_sql(up.clone()).execute(&mut *tx).await.map_err(failed)?;
            }
        }
        tx.commit().await.map_err(failed)
    }

    /// Takes the outbox away, with its side tables and the memory of its consumers.
    ///
    /// # Errors
    /// [`StoreErrorKind::Misconfigured`] while it holds an event that was neither delivered nor discarded, dead ones included, with nothing
    /// changed; also if it is not there, or of a later version; [`StoreErrorKind::Contention`] as for [`migrate`](Self::migrate).
    ///
    /// # Cancel safety
    /// All steps are one transaction: dropped before its end, nothing has changed.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use eventferry::outbox::NewRecord;
    /// use eventferry::store::sqlite::SqliteStore;
    /// use eventferry::{OpenTransaction, StoreErrorKind, TableName};
    ///
    /// let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    /// let table = TableName::default();
    /// SqliteStore::migrate(&pool, &table).await?;
    ///
    /// let mut tx = pool.begin().await?;
    /// tx.insert(&table, vec![NewRecord::new("orders", "order", "42", "OrderPaid", None)]).await?;
    /// tx.commit().await?;
    /// let refused = SqliteStore::migrate_down(&pool, &table).await.unwrap_err();
    /// assert_eq!(refused.kind(), StoreErrorKind::Misconfigured, "an event waits in it");
    /// # Ok(()) }
    /// ```
    pub async fn migrate_down(pool: &SqlitePool, table: &TableName) -> Result<(), StoreError> {
        let failed = |source| error("migrate down", table, source);
        let sql = SQL.get(table, Sql::new);
        let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let Some(there) = version(&mut tx, table, &sql).await? else {
            return Err(StoreError::new(
                StoreErrorKind::Misconfigured,
                format!("cannot remove outbox `{table}`: it is not in this database"),
            ));
        };
        if there > VERSION {
            return Err(wrong_version(table, there));
        }
        for (version, (_, down)) in (1..).zip(steps(&sql)).collect::<Vec<_>>().into_iter().rev() {
            if version > there {
                continue;
            }
            let undone = sqlx::raw_sql(down.clone()).execute(&mut *tx).await;
            undone.map_err(|source| refused_or_failed(table, source))?;
        }
        tx.commit().await.map_err(failed)
    }

    /// The statements of [`migrate`](Self::migrate) as text, for people who run their own migration tool.
    ///
    /// # Examples
    /// ```
    /// use eventferry::TableName;
    /// use eventferry::store::sqlite::SqliteStore;
    ///
    /// let text = SqliteStore::sql(&TableName::new("sales_events")?);
    /// assert!(text.contains("CREATE TABLE sales_events_lane ("));
    /// # Ok::<(), eventferry::NameError>(())
    /// ```
    pub fn sql(table: &TableName) -> String {
        let sql = SQL.get(table, Sql::new);
        steps(&sql).iter().map(|(up, _)| up.as_str()).collect::<Vec<_>>().join("\n")
    }
}

/// The version of the outbox in the database, if there is one.
async fn version(tx: &mut Transaction<'_, Sqlite>, table: &TableName, sql: &Sql) -> Result<Option<u32>, StoreError> {
    let failed = |source| error("read the version of", table, source);
    let there: bool = sqlx::query_scalar(sql.is_there.clone())
        .fetch_one(&mut **tx)
        .await
        .map_err(failed)?;
    if !there {
        return Ok(None);
    }
    sqlx::query_scalar(sql.version.clone())
        .fetch_optional(&mut **tx)
        .await
        .map_err(failed)
}

/// Says which of the two is behind, and what brings it forward.
pub(super) fn wrong_version(table: &TableName, version: u32) -> StoreError {
    let remedy = if version > VERSION {
        "upgrade eventferry"
    } else {
        "run `SqliteStore::migrate`"
    };
    StoreError::new(
        StoreErrorKind::Misconfigured,
        format!("outbox `{table}` has schema version {version}, this build of eventferry knows version {VERSION}: {remedy}"),
    )
}

fn refused_or_failed(table: &TableName, source: sqlx::Error) -> StoreError {
    let refused = source
        .as_database_error()
        .is_some_and(|error| error.kind() == sqlx::error::ErrorKind::CheckViolation);
    if refused {
        let text = format!("refused to remove outbox `{table}`: it holds events that were not delivered; deliver or discard them first");
        return StoreError::new(StoreErrorKind::Misconfigured, text).with_source(source);
    }
    error("migrate down", table, source)
}
