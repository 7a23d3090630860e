//! Reading: lanes beyond their cursors, aggregates, due rows, payloads, where rows stand.

use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::outbox::{Record, RowId, Status};
use crate::store::sqlite::SqliteStore;
use crate::store::sqlite::error::error;
use crate::store::sqlite::row::{get, json_list, record, rows_as_json, status};
use crate::store::{AggregateRead, DEFER_ABOVE, DueCursor, DueRow, LaneRead, ReadBatch, Skimmed, Snapshot, StoreError, StoreErrorKind};

/// The pool's connections see the same one file: there is nothing that a snapshot of one of them knows and another's does not.
const CONNECTION: u64 = 0;

fn defer_above() -> i64 {
    i64::try_from(DEFER_ABOVE).unwrap_or(i64::MAX)
}

impl SqliteStore {
    pub(super) async fn read_lanes(&self, last: Option<&Snapshot>, lanes: &[LaneRead]) -> Result<ReadBatch, StoreError> {
        if last.is_none() && lanes.iter().any(|lane| lane.cursor != 0) {
            return Err(StoreError::new(
                StoreErrorKind::Invalid,
                "cannot read lanes beyond a cursor without the snapshot the cursor belongs to",
            ));
        }
        let rows = sqlx::query(self.sql.read.clone())
            .bind(json_list(
                lanes.iter().map(|read| format!("[{},{},{}]", read.lane, read.cursor, read.limit)),
            ))
            .bind(defer_above())
            .fetch_all(&self.pool)
            .await
            .map_err(|source| error("read lanes of", &self.table, source))?;
        let Some(first) = rows.first() else {
            return Err(StoreError::new(
                StoreErrorKind::Misconfigured,
                format!(
                    "outbox `{table}` has lost its settings: `{table}_meta` is empty",
                    table = self.table
                ),
            ));
        };
        let mut batch = ReadBatch::new(snapshot(first)?);
        // One writer at a time: every row becomes visible above all others, so none is late.
        for row in &rows {
            if get::<Option<i64>>(row, "id")?.is_some() {
                batch.fresh.push(record(row)?);
            }
        }
        Ok(batch)
    }

    pub(super) async fn skim_lanes(&self, lanes: &[LaneRead]) -> Result<Vec<Skimmed>, StoreError> {
        let rows = sqlx::query(self.sql.skim.clone())
            .bind(json_list(
                lanes.iter().map(|read| format!("[{},{},{}]", read.lane, read.cursor, read.limit)),
            ))
            .fetch_all(&self.pool)
            .await
            .map_err(|source| error("skim lanes of", &self.table, source))?;
        let skimmed = |row: &SqliteRow| {
            Ok(Skimmed::new(
                get(row, "order_key")?,
                get(row, "ordered")?,
                get(row, "first")?,
                get(row, "last")?,
                get(row, "rows")?,
            ))
        };
        rows.iter().map(skimmed).collect()
    }

    pub(super) async fn read_in_order(&self, wanted: &[AggregateRead], limit: u32) -> Result<Vec<Record>, StoreError> {
        let wanted = wanted
            .iter()
            .map(|read| format!("[{},{},{}]", read.order_key, u8::from(read.ordered), read.after));
        let rows = sqlx::query(self.sql.read_aggregates.clone())
            .bind(json_list(wanted))
            .bind(defer_above())
            .bind(limit)
            .fetch_all(&self.pool)
            .await
            .map_err(|source| error("read aggregates of", &self.table, source))?;
        rows.iter().map(record).collect()
    }

    pub(super) async fn read_due_rows(&self, lanes: &[(u8, DueCursor)], limit: u32) -> Result<Vec<DueRow>, StoreError> {
        let lanes = lanes
            .iter()
            .map(|(lane, after)| format!("[{lane},{},{}]", after.at_micros, after.id));
        let rows = sqlx::query(self.sql.read_due.clone())
            .bind(json_list(lanes))
            .bind(defer_above())
            .bind(limit)
            .fetch_all(&self.pool)
            .await
            .map_err(|source| error("read due rows of", &self.table, source))?;
        let due = |row: &SqliteRow| {
            let at = get(row, "at")?;
            let record = record(row)?;
            let at = DueCursor::new(at, record.id);
            Ok(DueRow::new(record, at))
        };
        rows.iter().map(due).collect()
    }

    pub(super) async fn payload(&self, row: RowId) -> Result<Option<Option<Vec<u8>>>, StoreError> {
        sqlx::query_scalar(self.sql.read_payload.clone())
            .bind(row.id)
            .bind(Uuid::from(row.message_id))
            .fetch_optional(&self.pool)
            .await
            .map_err(|source| error("read a payload of", &self.table, source))
    }

    pub(super) async fn statuses(&self, rows: &[RowId]) -> Result<Vec<Option<Status>>, StoreError> {
        let codes: Vec<Option<i16>> = sqlx::query_scalar(self.sql.look_up.clone())
            .bind(rows_as_json(rows))
            .fetch_all(&self.pool)
            .await
            .map_err(|source| error("look up rows of", &self.table, source))?;
        codes.into_iter().map(|code| code.map(status).transpose()).collect()
    }
}

fn snapshot(row: &SqliteRow) -> Result<Snapshot, StoreError> {
    let uuid: String = get(row, "uuid")?;
    let xmax: i64 = get(row, "xmax")?;
    Ok(Snapshot::new(
        format!("sqlite/{uuid}"),
        CONNECTION,
        u64::try_from(xmax).unwrap_or(0),
    ))
}
