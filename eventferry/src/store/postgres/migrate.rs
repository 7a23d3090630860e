//! Creating the outbox, and taking it away again.

use sqlx::{Connection, Executor, PgConnection, PgPool, Row};

use crate::event::TableName;
use crate::store::postgres::error::store_error;
use crate::store::postgres::session::connect_plain;
use crate::store::postgres::{PostgresStore, Sql, statements_of};
use crate::store::statements::substitute;
use crate::store::{StoreError, StoreErrorKind};

/// The version of the schema that this library writes and reads.
pub(super) const VERSION: i32 = 2;

/// What makes each version, the oldest first.
const UP: [&str; 2] = [
    include_str!("migrations/0001_outbox.up.sql"),
    include_str!("migrations/0002_schema.up.sql"),
];

impl PostgresStore {
    /// Creates the outbox, or brings it to this library's version; does nothing where it is there already.
    ///
    /// One transaction: all of it or nothing. Any number of processes may call it at the same time. A schema named by `table` must exist.
    /// The role needs CREATE on the schema and becomes the owner of what it creates.
    ///
    /// # Errors
    /// [`StoreErrorKind::Misconfigured`] if the outbox was made by a newer version, if another table of its name is in the way, or if the role may
    /// not create tables;
    /// [`StoreErrorKind::Unavailable`] if the database cannot be reached.
    ///
    /// # Cancel safety
    /// Cancel safe: the connection is its own, and what was not committed is rolled back with it.
    ///
    /// # Examples
    /// At the start of a service, before it writes; with [`sql`](Self::sql), in a tool of your own:
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use eventferry::store::postgres::PostgresStore;
    /// use eventferry::{StoreErrorKind, TableName};
    ///
    /// let pool = sqlx::PgPool::connect("postgres://owner@db.example/shop").await?;
    /// match PostgresStore::migrate(&pool, &TableName::default()).await {
    ///     Err(error) if error.kind() == StoreErrorKind::Misconfigured => panic!("a newer version of the service was here: {error}"),
    ///     ended => ended?,
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn migrate(pool: &PgPool, table: &TableName) -> Result<(), StoreError> {
        let sql = statements_of(table);
        let mut connection = connect_plain(pool, table, "migrate").await?;
        let answer = migrate_in(&mut connection, &sql).await;
        let version = answer.map_err(|error| store_error("migrate", table, &error))?;
        if version > VERSION {
            return Err(newer(table, version));
        }
        drop(connection.close().await);
        Ok(())
    }

    /// Removes the outbox with everything beside it, consumers' memory included.
    ///
    /// # Errors
    /// [`StoreErrorKind::Misconfigured`] while rows are there that were not delivered, dead ones included, and nothing is changed;
    /// [`StoreErrorKind::Contention`] if the table is in use.
    ///
    /// # Cancel safety
    /// Cancel safe: what was not committed is rolled back.
    ///
    /// # Examples
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use eventferry::TableName;
    /// use eventferry::store::postgres::PostgresStore;
    ///
    /// let pool = sqlx::PgPool::connect("postgres://owner@db.example/shop").await?;
    /// PostgresStore::migrate_down(&pool, &TableName::new("sales.outbox")?).await?; // refused while an event waits in it
    /// # Ok(()) }
    /// ```
    pub async fn migrate_down(pool: &PgPool, table: &TableName) -> Result<(), StoreError> {
        let sql = statements_of(table);
        let mut connection = connect_plain(pool, table, "migrate").await?;
        let answer = remove_in(&mut connection, &sql).await;
        answer.map_err(|error| store_error("remove the outbox", table, &error))?;
        drop(connection.close().await);
        Ok(())
    }

    /// The statements of [`migrate`](Self::migrate) as text, for people who run their own migration tool.
    ///
    /// # Examples
    /// ```
    /// use eventferry::TableName;
    /// use eventferry::store::postgres::PostgresStore;
    ///
    /// let text = PostgresStore::sql(&TableName::new("sales.events")?);
    /// assert!(text.contains("CREATE TABLE sales.events ("));
    /// # Ok::<(), eventferry::NameError>(())
    /// ```
    pub fn sql(table: &TableName) -> String {
        UP.map(|up| substitute(up, table)).join("\n")
    }
}

fn newer(table: &TableName, version: i32) -> StoreError {
    StoreError::new(
        StoreErrorKind::Misconfigured,
        format!("the outbox `{table}` has schema version {version}, and this eventferry knows up to {VERSION}; upgrade eventferry"),
    )
}

/// Runs what is missing and answers the version that is there afterwards.
async fn migrate_in(connection: &mut PgConnection, sql: &Sql) -> Result<i32, sqlx::Error> {
    let mut tx = connection.begin().await?;
    tx.execute(sqlx::query(sql.migration_lock.clone())).await?;
    let found: bool = tx.fetch_one(sqlx::query(sql.exists.clone())).await?.try_get(0)?;
    let current: i32 = if found {
        tx.fetch_one(sqlx::query(sql.stored_version.clone())).await?.try_get(0)?
    } else {
        0
    };
    // One for each version, the oldest first.
    for (version, up) in (1..=VERSION).zip([&sql.up_1, &sql.up_2]) {
        if version > current {
            tx.execute(sqlx::raw_sql(up.clone())).await?;
        }
    }
    tx.commit().await?;
    Ok(current.max(VERSION))
}

async fn remove_in(connection: &mut PgConnection, sql: &Sql) -> Result<(), sqlx::Error> {
    let mut tx = connection.begin().await?;
    tx.execute(sqlx::query(sql.migration_lock.clone())).await?;
    let version: i32 = tx.fetch_one(sqlx::query(sql.stored_version.clone())).await?.try_get(0)?;
    for (made, down) in [(2, &sql.down_2), (1, &sql.down_1)] {
        if made <= version {
            tx.execute(sqlx::raw_sql(down.clone())).await?;
        }
    }
    tx.commit().await
}
