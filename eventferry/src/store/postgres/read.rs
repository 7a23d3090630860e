//! Reading: all lanes of a relay in one snapshot, and what is read beside them.

use sqlx::postgres::{PgBindIterExt, PgRow};
use uuid::Uuid;

use crate::outbox::{Record, RowId, Status};
use crate::store::postgres::PostgresStore;
use crate::store::postgres::error::{lost_identity, undecodable};
use crate::store::postgres::row::{Columns, RECORD_COLUMNS};
use crate::store::{AggregateRead, DueCursor, DueRow, LATE_LIMIT, LaneRead, ReadBatch, Skimmed, Snapshot, StoreError, StoreErrorKind};

/// What a first read remembers of the one before: nothing had begun, so nothing can be late.
const BEFORE_ALL: u64 = u64::MAX;

impl PostgresStore {
    pub(super) async fn read_lanes(&self, last: Option<&Snapshot>, lanes: &[LaneRead]) -> Result<ReadBatch, StoreError> {
        if last.is_none() && lanes.iter().any(|lane| lane.cursor != 0) {
            return Err(StoreError::new(
                StoreErrorKind::Invalid,
                "cannot read lanes beyond a cursor without the snapshot the cursor belongs to",
            ));
        }
        let mut lanes = lanes.to_vec();
        lanes.sort_unstable_by_key(|lane| lane.lane);
        let mut session = self.enter(&self.reading).await?;
        let number = session.number();
        let answer = sqlx::query(self.sql.read.clone())
            .bind(lanes.iter().map(|lane| i16::from(lane.lane)).bind_iter())
            .bind(lanes.iter().map(|lane| lane.cursor).bind_iter())
            .bind(lanes.iter().map(limit).bind_iter())
            .bind(last.map_or_else(|| "{}".to_owned(), |last| array_text(&last.in_progress)))
            .bind(last.map_or(BEFORE_ALL, |last| last.xmax).to_string())
            .bind(i64::from(LATE_LIMIT))
            .fetch_all(session.connection())
            .await;
        let rows = session.finish("read the lanes", &self.table, answer)?;
        let (head, rows) = rows.split_first().ok_or_else(|| lost_identity(&self.table))?;
        let batch = batch(number, Columns(head), rows)?;
        self.remember_highest(&batch);
        Ok(batch)
    }

    pub(super) async fn skim_lanes(&self, lanes: &[LaneRead]) -> Result<Vec<Skimmed>, StoreError> {
        let mut session = self.enter(&self.reading).await?;
        let answer = sqlx::query(self.sql.skim.clone())
            .bind(lanes.iter().map(|lane| i16::from(lane.lane)).bind_iter())
            .bind(lanes.iter().map(|lane| lane.cursor).bind_iter())
            .bind(lanes.iter().map(limit).bind_iter())
            .fetch_all(session.connection())
            .await;
        let rows = session.finish("skim the lanes", &self.table, answer)?;
        let skimmed = |row: &PgRow| {
            let columns = Columns(row);
            let rows = u32::try_from(columns.i32(4)?).map_err(|_| undecodable(4))?;
            Ok(Skimmed::new(
                columns.i64(0)?,
                columns.bool(1)?,
                columns.i64(2)?,
                columns.i64(3)?,
                rows,
            ))
        };
        rows.iter().map(skimmed).collect()
    }

    pub(super) async fn read_unsettled(&self, wanted: &[AggregateRead], limit: u32) -> Result<Vec<Record>, StoreError> {
        let mut session = self.enter(&self.reading).await?;
        let answer = sqlx::query(self.sql.read_aggregates.clone())
            .bind(wanted.iter().map(|read| read.order_key).bind_iter())
            .bind(wanted.iter().map(|read| read.ordered).bind_iter())
            .bind(wanted.iter().map(|read| read.after).bind_iter())
            .bind(i64::from(limit))
            .fetch_all(session.connection())
            .await;
        let rows = session.finish("read aggregates", &self.table, answer)?;
        rows.iter().map(|row| Columns(row).record()).collect()
    }

    pub(super) async fn read_due_rows(&self, lanes: &[(u8, DueCursor)], limit: u32) -> Result<Vec<DueRow>, StoreError> {
        let mut session = self.enter(&self.reading).await?;
        let answer = sqlx::query(self.sql.read_due.clone())
            .bind(lanes.iter().map(|(lane, _)| i16::from(*lane)).bind_iter())
            .bind(
                lanes
                    .iter()
                    .map(|(_, after)| (after.at_micros != i64::MIN).then_some(after.at_micros))
                    .bind_iter(),
            )
            .bind(lanes.iter().map(|(_, after)| after.id).bind_iter())
            .bind(i64::from(limit))
            .fetch_all(session.connection())
            .await;
        let rows = session.finish("read due rows", &self.table, answer)?;
        let due = |row: &PgRow| {
            let columns = Columns(row);
            let record = columns.record()?;
            let at = DueCursor::new(columns.micros(RECORD_COLUMNS)?, record.id);
            Ok(DueRow::new(record, at))
        };
        rows.iter().map(due).collect()
    }

    pub(super) async fn read_deferred(&self, row: RowId) -> Result<Option<Option<Vec<u8>>>, StoreError> {
        let mut session = self.enter(&self.reading).await?;
        let answer = sqlx::query(self.sql.read_payload.clone())
            .bind(row.id)
            .bind(Uuid::from(row.message_id))
            .fetch_optional(session.connection())
            .await;
        let found = session.finish("read a payload", &self.table, answer)?;
        found.map(|row| Ok(Columns(&row).maybe(0)?.map(<[u8]>::to_vec))).transpose()
    }

    pub(super) async fn statuses(&self, rows: &[RowId]) -> Result<Vec<Option<Status>>, StoreError> {
        let mut session = self.enter(&self.acking).await?;
        let answer = sqlx::query(self.sql.look_up.clone())
            .bind(rows.iter().map(|row| row.id).bind_iter())
            .bind(rows.iter().map(|row| Uuid::from(row.message_id)).bind_iter())
            .fetch_all(session.connection())
            .await;
        let found = session.finish("look rows up", &self.table, answer)?;
        let status = |row: &PgRow| {
            let columns = Columns(row);
            let code = columns.maybe(0)?.map(|_| columns.i16(0)).transpose()?;
            code.map(|code| Status::from_code(code).ok_or_else(|| undecodable(0))).transpose()
        };
        found.iter().map(status).collect()
    }
}

fn limit(lane: &LaneRead) -> i32 {
    lane.limit.min(i32::MAX.unsigned_abs()).cast_signed()
}

/// Transaction ids as the text of an array.
fn array_text(ids: &[u64]) -> String {
    let mut text = String::with_capacity(ids.len() * 12 + 2);
    text.push('{');
    for (index, id) in ids.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&id.to_string());
    }
    text.push('}');
    text
}

/// Takes the answer of `read.sql` apart: one row that says what was visible, then late rows, then fresh ones.
fn batch(connection: u64, head: Columns<'_>, rows: &[PgRow]) -> Result<ReadBatch, StoreError> {
    const PART: usize = RECORD_COLUMNS;
    let snapshot = snapshot(connection, head.text(PART + 1)?, head.text(PART + 2)?).ok_or_else(|| undecodable(PART + 1))?;
    let mut batch = ReadBatch::new(snapshot);
    batch.fresh.reserve_exact(rows.len());
    for row in rows {
        let columns = Columns(row);
        match columns.i32(PART)? {
            1 => batch.late.push(columns.record()?),
            _ => batch.fresh.push(columns.record()?),
        }
    }
    batch.late_is_full = batch.late.len() >= LATE_LIMIT as usize;
    // The statement orders each part, but a union promises nothing about what is below it.
    batch.late.sort_unstable_by_key(|record| record.id);
    batch.fresh.sort_by_key(|record| (record.lane(), record.id));
    Ok(batch)
}

/// Parses `xmin:xmax:xip,..`.
fn snapshot(connection: u64, text: &str, source: &str) -> Option<Snapshot> {
    let mut parts = text.splitn(3, ':');
    let _xmin = parts.next()?;
    let xmax = parts.next()?.parse().ok()?;
    let in_progress = parts.next()?.split(',').filter(|id| !id.is_empty()).map(str::parse);
    let mut snapshot = Snapshot::new(source, connection, xmax);
    snapshot.in_progress = in_progress.collect::<Result<_, _>>().ok()?;
    Some(snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_are_read_as_postgres_writes_them() {
        let quiet = snapshot(3, "10:10:", "s").unwrap();
        assert_eq!((quiet.xmax, quiet.in_progress, quiet.connection), (10, vec![], 3));
        let busy = snapshot(3, "10:21:10,14,15", "s").unwrap();
        assert_eq!((busy.xmax, busy.in_progress), (21, vec![10, 14, 15]));
        assert!(snapshot(3, "10", "s").is_none());
        assert!(snapshot(3, "1:2:x", "s").is_none());
    }

    #[test]
    fn transaction_ids_are_written_as_postgres_reads_them() {
        assert_eq!(array_text(&[]), "{}");
        assert_eq!(array_text(&[1, u64::MAX]), "{1,18446744073709551615}");
    }
}
