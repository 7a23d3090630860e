//! An outbox of one test.

use std::future::Future;
use std::task::Poll;
use std::time::Duration;

use eventferry::TableName;
use eventferry::outbox::{LaneLease, NewRecord};
use eventferry::store::Taken;
use eventferry::store::postgres::PostgresStore;
use eventferry::testing::conformance::store::Harness;
use eventferry_tests::own_postgres::OwnPostgres;
use eventferry_tests::postgres::{self as databases, FreshDatabase};
use sqlx::{AssertSqlSafe, Executor, PgPool, Postgres, Transaction};

/// A fresh outbox; returns from the test where there is no server.
macro_rules! fresh {
    ($table:literal) => {
        match $crate::postgres::support::Outbox::fresh($table).await {
            Some(outbox) => outbox,
            None => return,
        }
    };
}
pub(super) use fresh;

pub(super) fn leases(taken: &[Taken]) -> Vec<LaneLease> {
    taken.iter().map(|taken| taken.lease).collect()
}

/// A fresh database with one outbox in it.
pub(super) struct Outbox {
    pub(super) database: FreshDatabase,
    pub(super) store: PostgresStore,
    pub(super) table: TableName,
}

impl Outbox {
    /// Makes the database, the schema the table's name asks for, and the outbox.
    pub(super) async fn fresh(table: &str) -> Option<Self> {
        Some(Self::of(databases::fresh().await?, table).await)
    }

    /// The same on a server of the test's own.
    pub(super) async fn on(server: &OwnPostgres) -> Self {
        Self::of(databases::fresh_on(server).await, "outbox").await
    }

    async fn of(database: FreshDatabase, table: &str) -> Self {
        let table = TableName::new(table).unwrap();
        if let Some(schema) = table.schema() {
            let statement = format!("CREATE SCHEMA {schema}");
            database.pool.execute(AssertSqlSafe(statement)).await.unwrap();
        }
        PostgresStore::migrate(&database.pool, &table).await.unwrap();
        let store = PostgresStore::new(database.pool.clone()).table(table.clone());
        Self { database, store, table }
    }

    /// Runs statements in which the word `outbox` stands for the table.
    pub(super) async fn run(&self, statements: &str) {
        let text = statements.replace("outbox", &self.table.to_string());
        self.database.pool.execute(AssertSqlSafe(text)).await.unwrap();
    }
}

impl Harness for Outbox {
    type Store = PostgresStore;
    type Transaction = Transaction<'static, Postgres>;
    type Schemas = PgPool;
    const CONCURRENT_WRITERS: bool = true;

    fn store(&self) -> &PostgresStore {
        &self.store
    }

    fn table(&self) -> &TableName {
        &self.table
    }

    fn schemas(&self) -> &PgPool {
        &self.database.pool
    }

    async fn begin(&self) -> Self::Transaction {
        self.database.pool.begin().await.unwrap()
    }

    async fn commit(&self, tx: Self::Transaction) {
        tx.commit().await.unwrap();
    }

    async fn rollback(&self, tx: Self::Transaction) {
        tx.rollback().await.unwrap();
    }

    /// The server's clock stands still for nobody: every stored time is moved the other way.
    async fn move_clock(&self, seconds: i64) {
        let by = format!("- interval '{seconds} seconds'");
        self.run(&format!(
            "UPDATE outbox SET available_at = available_at {by}, created_at = created_at {by}, processed_at = processed_at {by};
             UPDATE outbox_lane SET leased_until = leased_until {by}, taken_at = taken_at {by};
             UPDATE outbox_inbox SET handled_at = handled_at {by};
             UPDATE outbox_watermark SET moved_at = moved_at {by};
             UPDATE outbox_relay SET seen_at = seen_at {by}, started_at = started_at {by};"
        ))
        .await;
    }
}

/// An ordered event of the aggregate `order`/`id`.
pub(super) fn event(id: &str) -> NewRecord {
    NewRecord::new("orders", "order", id, "OrderCreated", Some(b"{}".to_vec()))
}

/// Waits at most a minute.
pub(super) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_mins(1), future)
        .await
        .expect("nothing came within a minute")
}

/// Runs all at once and answers in the order given.
pub(super) async fn together<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Some(Box::pin(future)), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in &mut running {
            if let Some(Poll::Ready(ready)) = future.as_mut().map(|future| future.as_mut().poll(context)) {
                (*future, *output) = (None, Some(ready));
            }
        }
        if running.iter().any(|(future, _)| future.is_some()) {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    running.into_iter().filter_map(|(_, output)| output).collect()
}
