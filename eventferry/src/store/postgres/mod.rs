//! The store on PostgreSQL, version 14 or later.
//!
//! [`PostgresStore`] is what a relay carries from; producers need nothing but an open `sqlx::Transaction`. `docs/postgres.md` tells an
//! operator about roles, settings and the price of the lock that keeps ids in commit order.

mod ack;
mod checks;
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
mod session;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::PgPool;

use crate::event::TableName;
use crate::outbox::{LaneLease, Record, RowId, Status};
use crate::store::postgres::maintain::Sweep;
use crate::store::postgres::session::{InUse, Session};
use crate::store::statements::{PerTable, statements};
use crate::store::{
    AggregateRead, Doing, DueCursor, DueRow, LaneRead, Opened, ReadBatch, RelayId, Renewed, Retention, Skimmed, Snapshot, Store,
    StoreError, Taken, Verdict, VerdictOutcome,
};

statements! {
    pub(super) struct Sql {
        insert: "sql/insert.sql",
        remember: "sql/remember.sql",
        advance: "sql/advance.sql",
        forget: "sql/forget.sql",
        session: "sql/session.sql",
        check: "sql/check.sql",
        register: "sql/register.sql",
        renew: "sql/renew.sql",
        take: "sql/take.sql",
        release: "sql/release.sql",
        take_groups: "sql/take_groups.sql",
        forgive: "sql/forgive.sql",
        close: "sql/close.sql",
        read: "sql/read.sql",
        skim: "sql/skim.sql",
        read_aggregates: "sql/read_aggregates.sql",
        read_due: "sql/read_due.sql",
        read_payload: "sql/read_payload.sql",
        look_up: "sql/look_up.sql",
        done_keep: "sql/done_keep.sql",
        done_keep_free: "sql/done_keep_free.sql",
        done_delete: "sql/done_delete.sql",
        done_delete_free: "sql/done_delete_free.sql",
        locked: "sql/locked.sql",
        fail: "sql/fail.sql",
        discard_asked: "sql/discard_asked.sql",
        list: "sql/list.sql",
        show: "sql/show.sql",
        move_rows: "sql/move.sql",
        status_of: "sql/status_of.sql",
        purge: "sql/purge.sql",
        exists: "sql/exists.sql",
        stored_version: "sql/stored_version.sql",
        migration_lock: "sql/migration_lock.sql",
        put_schemas: "sql/put_schemas.sql",
        find_schema: "sql/find_schema.sql",
        up_1: "migrations/0001_outbox.up.sql",
        down_1: "migrations/0001_outbox.down.sql",
        up_2: "migrations/0002_schema.up.sql",
        down_2: "migrations/0002_schema.down.sql",
    }
}

static STATEMENTS: PerTable<Sql> = PerTable::new();

fn statements_of(table: &TableName) -> Arc<Sql> {
    STATEMENTS.get(table, Sql::new)
}

/// An outbox in PostgreSQL, as a relay sees it.
///
/// It makes connections of its own from the pool's options (one for reading, one for acks and verdicts, one for leases) and never takes one
/// out of the pool, so a service that runs out of connections does not lose its leases. Each is made again after a failure. A pooler between them
/// and the server must give each its own session.
///
/// # Examples
/// ```no_run
/// use eventferry::TableName;
/// use eventferry::store::postgres::PostgresStore;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = sqlx::PgPool::connect("postgres://relay@db.example/shop").await?;
/// let table = TableName::new("sales.outbox")?;
/// PostgresStore::migrate(&pool, &table).await?;
/// let store = PostgresStore::new(pool).table(table);
/// # Ok(())
/// # }
/// ```
pub struct PostgresStore {
    pool: PgPool,
    table: TableName,
    sql: Arc<Sql>,
    reading: Session,
    acking: Session,
    leasing: Session,
    /// The highest id that was read, and of which outbox on which server: a sequence that stands behind it gives ids twice.
    highest: Mutex<Option<(String, i64)>>,
    /// Where the next purge goes on.
    sweep: Mutex<Sweep>,
}

impl PostgresStore {
    /// The outbox `outbox` of the pool's database. Connects to nothing yet.
    #[must_use = "a store does nothing until a relay carries from it"]
    pub fn new(pool: PgPool) -> Self {
        let table = TableName::default();
        Self {
            pool,
            sql: statements_of(&table),
            table,
            reading: Session::new("read"),
            acking: Session::new("ack"),
            leasing: Session::new("lease"),
            highest: Mutex::default(),
            sweep: Mutex::default(),
        }
    }

    /// The same with another table.
    ///
    /// # Examples
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use eventferry::TableName;
    /// use eventferry::store::postgres::PostgresStore;
    ///
    /// let pool = sqlx::PgPool::connect("postgres://relay@db.example/shop").await?;
    /// let store = PostgresStore::new(pool).table(TableName::new("sales.outbox")?);
    /// assert!(format!("{store:?}").contains("sales.outbox"));
    /// # Ok(()) }
    /// ```
    #[must_use = "the store is returned, not changed in place"]
    pub fn table(mut self, table: TableName) -> Self {
        self.sql = statements_of(&table);
        self.table = table;
        self
    }

    async fn enter<'a>(&'a self, session: &'a Session) -> Result<InUse<'a>, StoreError> {
        session.enter(&self.pool, &self.table, &self.sql.session).await
    }
}

impl fmt::Debug for PostgresStore {
    /// Names the table; the pool's options hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("table", &self.table).finish_non_exhaustive()
    }
}

impl Store for PostgresStore {
    async fn open(&self, relay: RelayId) -> Result<Opened, StoreError> {
        self.open_outbox(relay).await
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
        self.forget_relay(relay).await
    }

    async fn read(&self, last: Option<&Snapshot>, lanes: &[LaneRead]) -> Result<ReadBatch, StoreError> {
        self.read_lanes(last, lanes).await
    }

    async fn skim(&self, lanes: &[LaneRead]) -> Result<Vec<Skimmed>, StoreError> {
        self.skim_lanes(lanes).await
    }

    async fn read_aggregates(&self, wanted: &[AggregateRead], limit: u32) -> Result<Vec<Record>, StoreError> {
        self.read_unsettled(wanted, limit).await
    }

    async fn read_due(&self, lanes: &[(u8, DueCursor)], limit: u32) -> Result<Vec<DueRow>, StoreError> {
        self.read_due_rows(lanes, limit).await
    }

    async fn read_payload(&self, row: RowId) -> Result<Option<Option<Vec<u8>>>, StoreError> {
        self.read_deferred(row).await
    }

    async fn look_up(&self, rows: &[RowId]) -> Result<Vec<Option<Status>>, StoreError> {
        self.statuses(rows).await
    }

    async fn done(&self, rows: &[RowId], retention: Retention) -> Result<Vec<RowId>, StoreError> {
        self.ack(rows, retention).await
    }

    async fn fail(&self, relay: RelayId, verdicts: &[Verdict]) -> Result<Vec<VerdictOutcome>, StoreError> {
        self.refuse(relay, verdicts).await
    }

    async fn purge(&self, older_than: Duration, limit: u32) -> Result<u64, StoreError> {
        self.purge_done(older_than, limit).await
    }
}
