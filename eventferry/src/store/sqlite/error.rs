//! What SQLite said, as a kind.

use sqlx::error::ErrorKind;

use crate::event::TableName;
use crate::store::{StoreError, StoreErrorKind};

/// Says what was attempted on which table, with SQLite's own words as the cause.
pub(super) fn error(attempted: &str, table: &TableName, source: sqlx::Error) -> StoreError {
    let kind = kind(&source);
    let advice = match kind {
        StoreErrorKind::Misconfigured if table.schema().is_some() => ": SQLite has no schemas, so the table's name must have none",
        StoreErrorKind::Contention => ": another transaction is writing; roll back and repeat the whole transaction",
        StoreErrorKind::Misconfigured => {
            ": the outbox is missing, or not as this version of eventferry makes it; `SqliteStore::migrate` makes it, `SqliteStore::sql` prints its SQL"
        }
        StoreErrorKind::Unavailable | StoreErrorKind::Invalid | StoreErrorKind::Database => "",
    };
    StoreError::new(kind, format!("failed to {attempted} `{table}`{advice}")).with_source(source)
}

/// Whether somebody else is writing.
pub(super) fn is_contention(error: &sqlx::Error) -> bool {
    kind(error) == StoreErrorKind::Contention
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a classifier of foreign errors: what it does not know is the database's"
)]
fn kind(error: &sqlx::Error) -> StoreErrorKind {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            StoreErrorKind::Unavailable
        }
        sqlx::Error::Database(error) if error.kind() == ErrorKind::CheckViolation => StoreErrorKind::Invalid,
        sqlx::Error::Database(error) => {
            let extended: u32 = error.code().and_then(|code| code.parse().ok()).unwrap_or(0);
            match extended & 0xff {
                // SQLITE_BUSY with its extended forms (a stale snapshot among them), SQLITE_LOCKED.
                5 | 6 => StoreErrorKind::Contention,
                // SQLITE_IOERR, SQLITE_FULL, SQLITE_CANTOPEN.
                10 | 13 | 14 => StoreErrorKind::Unavailable,
                // SQLITE_READONLY, SQLITE_NOTADB.
                8 | 26 => StoreErrorKind::Misconfigured,
                // SQLITE_TOOBIG.
                18 => StoreErrorKind::Invalid,
                // SQLITE_ERROR has one code for everything: a missing table or column is told by its text alone.
                1 if is_missing(error.message()) => StoreErrorKind::Misconfigured,
                _ => StoreErrorKind::Database,
            }
        }
        _ => StoreErrorKind::Database,
    }
}

fn is_missing(message: &str) -> bool {
    ["no such table", "no such column", "unknown database", "already exists"]
        .iter()
        .any(|part| message.contains(part))
        || (message.starts_with("table ") && message.contains(" has no column named "))
}
