//! Waiting for one's turn to write.
//!
//! SQLite has no queue of writers. Whoever finds the file locked asks again by itself, and SQLite's own busy timeout asks the less often the longer
//! it has waited, in the end every tenth of a second. Beside writers that follow each other closely, those who wait longest come last: a relay
//! whose heartbeat waits so for seconds loses its lanes, and its events go slower than they come. So the relay's writes ask often.

use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Sqlite, SqlitePool};

use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::error::is_contention;
use crate::store::statements::with_number;

const ASK_EVERY: Duration = Duration::from_millis(2);

type Statement = Query<'static, Sqlite, SqliteArguments>;

impl SqliteStore {
    /// Makes the statement and runs it until the file is free, for as long as the pool's busy timeout says.
    pub(super) async fn write(&self, statement: impl Fn() -> Statement + Send + 'static) -> Result<Vec<SqliteRow>, sqlx::Error> {
        // In a task of its own: whatever becomes of the caller, the connection must go back to its pool as it came.
        let written = tokio::spawn(write(self.pool.clone(), statement)).await;
        written.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }
}

#[expect(clippy::disallowed_methods, reason = "SQLite tells nobody that its file is free again")]
async fn write(pool: SqlitePool, statement: impl Fn() -> Statement + Send) -> Result<Vec<SqliteRow>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let patience: i64 = sqlx::query_scalar("PRAGMA busy_timeout").fetch_one(&mut *connection).await?;
    set_patience(&mut connection, 0).await?;
    let until = Instant::now() + Duration::from_millis(patience.unsigned_abs());
    let answer = loop {
        match statement().fetch_all(&mut *connection).await {
            Err(error) if is_contention(&error) && Instant::now() < until => tokio::time::sleep(ASK_EVERY).await,
            answer => break answer,
        }
    };
    if set_patience(&mut connection, patience).await.is_err() {
        connection.close_on_drop();
    }
    answer
}

async fn set_patience(connection: &mut PoolConnection<Sqlite>, millis: i64) -> Result<(), sqlx::Error> {
    sqlx::query(with_number("PRAGMA busy_timeout = ", millis))
        .execute(&mut **connection)
        .await
        .map(drop)
}
