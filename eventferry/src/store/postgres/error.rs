//! What PostgreSQL's errors mean, and how they are told without telling a value.

use std::fmt;

use sqlx::postgres::PgDatabaseError;

use crate::event::TableName;
use crate::store::postgres::migrate::VERSION;
use crate::store::{StoreError, StoreErrorKind};

/// What the server or the driver said, without what may quote a value: the detail, the context, and the message of a data error.
#[derive(Debug)]
struct Cause(String);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Cause {}

/// The kind of failure behind an SQLSTATE.
///
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn kind_of(sqlstate: &str) -> StoreErrorKind {
    match sqlstate {
        // serialization failure, deadlock, lock timeout, cancelled by statement timeout
        "40001" | "40P01" | "55P03" | "57014" => StoreErrorKind::Contention,
        // read-only, recovery in progress: a failover is under way, or this is a standby
        "25006" | "55000" => StoreErrorKind::Unavailable,
        // no such table, column, function, schema, database; wrong column type; not allowed; row security; a name that is a keyword, or is
        // somebody else's table; what the down migration answers while events are left
        "42P01" | "42703" | "42883" | "3F000" | "3D000" | "42501" | "42601" | "42804" | "42P07" | "2BP01" => StoreErrorKind::Misconfigured,
        _ => match sqlstate.get(..2) {
            // connection, resources, operator intervention, system error
            Some("08" | "53" | "57" | "58") => StoreErrorKind::Unavailable,
            // authorization
            Some("28") => StoreErrorKind::Misconfigured,
            // data, constraint, the transaction's state
            Some("22" | "23" | "25") => StoreErrorKind::Invalid,
            _ => StoreErrorKind::Database,
        },
    }
}

/// Whether a statement gave up because somebody else held a lock: a deadlock is another matter.
pub(super) fn is_lock_timeout(error: &StoreError) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.to_string().starts_with("SQLSTATE 55P03"))
}

/// Whether the server's own sentence may quote a value that somebody stored or bound.
fn may_quote(sqlstate: &str) -> bool {
    matches!(sqlstate.get(..2), Some("22" | "23" | "P0"))
}

/// Turns a failure of a relay's own statement into ours. `attempted` says what was tried, in the infinitive: `read the outbox`.
pub(super) fn store_error(attempted: &str, table: &TableName, error: &sqlx::Error) -> StoreError {
    let (kind, cause) = kind_and_cause(error);
    let advice = match kind {
        StoreErrorKind::Misconfigured if cause.starts_with("SQLSTATE 42P01") || cause.starts_with("SQLSTATE 42883") => {
            "; run `PostgresStore::migrate` for this table, or check the search_path"
        }
        StoreErrorKind::Misconfigured if cause.starts_with("SQLSTATE 42P07") => {
            "; something of its name, or of the name of one of its side tables, is there and is not the outbox: choose another `TableName`"
        }
        StoreErrorKind::Unavailable if cause.starts_with("SQLSTATE 53200") => {
            "; if it is the lock table that is full, raise max_locks_per_transaction, or enqueue for fewer aggregates at once"
        }
        StoreErrorKind::Contention
        | StoreErrorKind::Misconfigured
        | StoreErrorKind::Unavailable
        | StoreErrorKind::Invalid
        | StoreErrorKind::Database => "",
    };
    StoreError::new(kind, format!("failed to {attempted} (outbox `{table}`){advice}")).with_source(Cause(cause))
}

/// The same for a statement in the caller's transaction, which the failure has ended.
pub(super) fn transaction_error(attempted: &str, table: &TableName, error: &sqlx::Error) -> StoreError {
    let (kind, cause) = kind_and_cause(error);
    if kind == StoreErrorKind::Contention {
        let text = format!("failed to {attempted} (outbox `{table}`); roll back and repeat the transaction");
        return StoreError::new(kind, text).with_source(Cause(cause));
    }
    store_error(attempted, table, error)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the driver's errors are its own, and it may add some")]
fn kind_and_cause(error: &sqlx::Error) -> (StoreErrorKind, String) {
    match error {
        sqlx::Error::Database(database) => {
            let sqlstate = database.code().unwrap_or_default();
            let said = if may_quote(&sqlstate) {
                let constraint = database.try_downcast_ref::<PgDatabaseError>().and_then(PgDatabaseError::constraint);
                constraint.map_or_else(String::new, |name| format!(": constraint `{name}`"))
            } else {
                format!(": {}", database.message())
            };
            (kind_of(&sqlstate), format!("SQLSTATE {sqlstate}{said}"))
        }
        sqlx::Error::Io(io) => (StoreErrorKind::Unavailable, format!("connection lost or refused: {io}")),
        sqlx::Error::Tls(tls) => (StoreErrorKind::Unavailable, format!("TLS failed: {tls}")),
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            (StoreErrorKind::Unavailable, error.to_string())
        }
        // A connection that died in the middle of a message.
        sqlx::Error::Protocol(_) => (
            StoreErrorKind::Unavailable,
            "the server's answer broke off or made no sense".to_owned(),
        ),
        sqlx::Error::Configuration(_) => (StoreErrorKind::Misconfigured, "the connection options cannot be used".to_owned()),
        // Their own texts may quote a value.
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::Encode(_) => (
            StoreErrorKind::Database,
            "a column has another type than this version expects".to_owned(),
        ),
        sqlx::Error::RowNotFound => (StoreErrorKind::Database, "no row where one was expected".to_owned()),
        _ => (StoreErrorKind::Database, "unexpected failure of the driver".to_owned()),
    }
}

/// The one row that says what this outbox is, is gone.
pub(super) fn lost_identity(table: &TableName) -> StoreError {
    StoreError::new(
        StoreErrorKind::Misconfigured,
        format!("the outbox `{table}` has lost its row in `{table}_meta`; run INSERT INTO {table}_meta (version) VALUES ({VERSION})"),
    )
}

/// A column that does not hold what the schema says.
pub(super) fn undecodable(column: usize) -> StoreError {
    StoreError::new(
        StoreErrorKind::Database,
        format!(
            "cannot read column {column} of a row: it does not hold what this version expects; compare the table with `PostgresStore::sql`"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sqlstate_that_matters_has_its_kind() {
        let table = [
            ("40001", StoreErrorKind::Contention),
            ("40P01", StoreErrorKind::Contention),
            ("55P03", StoreErrorKind::Contention),
            ("57014", StoreErrorKind::Contention),
            ("08006", StoreErrorKind::Unavailable),
            ("25006", StoreErrorKind::Unavailable),
            ("55000", StoreErrorKind::Unavailable),
            ("2BP01", StoreErrorKind::Misconfigured),
            ("53200", StoreErrorKind::Unavailable),
            ("53300", StoreErrorKind::Unavailable),
            ("57P01", StoreErrorKind::Unavailable),
            ("57P03", StoreErrorKind::Unavailable),
            ("58030", StoreErrorKind::Unavailable),
            ("28P01", StoreErrorKind::Misconfigured),
            ("28000", StoreErrorKind::Misconfigured),
            ("3D000", StoreErrorKind::Misconfigured),
            ("42P01", StoreErrorKind::Misconfigured),
            ("42501", StoreErrorKind::Misconfigured),
            ("42883", StoreErrorKind::Misconfigured),
            ("42P07", StoreErrorKind::Misconfigured),
            ("22021", StoreErrorKind::Invalid),
            ("23514", StoreErrorKind::Invalid),
            ("25P02", StoreErrorKind::Invalid),
            ("XX000", StoreErrorKind::Database),
            ("", StoreErrorKind::Database),
        ];
        for (sqlstate, kind) in table {
            assert_eq!(kind_of(sqlstate), kind, "{sqlstate}");
        }
    }

    #[test]
    fn a_lost_connection_is_unavailable_and_says_what_was_tried() {
        let io = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let error = store_error("read lanes", &TableName::default(), &sqlx::Error::Io(io));
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert_eq!(error.to_string(), "failed to read lanes (outbox `outbox`)");
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(cause.as_deref(), Some("connection lost or refused: connection reset"));
    }
}
