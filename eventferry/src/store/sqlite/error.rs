//! What SQLite said, as a kind.

use sqlx::error::{DatabaseError, ErrorKind};

use crate::event::TableName;
use crate::store::{StoreError, StoreErrorKind};

/// `SQLITE_READONLY`.
const READONLY: u32 = 8;
/// `SQLITE_NOTADB`.
const NOTADB: u32 = 26;

/// Says what was attempted on which table, with SQLite's own words as the cause.
pub(super) fn error(attempted: &str, table: &TableName, source: sqlx::Error) -> StoreError {
    let kind = kind(&source);
    let advice = match kind {
        StoreErrorKind::Misconfigured if table.schema().is_some() => ": SQLite has no schemas, so the table's name must have none",
        StoreErrorKind::Contention => ": another transaction is writing; roll back and repeat the whole transaction",
        StoreErrorKind::Misconfigured => misconfigured(&source),
        StoreErrorKind::Unavailable | StoreErrorKind::Invalid | StoreErrorKind::Database => "",
    };
    StoreError::new(kind, format!("failed to {attempted} `{table}`{advice}")).with_source(source)
}

/// Whether somebody else is writing.
pub(super) fn is_contention(error: &sqlx::Error) -> bool {
    kind(error) == StoreErrorKind::Contention
}

/// What to do about it, for what only a person can mend.
fn misconfigured(source: &sqlx::Error) -> &'static str {
    let said = source.as_database_error();
    match said.map(|said| (code(said) & 0xff, said.message())) {
        Some((READONLY, _)) => {
            ": the database is read-only for this process; open it for writing, on a file and in a folder that it may write to"
        }
        Some((NOTADB, _)) => ": the file is no SQLite database; look at its path",
        Some((_, message)) if message.contains("already exists") => {
            ": something of its name, or of the name of one of its side tables, is there and is not the outbox; choose another `TableName`"
        }
        Some(_) | None => {
            ": the outbox is missing, or not as this version of eventferry makes it; `SqliteStore::migrate` makes it, `SqliteStore::sql` prints its SQL"
        }
    }
}

/// The extended result code.
fn code(error: &dyn DatabaseError) -> u32 {
    error.code().and_then(|code| code.parse().ok()).unwrap_or(0)
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
            match code(&**error) & 0xff {
                // SQLITE_BUSY with its extended forms (a stale snapshot among them), SQLITE_LOCKED.
                5 | 6 => StoreErrorKind::Contention,
                // SQLITE_IOERR, SQLITE_FULL, SQLITE_CANTOPEN.
                10 | 13 | 14 => StoreErrorKind::Unavailable,
                READONLY | NOTADB => StoreErrorKind::Misconfigured,
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

#[cfg(test)]
mod tests {
    use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

    use super::*;
    use crate::store::sqlite::SqliteStore;

    async fn refusal(options: SqliteConnectOptions, first: &'static str) -> String {
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
        sqlx::query(first).execute(&pool).await.unwrap();
        let error = SqliteStore::migrate(&pool, &TableName::default()).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
        error.to_string()
    }

    #[tokio::test]
    async fn who_cannot_migrate_is_not_told_to_migrate() {
        let memory = || SqliteConnectOptions::new().filename(":memory:");
        let theirs = refusal(memory(), "CREATE TABLE outbox_relay (theirs)").await;
        assert!(theirs.contains("choose another `TableName`"), "{theirs}");
        let read_only = refusal(memory(), "PRAGMA query_only = on").await;
        assert!(read_only.contains("read-only"), "{read_only}");
    }
}
