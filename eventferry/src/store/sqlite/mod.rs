//! The store on SQLite: the embedded default.
//!
//! SQLite lets one transaction write at a time, so ids follow commits without any lock, and a read by id misses nothing. Open the pool in WAL
//! mode with a busy timeout, so that readers and the writer do not stop each other and a second writer waits for the first:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! use eventferry::store::sqlite::SqliteStore;
//! use eventferry::{Store, TableName};
//! use eventferry::store::RelayId;
//! use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
//!
//! # let folder = std::env::temp_dir().join(format!("eventferry-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let file = folder.join("shop.db");
//! let options = SqliteConnectOptions::new()
//!     .filename(&file)
//!     .create_if_missing(true)
//!     .journal_mode(SqliteJournalMode::Wal)
//!     .busy_timeout(Duration::from_secs(5));
//! let pool = SqlitePoolOptions::new().connect_with(options).await?;
//! SqliteStore::migrate(&pool, &TableName::default()).await?;
//!
//! let store = SqliteStore::new(pool);
//! let opened = store.open(RelayId::random()).await?;
//! assert!(opened.warnings.is_empty());
//! # drop(store);
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok(())
//! # }
//! ```
//!
//! A transaction that has read before it enqueues may find that somebody else wrote in between: SQLite then refuses at once, and the error is
//! [`StoreErrorKind::Contention`](crate::StoreErrorKind::Contention): repeat the transaction. One that begins with `BEGIN IMMEDIATE`
//! (`pool.begin_with("BEGIN IMMEDIATE")`) waits instead.

mod ack;
mod enqueue;
mod error;
mod inbox;
mod lanes;
mod maintain;
mod migrate;
mod operate;
mod read;
mod row;
mod schemas;
mod turn;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlitePool;

use crate::event::TableName;
use crate::outbox::{LaneLease, Record, RowId, Status};
use crate::store::statements::{PerTable, statements};
use crate::store::{
    AggregateRead, Doing, DueCursor, DueRow, LaneRead, Opened, ReadBatch, RelayId, Renewed, Retention, Skimmed, Snapshot, Store,
    StoreError, Taken, Verdict, VerdictOutcome,
};

statements! {
    struct Sql {
        advance: "sql/advance.sql",
        check: "sql/check.sql",
        close_relay: "sql/close_relay.sql",
        count_relays: "sql/count_relays.sql",
        discard_asked: "sql/discard_asked.sql",
        done_delete: "sql/done_delete.sql",
        done_keep: "sql/done_keep.sql",
        fail: "sql/fail.sql",
        forget_messages: "sql/forget_messages.sql",
        forget_relays: "sql/forget_relays.sql",
        forget_watermarks: "sql/forget_watermarks.sql",
        heartbeat: "sql/heartbeat.sql",
        insert: "sql/insert.sql",
        is_there: "sql/is_there.sql",
        list: "sql/list.sql",
        look_up: "sql/look_up.sql",
        move_rows: "sql/move.sql",
        not_asked: "sql/not_asked.sql",
        purge: "sql/purge.sql",
        find_schema: "sql/find_schema.sql",
        put_schemas: "sql/put_schemas.sql",
        read: "sql/read.sql",
        read_aggregates: "sql/read_aggregates.sql",
        read_due: "sql/read_due.sql",
        read_payload: "sql/read_payload.sql",
        release_lanes: "sql/release_lanes.sql",
        take_groups: "sql/take_groups.sql",
        forgive_lanes: "sql/forgive_lanes.sql",
        remember: "sql/remember.sql",
        renew_lanes: "sql/renew_lanes.sql",
        skim: "sql/skim.sql",
        show: "sql/show.sql",
        status_of: "sql/status_of.sql",
        statuses_of: "sql/statuses_of.sql",
        take_lanes: "sql/take_lanes.sql",
        version: "sql/version.sql",
        up_1: "migrations/0001_outbox.up.sql",
        down_1: "migrations/0001_outbox.down.sql",
        up_2: "migrations/0002_schema.up.sql",
        down_2: "migrations/0002_schema.down.sql",
    }
}

static SQL: PerTable<Sql> = PerTable::new();

/// An outbox in an SQLite database, as a relay sees it.
///
/// Clones share the pool. Producers need none of this: they enqueue in their own `sqlx::Transaction`.
///
/// # Examples
/// A service enqueues in its own transaction; a relay, in this process or another, carries from the file:
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # #[cfg(feature = "relay")] {
/// # use eventferry::outbox::NewRecord;
/// use eventferry::store::sqlite::SqliteStore;
/// use eventferry::{OpenTransaction, TableName};
/// use eventferry::{publish::memory::MemoryPublisher, relay::Relay};
///
/// let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
/// let table = TableName::new("sales_events")?;
/// SqliteStore::migrate(&pool, &table).await?;
///
/// let mut tx = pool.begin().await?; // with a set: events.table(table).enqueue(&mut tx, order)
/// tx.insert(&table, vec![NewRecord::new("orders", "order", "42", "OrderPaid", Some(b"{}".to_vec()))]).await?;
/// tx.commit().await?;
///
/// let relay = Relay::builder(SqliteStore::new(pool).table(table), MemoryPublisher::new()).build()?.start().await?;
/// assert_eq!(relay.wait_for(|stats| stats.acked == 1).await?.delivered, 1);
/// # relay.stop().await?;
/// # }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SqliteStore {
    pool: SqlitePool,
    table: TableName,
    sql: Arc<Sql>,
}

impl SqliteStore {
    /// The outbox named `outbox` in the pool's database.
    pub fn new(pool: SqlitePool) -> Self {
        let table = TableName::default();
        let sql = SQL.get(&table, Sql::new);
        Self { pool, table, sql }
    }

    /// The same with another table. SQLite has no schemas: the name is without one.
    #[must_use = "the store is returned, not changed in place"]
    pub fn table(mut self, table: TableName) -> Self {
        self.sql = SQL.get(&table, Sql::new);
        self.table = table;
        self
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("table", &self.table).finish_non_exhaustive()
    }
}

impl Store for SqliteStore {
    async fn open(&self, relay: RelayId) -> Result<Opened, StoreError> {
        self.check_and_register(relay).await
    }

    async fn renew(&self, relay: RelayId, held: &[LaneLease], doing: Doing) -> Result<Renewed, StoreError> {
        self.renew_lanes(relay, held, doing).await
    }

    async fn take(&self, relay: RelayId, limit: u8) -> Result<Vec<Taken>, StoreError> {
        self.take_lanes(relay, limit).await
    }

    async fn take_groups(&self, relay: RelayId, groups: &[u8], size: u8, limit: u8) -> Result<Vec<Taken>, StoreError> {
        self.take_lane_groups(relay, groups, size, limit).await
    }

    async fn forgive(&self, relay: RelayId, lanes: &[LaneLease]) -> Result<(), StoreError> {
        self.forgive_lanes(relay, lanes).await
    }

    async fn release(&self, relay: RelayId, lanes: &[LaneLease]) -> Result<(), StoreError> {
        self.release_lanes(relay, lanes).await
    }

    async fn close(&self, relay: RelayId) -> Result<(), StoreError> {
        self.forget(relay).await
    }

    async fn read(&self, last: Option<&Snapshot>, lanes: &[LaneRead]) -> Result<ReadBatch, StoreError> {
        self.read_lanes(last, lanes).await
    }

    async fn skim(&self, lanes: &[LaneRead]) -> Result<Vec<Skimmed>, StoreError> {
        self.skim_lanes(lanes).await
    }

    async fn read_aggregates(&self, wanted: &[AggregateRead], limit: u32) -> Result<Vec<Record>, StoreError> {
        self.read_in_order(wanted, limit).await
    }

    async fn read_due(&self, lanes: &[(u8, DueCursor)], limit: u32) -> Result<Vec<DueRow>, StoreError> {
        self.read_due_rows(lanes, limit).await
    }

    async fn read_payload(&self, row: RowId) -> Result<Option<Option<Vec<u8>>>, StoreError> {
        self.payload(row).await
    }

    async fn look_up(&self, rows: &[RowId]) -> Result<Vec<Option<Status>>, StoreError> {
        self.statuses(rows).await
    }

    async fn done(&self, rows: &[RowId], retention: Retention) -> Result<Vec<RowId>, StoreError> {
        // There are no locks of rows.
        self.settle(rows, retention).await.map(|()| Vec::new())
    }

    async fn fail(&self, relay: RelayId, verdicts: &[Verdict]) -> Result<Vec<VerdictOutcome>, StoreError> {
        self.judge(relay, verdicts).await
    }

    async fn purge(&self, older_than: Duration, limit: u32) -> Result<u64, StoreError> {
        self.purge_rows(older_than, limit).await
    }
}
