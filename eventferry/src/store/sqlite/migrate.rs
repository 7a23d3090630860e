//! Making an outbox, and taking it away.

use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::event::TableName;
use crate::store::migration::Step;
use crate::store::sqlite::error::error;
use crate::store::sqlite::{SQL, Sql, SqliteStore};
use crate::store::statements::statement;
use crate::store::{Migration, StoreError, StoreErrorKind};

const STEPS: [Step; 1] = [Step {
    version: 1,
    name: "the outbox",
    up: include_str!("migrations/0001_outbox.up.sql"),
    down: include_str!("migrations/0001_outbox.down.sql"),
}];

/// The version this build knows: that of the last step.
pub(super) const VERSION: u32 = STEPS[STEPS.len() - 1].version;

impl SqliteStore {
    /// Makes the outbox, or brings it to this build's version. Does nothing if it is there already.
    ///
    /// # Errors
    /// [`StoreErrorKind::Misconfigured`] if another table of the name is in the way, or the outbox is of a later version;
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
        let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let version = version(&mut tx, table).await?;
        if version > VERSION {
            return Err(wrong_version(table, version));
        }
        for step in STEPS.iter().filter(|step| step.version > version) {
            sqlx::raw_sql(statement(step.up, table)).execute(&mut *tx).await.map_err(failed)?;
        }
        tx.commit().await.map_err(failed)
    }

    /// Takes the outbox away, with its side tables.
    ///
    /// # Errors
    /// [`StoreErrorKind::Invalid`] while it holds an event that was neither delivered nor discarded, with nothing changed;
    /// [`StoreErrorKind::Misconfigured`] if it is of a later version; [`StoreErrorKind::Contention`] as for [`migrate`](Self::migrate).
    ///
    /// # Cancel safety
    /// All steps are one transaction: dropped before its end, nothing has changed.
    pub async fn migrate_down(pool: &SqlitePool, table: &TableName) -> Result<(), StoreError> {
        let mut tx = pool
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(|source| error("migrate", table, source))?;
        let version = version(&mut tx, table).await?;
        if version > VERSION {
            return Err(wrong_version(table, version));
        }
        for step in STEPS.iter().rev().filter(|step| step.version <= version) {
            let undone = sqlx::raw_sql(statement(step.down, table)).execute(&mut *tx).await;
            undone.map_err(|source| refused_or_failed(table, source))?;
        }
        tx.commit().await.map_err(|source| error("migrate", table, source))
    }

    /// The SQL of every step, for people who run their own migration tool.
    ///
    /// # Examples
    /// ```
    /// use eventferry::TableName;
    /// use eventferry::store::sqlite::SqliteStore;
    ///
    /// let steps = SqliteStore::migrations(&TableName::new("sales_events")?);
    /// assert!(steps[0].up.contains("CREATE TABLE sales_events_lane"));
    /// # Ok::<(), eventferry::NameError>(())
    /// ```
    pub fn migrations(table: &TableName) -> Vec<Migration> {
        STEPS.iter().map(|step| step.for_table(table)).collect()
    }
}

/// The version of the outbox in the database; 0 if there is none.
async fn version(tx: &mut Transaction<'_, Sqlite>, table: &TableName) -> Result<u32, StoreError> {
    let failed = |source| error("read the version of", table, source);
    let sql = SQL.get(table, Sql::new);
    let there: bool = sqlx::query_scalar(sql.is_there.clone())
        .fetch_one(&mut **tx)
        .await
        .map_err(failed)?;
    if !there {
        return Ok(0);
    }
    let version = sqlx::query_scalar(sql.version.clone()).fetch_optional(&mut **tx).await;
    Ok(version.map_err(failed)?.unwrap_or(0))
}

/// Says which of the two is behind, and what brings it forward.
pub(super) fn wrong_version(table: &TableName, version: u32) -> StoreError {
    let remedy = if version > VERSION {
        "use a build of eventferry that knows it"
    } else {
        "run `SqliteStore::migrate`, or the SQL of `SqliteStore::migrations`"
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
        let text = format!("refused to drop outbox `{table}`: it holds events that are not delivered; deliver or discard them first");
        return StoreError::new(StoreErrorKind::Invalid, text).with_source(source);
    }
    error("migrate down", table, source)
}
