//! SQLite: the suite, and what is SQLite's own.

#![expect(clippy::unwrap_used, reason = "what the tests need to begin with is there or the test fails")]

mod books;
mod files;
mod mistakes;
mod plans;
mod relayed;
mod turn;
mod writers;

use std::path::{Path, PathBuf};
use std::time::Duration;

use eventferry::TableName;
use eventferry::store::sqlite::SqliteStore;
use eventferry::testing::conformance::store::Harness;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Sqlite, SqlitePool, Transaction};

/// A database file of its own, gone at the end.
struct Fresh {
    file: PathBuf,
    pool: SqlitePool,
    store: SqliteStore,
    table: TableName,
}

/// What a service would open its pool with; half the durability, since no test pulls the plug.
fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Off)
        .busy_timeout(Duration::from_secs(20))
}

async fn open(file: &Path) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(8)
        .connect_with(options(file))
        .await
        .unwrap()
}

impl Fresh {
    async fn with_table(table: TableName) -> Self {
        let file = fresh_path();
        let pool = open(&file).await;
        SqliteStore::migrate(&pool, &table).await.unwrap();
        let store = SqliteStore::new(pool.clone()).table(table.clone());
        Self { file, pool, store, table }
    }

    async fn new() -> Self {
        Self::with_table(TableName::default()).await
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        delete_file(&self.file);
    }
}

fn fresh_path() -> PathBuf {
    std::env::temp_dir().join(format!("eventferry-{}.db", uuid::Uuid::new_v4()))
}

fn delete_file(file: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut file = file.to_path_buf().into_os_string();
        file.push(suffix);
        // The file may be gone already; a test that failed must not fail again here.
        std::fs::remove_file(file).ok();
    }
}

impl Harness for Fresh {
    type Store = SqliteStore;
    type Transaction = Transaction<'static, Sqlite>;
    type Schemas = SqlitePool;
    const CONCURRENT_WRITERS: bool = false;

    fn store(&self) -> &SqliteStore {
        &self.store
    }

    fn table(&self) -> &TableName {
        &self.table
    }

    fn schemas(&self) -> &SqlitePool {
        &self.pool
    }

    async fn begin(&self) -> Transaction<'static, Sqlite> {
        self.pool.begin().await.unwrap()
    }

    async fn commit(&self, tx: Transaction<'static, Sqlite>) {
        tx.commit().await.unwrap();
    }

    async fn rollback(&self, tx: Transaction<'static, Sqlite>) {
        tx.rollback().await.unwrap();
    }

    /// SQLite's clock is the machine's: every stored time moves the other way.
    async fn move_clock(&self, seconds: i64) {
        let micros = seconds * 1_000_000;
        let table = &self.table;
        let sql = format!(
            "UPDATE {table} SET available_at = available_at - {micros}, created_at = created_at - {micros}, processed_at = processed_at - {micros};
             UPDATE {table}_lane SET leased_until = leased_until - {micros};
             UPDATE {table}_inbox SET handled_at = handled_at - {micros};
             UPDATE {table}_watermark SET moved_at = moved_at - {micros};
             UPDATE {table}_relay SET seen_at = seen_at - {micros}, started_at = started_at - {micros};"
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&self.pool).await.unwrap();
    }
}

eventferry::conformance_store!(conformance, Fresh::new().await);
eventferry::conformance_store!(
    conformance_of_another_table,
    Fresh::with_table(TableName::new("sales_outbox_2").unwrap()).await
);
