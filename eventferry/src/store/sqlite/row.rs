//! One row of a result as a record.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::clock::from_micros;
use crate::event::MessageId;
use crate::outbox::{NewRecord, Payload, Record, RowId, Status};
use crate::store::{StoreError, StoreErrorKind, headers};

/// Reads the columns that `read.sql`, `read_aggregates.sql` and `read_due.sql` have in common.
pub(super) fn record(row: &SqliteRow) -> Result<Record, StoreError> {
    let id: i64 = get(row, "id")?;
    let payload: Option<Vec<u8>> = get(row, "payload")?;
    let payload_bytes: Option<i64> = get(row, "payload_bytes")?;
    let new = NewRecord::new("", "", "", "", None);
    let mut record = Record::new(id, new, from_micros(get(row, "created_at")?));
    record.message_id = MessageId::from(get::<Uuid>(row, "message_id")?);
    record.order_key = get(row, "order_key")?;
    record.ordered = get(row, "ordered")?;
    record.status = status(get(row, "status")?)?;
    record.attempts = get(row, "attempts")?;
    record.due_in = std::time::Duration::from_micros(u64::try_from(get::<i64>(row, "due_in")?).unwrap_or(0));
    record.aggregate_type = get(row, "aggregate_type")?;
    record.aggregate_id = get(row, "aggregate_id")?;
    record.topic = get(row, "topic")?;
    record.key = get(row, "key")?;
    record.partition = get(row, "partition")?;
    record.event_type = get(row, "event_type")?;
    record.event_version = get(row, "event_version")?;
    record.content_type = get(row, "content_type")?;
    record.headers = headers::from_json(id, &get::<Vec<u8>>(row, "headers")?)?;
    record.payload = match (payload, payload_bytes) {
        (Some(bytes), _) => Payload::Bytes(bytes),
        (None, Some(bytes)) => Payload::Deferred(usize::try_from(bytes).unwrap_or(usize::MAX)),
        (None, None) => Payload::Tombstone,
    };
    Ok(record)
}

/// A column of a row; the error names the column, never the value.
pub(super) fn get<'r, T>(row: &'r SqliteRow, column: &str) -> Result<T, StoreError>
where
    T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    row.try_get(column).map_err(|source| {
        StoreError::new(StoreErrorKind::Database, format!("failed to read column `{column}` of the outbox")).with_source(source)
    })
}

pub(super) fn status(code: i16) -> Result<Status, StoreError> {
    Status::from_code(code).ok_or_else(|| StoreError::new(StoreErrorKind::Misconfigured, format!("a row has the unknown status {code}")))
}

/// Rows as the JSON that the statements take: `[[id, message id in hex], ..]`.
pub(super) fn rows_as_json(rows: &[RowId]) -> String {
    json_list(
        rows.iter()
            .map(|row| format!(r#"[{},"{}"]"#, row.id, Uuid::from(row.message_id).simple())),
    )
}

/// Joins items that are JSON already.
pub(super) fn json_list(items: impl Iterator<Item = String>) -> String {
    let mut out = String::from("[");
    for (n, item) in items.enumerate() {
        if n > 0 {
            out.push(',');
        }
        out.push_str(&item);
    }
    out.push(']');
    out
}
